"""Delivers records and content from their journals to each exporter, exactly once."""
