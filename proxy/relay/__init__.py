"""Passes calls through, byte for byte, and notes what passed."""
