"""Suites: cases with their checks, read strictly, versioned by content; the starter suite."""
