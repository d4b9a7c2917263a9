"""Deletes what is too old or is to be gone: listed, written to the audit log, then done."""
