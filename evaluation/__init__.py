"""Decisions about models, by suites, runs and statistics; and a stand-in provider."""
