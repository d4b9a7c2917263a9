"""Parses instants and ages as people and documents write them.  No clock: `now` is a parameter."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
BARE_PLUS = re.compile(r" (\d\d:\d\d)$")  # "+02:00" in a query that was not percent-encoded


def instant(text: str, now: datetime, zone: tzinfo = UTC) -> datetime:
    """Parse ISO 8601, seconds since the epoch, or an age such as `15m`, `24h`, `7d`.

    Without an offset it is a time of `zone`; of two the first.
    Raises ValueError that says which forms are accepted.
    """
    number, unit = text[:-1], text[-1:]
    try:
        if unit in UNITS_S and number.isdecimal():
            return now - timedelta(seconds=int(number) * UNITS_S[unit])
        if text.replace(".", "", 1).isdecimal():
            return datetime.fromtimestamp(float(text), UTC)
        return iso_instant(BARE_PLUS.sub(r"+\1", text), zone)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(
            f"invalid time {text!r}: "
            "expected 2026-11-23T12:00:00Z, seconds since the epoch, or an age such as 24h"
        ) from error


def iso_instant(text: str, zone: tzinfo = UTC) -> datetime:
    """Parse ISO 8601; a time of `zone` if it has no offset.  Raises ValueError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"invalid time {text!r}: expected 2026-11-20T12:00:00Z") from error
    return at if at.tzinfo else at.replace(tzinfo=zone).astimezone(UTC)
