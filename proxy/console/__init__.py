"""The console: web page, API, health and metrics over HTTP."""
