"""What a provider says it bills, and what was used, as values: each reader makes them.  Pure.

Days are UTC: the cost reports of OpenAI, Anthropic and OpenRouter, and the exports of the clouds
have no other.  An amount in another currency is refused, as we have no rate of that day.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

Row = Mapping[str, Any]

# The parts of a price that a row of ours has in columns of its own.
INPUT, OUTPUT, READ, WRITE, OTHER = "input", "output", "cache_read", "cache_write", "other"
ITEMS = (INPUT, OUTPUT, READ, WRITE, OTHER)
WHOLE = ""  # a line that is not split by item
LINES_MAX = 1_000_000  # of one statement


class Kind(StrEnum):
    """What a line of a bill is for."""

    USAGE = "usage"
    DISCOUNT = "discount"  # of a contract, or of a commitment
    FREE = "free"  # a free tier or a grant
    PLAN = "plan"  # seats, commitments, capacity that is paid for whether it is used or not
    OTHER = "other"  # tax, support, refunds: not for calls, so not compared


class StatementError(ValueError):
    """A statement that is not understood; the message says what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """A line of the bill, of one day (UTC)."""

    day: date
    usd: Decimal
    model: str = ""  # as the provider writes it
    item: str = WHOLE  # one of ITEMS
    key: str = ""  # API key, project or workspace
    kind: Kind = Kind.USAGE
    text: str = ""  # the line as the provider words it


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What the provider counted of one day (UTC); `tokens` by item."""

    day: date
    model: str
    tokens: Mapping[str, int]
    requests: int | None = None
    key: str = ""
    tier: str = ""  # standard | batch | flex | …; "": it does not say


@dataclass(frozen=True, slots=True)
class Statement:
    """All lines of one provider; without `used`, only amounts can be compared."""

    billed: tuple[Billed, ...] = ()
    used: tuple[Used, ...] = ()
    text: str = field(default="", compare=False)  # where it came from

    def __add__(self, other: "Statement") -> "Statement":
        return Statement(self.billed + other.billed, self.used + other.used)

    def within(self, first: date, last: date) -> "Statement":
        """The lines of the days from `first` to `last`."""
        return Statement(
            tuple(one for one in self.billed if first <= one.day <= last),
            tuple(one for one in self.used if first <= one.day <= last),
        )


def item_of(text: str) -> str:
    """Which part of a price a provider's wording means.

    Seen: `cached input` (OpenAI), `cache_creation.ephemeral_5m_input_tokens` (Anthropic),
    `-cache-read-input-token-count` (Bedrock), `Inp`, `cchd Inp`, `Outp` (Azure).
    """
    words = text.lower().replace("uncached", "")
    if "cach" in words or "cchd" in words:
        return WRITE if any(one in words for one in ("writ", "creat", "wrt")) else READ
    if any(one in words for one in ("outp", "response", " opt", "completion")):
        return OUTPUT
    return INPUT if any(one in words for one in ("inp", "prompt")) else OTHER


def documents(text: str) -> Iterator[Row]:
    """JSON: one page, a list of pages, or a page in each line.  Raises StatementError."""
    try:
        found = json.loads(text, parse_float=Decimal)
    except ValueError:
        try:
            found = [json.loads(one, parse_float=Decimal) for one in text.splitlines() if one]
        except ValueError as error:
            raise StatementError(f"neither JSON nor lines of JSON: {error}") from None
    for one in found if isinstance(found, list) else [found]:
        if not isinstance(one, dict):
            raise StatementError("expected objects in the JSON")
        yield one


def table(text: str) -> list[Row]:
    """Rows of CSV by the names of their columns, in lower case.  Raises StatementError."""
    lines = text.lstrip("\ufeff").splitlines()
    delimiter = "\t" if lines and "\t" in lines[0] else ","
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, ())]
        rows: list[Row] = [dict(zip(names, row, strict=False)) for row in reader if any(row)]
    except csv.Error as error:
        raise StatementError(f"not CSV: {error}") from None
    if not names or len(rows) > LINES_MAX:
        raise StatementError(f"expected a header and at most {LINES_MAX:,} lines")
    return rows


def is_json(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")


def pick(row: Row, *names: str, default: str | None = None) -> str:
    """The value of the first of these columns that there is.  Raises StatementError for none."""
    for name in names:
        if row.get(name) is not None:
            return str(row[name])
    if default is None:
        raise StatementError(f"no column {names[0]!r}; found: {', '.join(list(row)[:12])} …")
    return default


def decimal(value: object) -> Decimal:
    """An exact amount.  Raises StatementError."""
    try:
        found = Decimal(str(value).strip() or "0")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise StatementError(f"not an amount: {str(value)[:40]!r}")
    return found


def whole(value: object) -> int:
    """A count; nothing is 0."""
    return 0 if value in (None, "") else int(decimal(value))


def dollars(amount: object, currency: object) -> Decimal:
    """An amount in USD.  Raises StatementError for any other currency."""
    if str(currency).strip().upper() not in ("USD", ""):
        raise StatementError(f"the amounts are in {currency}; only USD can be compared")
    return decimal(amount)


def day_of(value: object) -> date:
    """The day (UTC) of an instant: epoch seconds, ISO 8601, or Azure's MM/DD/YYYY."""
    text = str(value).strip()
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC).date()
        if "/" in text:
            return datetime.strptime(text[:10], "%m/%d/%Y").replace(tzinfo=UTC).date()
        at = datetime.fromisoformat(text.removesuffix(" UTC").replace("Z", "+00:00"))
        return (at.astimezone(UTC) if at.tzinfo else at).date()
    except (ValueError, OverflowError):
        raise StatementError(f"not a day or an instant: {text[:40]!r}") from None


def objects(value: object, what: str) -> Sequence[Row]:
    """A list of objects.  Raises StatementError."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise StatementError(f"expected a list of objects as {what!r}")
    return value
