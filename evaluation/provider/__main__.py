"""`python -m evaluation.provider` as it was; say `python -m evaluation.standin`."""

import sys

from evaluation.standin.__main__ import main

print("evaluation.provider is now evaluation.standin; this name goes next release", file=sys.stderr)
main()
