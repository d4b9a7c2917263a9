"""What people and machines read over HTTP."""
