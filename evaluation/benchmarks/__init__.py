"""Routing tables with full feedback, where every model answered every prompt: what routers gain."""
