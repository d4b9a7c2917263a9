"""How long a test waits for what must come: generous, since a busy machine is no fault of the code.

A test that fails pays it once; one that passes never does.  Not for times that are the fact tested.
"""

PATIENCE_S = 60.0  # for a process to start or to end, or for a condition to come true
