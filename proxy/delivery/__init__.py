"""Carries records from the record journal to each exporter, exactly once."""
