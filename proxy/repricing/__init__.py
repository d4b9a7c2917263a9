"""Reprices stored calls and reports what changes."""
