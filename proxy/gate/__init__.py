"""Whether a call passes its budgets: what they hold, in memory that meter and relays share."""
