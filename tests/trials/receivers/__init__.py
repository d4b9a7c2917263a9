"""Sends real calls to receivers written by others, and reads back what they understood."""
