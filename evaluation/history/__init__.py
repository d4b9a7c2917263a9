"""Recorded calls as decisions need them: client calls with their facts, outcomes and prices."""
