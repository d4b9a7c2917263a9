"""Runs a suite over models, through our own proxy: quoted first, capped, resumable."""
