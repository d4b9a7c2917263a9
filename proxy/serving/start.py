"""Starts a process of ours: `python -P -m proxy.serving.start MODULE ...` runs MODULE.

Importing makes a hundred thousand objects that stay, and the garbage collector would look at them
again and again: it is off until `process.begin`, which takes them out of its sight for good.
"""

import gc
import runpy
import sys

if __name__ == "__main__":
    gc.disable()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
