"""Reads the results of other evaluation tools: Inspect, promptfoo, JUnit."""
