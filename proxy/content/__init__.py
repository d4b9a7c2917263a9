"""Content capture, off by default: redacted, bounded, stored apart from the rows."""
