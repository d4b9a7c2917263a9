"""Backups of a data directory: its journals, its state and the embedded store."""
