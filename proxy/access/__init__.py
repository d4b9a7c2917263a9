"""Who may do what at the console, and the audit log of who did it."""
