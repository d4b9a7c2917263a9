"""`python -m evaluation.provider`, the old name of `python -m evaluation.standin`."""

import sys

from evaluation.standin.__main__ import main

print(
    "evaluation.provider is deprecated and will be removed in the next release;"
    " use evaluation.standin",
    file=sys.stderr,
)
main()
