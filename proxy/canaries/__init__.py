"""Watches the canaries of routes: asks the store how they fare, judges, tells, and rolls back."""
