"""`python -m proxy` is the command `taximeter`."""

import sys

from proxy.cli import main

sys.exit(main())
