"""The passthrough: relay, journal, meter, console, command line."""
