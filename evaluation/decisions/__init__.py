"""What to use and what to change: candidates from rows and runs, with how sure that is."""
