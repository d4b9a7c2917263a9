"""Judges under test: a model's verdicts on answers that people labelled, and what follows."""
