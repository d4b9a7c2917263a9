"""What must not be written down, and how it is found: one table of secret patterns."""
