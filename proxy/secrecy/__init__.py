"""Finds and hides what must not be stored: one table of secret patterns."""
