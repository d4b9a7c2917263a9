"""Tells people: a durable outbox for notices, and a sender for each target."""
