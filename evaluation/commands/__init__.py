"""The commands of `taximeter` that evaluate and decide, one module each."""
