"""Damages calls at random and reads them: nothing raises or hangs, however the bytes are cut.

`calls` has the calls, `damage` damages them, `checks` says what must hold.  A seed and a number
determine everything, so that a finding can be replayed.
"""
