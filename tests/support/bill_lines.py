"""A line of a bill as a test plants it, whatever form a provider gives it."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

Texts = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One amount of one day; `tokens` are what the provider counted for it."""

    day: date
    model: str
    item: str  # input | output | cache_read | cache_write
    usd: Decimal
    tokens: int = 0
    kind: str = "usage"  # usage | discount | free | plan | tax


def csv_of(rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as CSV, the columns those of the first."""
    rows = list(rows)
    to = io.StringIO()
    writer = csv.DictWriter(to, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return to.getvalue()
