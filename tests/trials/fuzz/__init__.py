"""Random damage to calls, through every parser: nothing raises, nothing hangs, no cut matters.

`calls` are what is damaged, `damage` does it, `checks` says what must hold.  Everything follows
from a seed and a number, so that a finding can be replayed.
"""
