"""Load tests: an open loop of the user's own mix, quoted first, capped, timed from its schedule."""
