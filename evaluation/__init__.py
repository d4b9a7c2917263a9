"""Measured claims: a stand-in provider, traffic, benchmarks.  Imported by nothing but tests."""
