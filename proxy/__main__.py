"""The process `taximeter`, also as `python -m proxy`."""

import signal

# From the first moment: until a command has something to clean up, Ctrl-C just ends us.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import sys

from proxy.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
