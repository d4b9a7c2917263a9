"""The commands of `taximeter` that evaluate, one module each."""
