"""Reads fields of decoded JSON that may be absent, null or of the wrong type.  Never raises.

Objects are `dict`s, as msgspec makes them: checking for `Mapping` takes ten times as long.
"""

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite

EMPTY: Mapping[str, object] = {}
QUANTITY_MAX = 10**18  # larger numbers are ignored: 1e999999999 must not become an int


def mapping(value: object, *keys: str) -> Mapping[str, object]:
    """The object at `keys` below `value`; empty if any step is not an object."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else EMPTY


def mappings(value: object) -> list[Mapping[str, object]]:
    """The objects in a list; other elements are left out, and other values give none."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """A string, or "" for anything else."""
    return value if isinstance(value, str) else ""


def integer(value: object) -> int | None:
    """A whole number of 0 or more; None if it is absent or makes no sense."""
    if value is None or type(value) is int:  # nearly always, so it must be quick
        return value if value is not None and 0 <= value < QUANTITY_MAX else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if not _is_finite(value) or not 0 <= value < QUANTITY_MAX:
        return None
    whole = int(value)
    return whole if whole == value else None


def decimal(value: object) -> Decimal | None:
    """An exact number of 0 or more; None if it is absent or makes no sense."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    exact = Decimal(str(value))
    return exact if exact.is_finite() and 0 <= exact < QUANTITY_MAX else None


def figure(value: object) -> int | float | None:
    """A number for display; None for anything else, and for absurdly large ones."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if not _is_finite(value) or not -QUANTITY_MAX < value < QUANTITY_MAX:
        return None
    return value if isinstance(value, int) else float(value)


def _is_finite(value: int | float | Decimal) -> bool:
    """False for infinities and for what is no number, which cannot be compared."""
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) or isfinite(value)
