"""Evaluates budgets: what they hold, what to tell of them, and what relays enforce."""
