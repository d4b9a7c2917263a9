"""Numbers on the command line: argparse types, which refuse what makes no sense as usage errors."""

import argparse
import math
import re
from decimal import Decimal

_TIMES = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_COUNT = re.compile(r"(\d+(?:[_,]\d{3})*|\d*\.\d+|\d+\.\d*)([kmg]?)", re.IGNORECASE)
COUNT_MAX = 10**15
PORT_MAX = 65_535


def count(text: str) -> int:
    """A whole number, 0 or more, also as people write it: 10k, 1.5M, 1,000."""
    found = _COUNT.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"not a whole number, such as 10000 or 10k: {text!r}")
    digits, unit = found.groups()
    number = Decimal(re.sub("[_,]", "", digits)) * _TIMES[unit.lower()]
    if number != int(number):
        raise argparse.ArgumentTypeError(f"not a whole number: {text!r}")
    if number > COUNT_MAX:
        raise argparse.ArgumentTypeError(f"at most {COUNT_MAX:,}: {text!r}")
    return int(number)


def positive_count(text: str) -> int:
    """A whole number, 1 or more."""
    if not (number := count(text)):
        raise argparse.ArgumentTypeError(f"at least 1: {text!r}")
    return number


def port(text: str) -> int:
    """A port, or 0 for any free one."""
    if not text.isdecimal() or int(text) > PORT_MAX:
        raise argparse.ArgumentTypeError(f"not a port from 0 to {PORT_MAX}: {text!r}")
    return int(text)


def positive(text: str) -> float:
    """A number above 0, such as a rate or a duration in seconds."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"not a number above 0: {text!r}")
    return number
