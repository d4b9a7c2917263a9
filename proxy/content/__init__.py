"""What was said, kept where that is asked for: redacted, bounded, apart from the rows."""
