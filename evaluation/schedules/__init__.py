"""Weekly runs of suites: when they are due, what became of them, and whether a model drifted."""
