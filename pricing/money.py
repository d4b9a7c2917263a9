"""Money as people read it: an amount with how far to trust it.  Pure.

`≥` marks a lower bound, `≈` an estimate, and an unknown amount is a word, never $0.00.  The console
has the same rules in `proxy/console/static/money.js`.  JSON has exact decimals and the status.
"""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from pricing.charge import Status, plain
from pricing.tariff import ROUNDED

UNKNOWN = "unknown"
AT_LEAST, ABOUT = "≥ ", "≈ "
SIGNIFICANT = 3  # digits shown of less than a dollar, of which a part of a cent may be
PLACES_MAX = 12  # an amount that is smaller is written with an exponent

Usd = object  # a Decimal or its exact text, as JSON has it; None is unknown


def money(usd: Usd, status: str = Status.EXACT, unknown: int = 0) -> str:
    """An amount in a sentence; `unknown` calls are not in it."""
    text = amount(usd, Status.PARTIAL if unknown and usd is not None else status)
    if not unknown:
        return text
    return f"{text} ({calls(unknown)}{'' if text == UNKNOWN else ' unknown'})"


def amount(usd: Usd, status: str = Status.EXACT, *, whole: bool = False) -> str:
    """An amount in a table: its mark, and dollars rounded for people; a lower bound never up.

    A lower bound of 0 says nothing and is unknown.  `whole` shows every digit, as receipts do.
    """
    mark = {Status.PARTIAL: AT_LEAST, Status.ESTIMATED: ABOUT}.get(Status(status), "")
    if usd is None or status == Status.UNPRICED or (mark == AT_LEAST and not Decimal(str(usd))):
        return UNKNOWN
    number = Decimal(str(usd))
    sign = "-" if number < 0 else ""
    down = mark == AT_LEAST
    return f"{mark}{sign}${plain(abs(number)) if whole else _digits(abs(number), down=down)}"


def difference(usd: Usd, status: str = Status.EXACT) -> str:
    """An amount with its sign, which a sum has as well if it is not negative."""
    text = amount(usd, status)
    return text if text == UNKNOWN or "-$" in text else text.replace("$", "+$")


def status_of_sum(usd: Usd, *, unknown: int = 0, partial: int = 0, inexact: int = 0) -> Status:
    """How far to trust a sum of calls, of which so many are unknown and left out of it, so many
    lower bounds, and so many (those among them) not exact.
    """
    if usd is None:
        return Status.UNPRICED
    if unknown or partial:
        return Status.PARTIAL
    return Status.ESTIMATED if inexact else Status.EXACT


def doubts(unknown: int = 0, partial: int = 0, inexact: int = 0) -> str:
    """How many calls of a sum are not exact, by kind; "" if all are."""
    kinds = ((unknown, "unknown"), (partial, "lower bound"), (inexact - partial, "estimated"))
    return ", ".join(f"{number:,} {kind}" for number, kind in kinds if number > 0)


def aligned(cells: Sequence[str]) -> list[str]:
    """The cells of a column, padded so that their decimal points are below each other."""
    places = [len(text.partition(".")[2]) if "$" in text else None for text in cells]
    longest = max((each for each in places if each is not None), default=0)
    return [
        text if each is None else text + " " * (longest - each)
        for text, each in zip(cells, places, strict=True)
    ]


def calls(number: int) -> str:
    """A number of calls in words."""
    return f"{number:,} call{'' if number == 1 else 's'}"


def _digits(number: Decimal, *, down: bool) -> str:
    """Cents, and below a dollar as many places as the first significant digits need."""
    rounding = ROUND_FLOOR if down else ROUND_HALF_EVEN
    places = max(2, SIGNIFICANT - 1 - number.adjusted()) if number else 2
    if places > PLACES_MAX:
        return f"{Context(SIGNIFICANT, rounding).create_decimal(number):.2e}"
    rounded = number.quantize(Decimal(1).scaleb(-places), rounding, ROUNDED)
    whole, _, decimals = f"{rounded:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"
