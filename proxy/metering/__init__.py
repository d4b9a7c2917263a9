"""From the journal to records, and records to their exporters."""
