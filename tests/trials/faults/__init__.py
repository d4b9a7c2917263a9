"""Injects faults, and checks that every dispatched call still has exactly one row.

Each module is a family of faults.  `world` starts the real processes; `audit` compares what callers
saw, what the provider answered and what the store holds.
"""
