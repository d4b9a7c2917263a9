"""What a user may set: options, defaults, checks, and the names inside the data directory."""
