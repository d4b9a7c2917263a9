"""Masks a credential that was sent where a name belongs, such as the name of a model.  No I/O.

Besides the known forms of keys, a name may not hold a long random run of letters and digits: names
are made of words, versions and dates, whose characters change their class rarely.
"""

import re
from itertools import pairwise

from proxy.secrecy.patterns import HIDDEN, SECRET_VALUE

RUN_CHARS_MIN = 16
DIGITS_MIN = 3
CHANGES_MIN = 8  # between digits, capitals and small letters, and at every third character
_SECRET = re.compile(SECRET_VALUE)
# Perplexity's keys and some of its models begin alike; only the latter go on in words.
_MODEL = re.compile(r"pplx(?:-(?:[a-z]{1,12}|v?\d{1,2}[a-z]?))+")
_RUN = re.compile(rf"[A-Za-z0-9]{{{RUN_CHARS_MIN},}}")
# The digest of a model's version, as in `owner/model:digest` and `model@revision`.
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def masked_name(name: str) -> str:
    """`name` with what looks like a credential replaced."""
    return _RUN.sub(_masked_run, masked_keys(name)) if len(name) >= RUN_CHARS_MIN else name


def masked_keys(text: str) -> str:
    """`text` with keys of known forms replaced."""
    return _SECRET.sub(lambda found: found[0] if _MODEL.fullmatch(found[0]) else HIDDEN, text)


def _masked_run(found: re.Match[str]) -> str:
    run = found[0]
    before = found.string[: found.start()][-1:]
    if before in (":", "@") and _DIGEST.fullmatch(run):
        return run
    changes = sum(_kind(a) != _kind(b) for a, b in pairwise(run))
    random = changes >= max(CHANGES_MIN, len(run) // 3)
    digits = sum(character.isdigit() for character in run)
    return HIDDEN if random and digits >= DIGITS_MIN else run


def _kind(character: str) -> str:
    return "9" if character.isdigit() else "A" if character.isupper() else "a"
