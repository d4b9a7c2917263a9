"""The configuration: options, defaults, checks, and the paths inside the data directory."""
