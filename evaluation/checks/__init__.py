"""Checks: what a case demands of an answer, each a value that gives a verdict with its reason."""
