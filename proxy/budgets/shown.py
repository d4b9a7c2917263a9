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
UNKNOWN_USD = "unknown_usd"
# In full, so that they can be found; with a limit in another unit they end in _tokens or _calls.
AMOUNTS = (
    *("limit_usd", "spent_usd", UNKNOWN_USD, "counted_usd", "reserved_usd", "uncertain_usd"),
    *("left_usd", "forecast_usd", "forecast_low_usd", "forecast_high_usd"),
)
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
    amounts = (
        budget.limit,
        *((spend.spent, spend.unknown, spend.counted) if spend else (None,) * 3),
        *((spend.reserved, spend.uncertain) if spend else (None,) * 2),
        found.left if found else None,
        *((forecast.amount, forecast.low, forecast.high) if forecast else (None,) * 3),
    )
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
        **{
            name.replace("usd", unit): _text(amount)
            for name, amount in zip(AMOUNTS, amounts, strict=True)
            if unit == "usd" or name != UNKNOWN_USD  # only a price is estimated
        },
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
        points["taximeter.budget.state"] += [
            ((("taximeter.budget", name), ("taximeter.state", each)), int(each == state_name(one)))
            for each in STATES
        ]
        if one.spend is None:
            continue
        points["taximeter.budget.spent"].append((labels, one.spend.counted))
        points["taximeter.budget.reserved"].append((labels, one.spend.reserved))
        points["taximeter.budget.uncertain"].append((labels, one.spend.uncertain))
        if (limit := one.budget.limit) is not None:
            points["taximeter.budget.limit"].append((labels, limit))
            if limit:
                points["taximeter.budget.used"].append((labels, one.spend.counted / limit))
        refused = one.spend.refused
        points["taximeter.budget.refused_calls"].append(((("taximeter.budget", name),), refused))
        points["taximeter.budget.unknown_calls"].append(
            ((("taximeter.budget", name),), one.spend.unknown_calls)
        )
    for name, (unit, help) in _GAUGES.items():
        if points[name]:
            yield gauge(name, unit, help, *points[name])


def gate_families(status: Mapping[str, int]) -> Iterator[Family]:
    """What the relays of this machine did with the calls that a budget looked at."""
    points: list[tuple[Labels, Value]] = [
        ((("taximeter.result", name),), status[name]) for name in GATE if name in status
    ]
    if points:
        yield Family(
            name="taximeter.gate.calls",
            kind="counter",
            unit="{call}",
            help="Calls that a budget looked at before they were made, by what followed.",
            points=points,
            lasting=True,
        )


GATE = ("passed", "refused", "shadowed", "failed_open", "failed_closed")
_GAUGES: Mapping[str, tuple[str, str]] = {
    "taximeter.budget.spent": (
        "",
        "What a budget's window holds: USD, tokens or calls, unknown prices included.",
    ),
    "taximeter.budget.limit": ("", "The limit, in the same unit."),
    "taximeter.budget.used": ("1", "The share of the limit that is spent."),
    "taximeter.budget.reserved": ("", "What open calls hold back."),
    "taximeter.budget.uncertain": ("", "What cut calls may have cost beyond their rows."),
    "taximeter.budget.unknown_calls": (
        "{call}",
        "Calls in the window whose price, or tokens, are unknown.",
    ),
    "taximeter.budget.refused_calls": (
        "{call}",
        "Calls that the budget refused in this window, or would have.",
    ),
    "taximeter.budget.state": ("", "1 for the budget's state, 0 for the others."),
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
