"""A comparison as a document: for JSON, CSV and the table.  Pure."""

from datetime import date
from decimal import Decimal
from typing import Any

from proxy.invoices.causes import Cause
from proxy.invoices.cells import Cell
from proxy.invoices.compare import TARGET, Comparison, Sums
from proxy.invoices.prices import factors

Row = dict[str, Any]
COLUMNS = (
    *("day", "model", "key", "item", "metered_usd", "billed_usd", "difference_usd"),
    *(cause.text for cause in Cause),
    *("unexplained_usd", "factor", "calls", "unpriced_calls", "tokens", "provider_tokens", "text"),
)


def document(provider: str, first: date, last: date, found: Comparison) -> Row:
    """Lines by day, model, key and item, with the sums of each day and of all.

    `difference_usd` is billed less metered; `causes` add up to it with `unexplained_usd`.  The
    `unexplained_share` of a day counts the distances of its lines, so that none offsets another.
    """
    return {
        "provider": provider,
        "first_day": first.isoformat(),
        "last_day": last.isoformat(),
        "target_share": str(TARGET),
        "shift_h": found.shift_h,
        "total": sums(found.total()),
        "days": [
            {"day": day.isoformat(), **sums(Sums.of(cells))} for day, cells in found.days.items()
        ],
        "lines": [line(cell) for cell in found.cells],
        "factors": [
            {
                "model": one.models[0],
                "item": one.items[0],
                "factor": text(one.factor),
                "first_day": one.first.isoformat(),
                "last_day": one.last.isoformat(),
                "always": one.always,
            }
            for one in factors(found.cells)
        ],
        "not_compared": [
            {"day": one.day.isoformat(), "usd": text(one.usd), "text": one.text}
            for one in found.not_compared
        ],
        "notes": list(found.notes),
    }


def sums(one: Sums) -> Row:
    """The sums of some cells."""
    return {
        "metered_usd": text(one.metered_usd),
        "billed_usd": text(one.billed_usd),
        "difference_usd": text(one.billed_usd - one.metered_usd),
        "causes": {cause.text: text(usd) for cause, usd in one.parts.items()},
        "unexplained_usd": text(one.left_usd),
        "unexplained_share": None if one.share is None else text(round(one.share, 9)),
        "explained": one.explained,
    }


def line(cell: Cell) -> Row:
    """One cell."""
    return {
        "day": cell.day.isoformat(),
        "model": cell.model,
        "key": cell.key,
        "item": cell.item,
        "metered_usd": text(cell.metered_usd),
        "billed_usd": text(cell.billed_usd),
        "difference_usd": text(cell.billed_usd - cell.metered_usd),
        "causes": {cause.text: text(usd) for cause, usd in cell.parts.items() if usd},
        "unexplained_usd": text(cell.left),
        "factor": None if cell.factor is None else text(cell.factor),
        "calls": cell.calls,
        "unpriced_calls": cell.unpriced,
        "tokens": cell.tokens,
        "provider_tokens": cell.used,
        "provider_tiers": sorted(cell.used_tiers),
        "text": cell.text,
    }


def flat(row: Row) -> Row:
    """A line for CSV: a column for each cause."""
    return {**row, **{cause.text: row["causes"].get(cause.text) for cause in Cause}}


def text(usd: Decimal) -> str:
    """Exact, without an exponent and without trailing zeros."""
    plain = f"{usd:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
