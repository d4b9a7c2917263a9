"""Measures the cost of proxy, pricing and content capture, and the error of token counts."""
