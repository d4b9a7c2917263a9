"""Budgets as documents for `/api/budgets`, and as metrics: exact decimals as text.  Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from exporters.series import Family, Labels, Value, gauge
from pricing.budget import percent
from pricing.budget_state import HUNDRED
from pricing.charge import plain
from pricing.forecast import Forecast
from proxy.budgets.evaluation import Standing

UNKNOWN = "unknown"
STATES = ("unlimited", "ok", "warning", "spent", UNKNOWN)


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert of a budget that fires: its id and threshold, and since when."""

    id: str
    threshold: str
    since: datetime | None


def state_name(standing: Standing) -> str:
    """One of STATES."""
    found = standing.state
    return UNKNOWN if found is None else found.name


def document(
    standing: Standing, forecast: Forecast | None, alerts: Sequence[Firing], origin: str
) -> dict[str, object]:
    """One budget for one key.  Null is unknown, which is not 0."""
    budget, spend, window = standing.budget, standing.spend, standing.window
    unit, found = budget.unit, standing.state
    known = spend is not None
    amounts = {
        "limit": budget.limit,
        "spent": spend.spent if spend else None,
        **({"unknown": spend.unknown if spend else None} if unit == "usd" else {}),
        "counted": spend.counted if spend else None,
        "reserved": spend.reserved if spend else None,
        "uncertain": spend.uncertain if spend else None,
        "left": found.left if found else None,
        "forecast": forecast.amount if forecast else None,
        "forecast_low": forecast.low if forecast else None,
        "forecast_high": forecast.high if forecast else None,
    }
    return {
        "name": budget.name,
        "origin": origin,
        "scope": dict(budget.scope),
        "key": dict(standing.key),
        "period": budget.period,
        "timezone": budget.timezone,
        "window_start": window.start.isoformat(),
        "window_end": None if window.end is None else window.end.isoformat(),
        "state": state_name(standing),
        "percent": None if found is None or found.percent is None else _short(found.percent),
        **{f"{name}_{unit}": _text(amount) for name, amount in amounts.items()},
        "unknown_calls": spend.unknown_calls if spend else None,
        "unmeasured_calls": standing.unmeasured_calls if known else None,
        "unknown_by": {name: plain(amount) for name, amount in standing.by_ceiling},
        "refused_calls": spend.refused if spend else None,
        "forecast_method": forecast.method if forecast else None,
        "thresholds": [percent(one) for one in budget.thresholds],
        "action": budget.action,
        "notify": list(budget.notify),
        "alerts": alerts,
        "as_of": None if standing.as_of is None else standing.as_of.isoformat(),
    }


def families(standings: Iterable[Standing]) -> Iterator[Family]:
    """Metrics of each budget; of one with `*`, those of the key that used most."""
    fullest: dict[str, Standing] = {}
    for one in standings:
        held = fullest.get(one.budget.name)
        if held is None or _used(one) > _used(held):
            fullest[one.budget.name] = one
    points: dict[str, list[tuple[Labels, Value]]] = {name: [] for name in _GAUGES}
    for name, one in fullest.items():
        labels: Labels = (("taximeter.budget", name), ("taximeter.unit", one.budget.unit))
        points["state"] += [
            ((("taximeter.budget", name), ("taximeter.state", each)), int(each == state_name(one)))
            for each in STATES
        ]
        if one.spend is None:
            continue
        points["spent"].append((labels, one.spend.counted))
        points["reserved"].append((labels, one.spend.reserved))
        points["uncertain"].append((labels, one.spend.uncertain))
        if (limit := one.budget.limit) is not None:
            points["limit"].append((labels, limit))
            if limit:
                points["used"].append((labels, one.spend.counted / limit))
        refused = one.spend.refused
        points["refused_calls"].append(((("taximeter.budget", name),), refused))
        points["unknown_calls"].append(((("taximeter.budget", name),), one.spend.unknown_calls))
    for key, (unit, help) in _GAUGES.items():
        if points[key]:
            yield gauge(f"taximeter.budget.{key}", unit, help, *points[key])


_GAUGES: Mapping[str, tuple[str, str]] = {
    "spent": ("", "What a budget's window holds: USD, tokens or calls, unknown prices included."),
    "limit": ("", "The limit, in the same unit."),
    "used": ("1", "The share of the limit that is spent."),
    "reserved": ("", "What open calls hold back."),
    "uncertain": ("", "What cut calls may have cost beyond their rows."),
    "unknown_calls": ("{call}", "Calls in the window whose price, or tokens, are unknown."),
    "refused_calls": ("{call}", "Calls that the budget refused in this window, or would have."),
    "state": ("", "1 for the budget's state, 0 for the others."),
}


def _used(standing: Standing) -> Decimal:
    if standing.spend is None:
        return Decimal(-1)
    limit = standing.budget.limit
    return standing.spend.counted / limit if limit else standing.spend.counted


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _short(share: Decimal) -> str:
    """Percent with at most two places, cut and not rounded: 99.999 is not yet 100."""
    return plain((share * HUNDRED).to_integral_value("ROUND_DOWN") / HUNDRED)
