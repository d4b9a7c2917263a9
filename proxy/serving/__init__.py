"""The processes: supervisor, relays, meter."""
