"""`python -m proxy` is the command `taximeter`."""

import sys

from proxy.commands.cli import main

sys.exit(main())
