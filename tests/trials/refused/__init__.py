"""What clients make of a blocked call."""
