"""Tests that take minutes: `python -m trials.NAME`, with the folder tests/ in PYTHONPATH."""
