"""What `taximeter` does, a module for each command."""
