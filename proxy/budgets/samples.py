"""What budgets hold as rows, from the documents that `/api/budgets` shows.  Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from exporters.samples import BudgetSample
from proxy.budgets.shown import Firing

KEYS_MAX = 20  # of a budget with `*`: those nearest to their limit
SAMPLES_MAX = 500  # of all budgets
UNITS = ("usd", "tokens", "calls")


def budget_samples(
    documents: Iterable[Mapping[str, Any]], *, at: datetime, node: str
) -> list[BudgetSample]:
    """A row for each budget and key, at most `KEYS_MAX` of each budget."""
    by_name: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for document in documents:
        by_name[document["name"]].append(document)
    fullest = [
        document
        for each in by_name.values()
        for document in sorted(each, key=_percent, reverse=True)[:KEYS_MAX]
    ]
    return [_sample(document, at, node) for document in fullest[:SAMPLES_MAX]]


def _sample(document: Mapping[str, Any], at: datetime, node: str) -> BudgetSample:
    unit = next(unit for unit in UNITS if f"limit_{unit}" in document)
    alerts: Sequence[Firing] = document["alerts"]
    ends = document["window_end"]

    def amount(name: str) -> Decimal | None:
        text = document.get(f"{name}_{unit}")
        return None if text is None else Decimal(text)

    return BudgetSample(
        ts=at,
        node=node,
        budget=document["name"],
        key=", ".join(f"{name}={value}" for name, value in document["key"].items()),
        unit=unit,
        state=document["state"],
        action=document["action"],
        window_start=datetime.fromisoformat(document["window_start"]),
        window_end=None if ends is None else datetime.fromisoformat(ends),
        limit_amount=amount("limit"),
        spent=amount("spent"),
        counted=amount("counted"),
        reserved=amount("reserved"),
        forecast=amount("forecast"),
        forecast_low=amount("forecast_low"),
        forecast_high=amount("forecast_high"),
        unknown_calls=document["unknown_calls"] or 0,
        refused_calls=document["refused_calls"] or 0,
        alerts=[one.threshold for one in alerts],
    )


def _percent(document: Mapping[str, Any]) -> Decimal:
    return Decimal(document["percent"] or -1)
