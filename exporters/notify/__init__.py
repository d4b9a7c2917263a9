"""Sends alerts to a log and a webhook."""
