"""What we lose, and who is told."""
