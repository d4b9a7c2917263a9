"""A stand-in provider, with traffic and a demo.  Nothing but tests imports it."""
