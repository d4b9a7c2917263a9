"""Our tests of ourselves that take minutes: `python -m trials.NAME` with tests/ on the path."""
