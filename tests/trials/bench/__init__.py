"""Measures what the proxy, the price engine and content capture cost."""
