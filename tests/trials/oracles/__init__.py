"""Other translators as oracles, in an environment of their own: `make oracles`."""
