"""The proxy: relay, journal, meter, console, command line."""
