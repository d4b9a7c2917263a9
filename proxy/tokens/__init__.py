"""Counts tokens where a provider reports none."""
