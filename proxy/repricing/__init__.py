"""Prices stored calls again and says what changes."""
