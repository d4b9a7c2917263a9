"""What to tell of a budget, as notices: crossed thresholds, forecasts, anomalies, ends."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from exporters.notify.alert import Severity
from exporters.notify.notice import Fact, Notice, one_line, plain
from pricing.anomaly import Anomaly
from pricing.budget import Budget, Key, alert_id, percent
from pricing.budget_state import HUNDRED, Crossing, Spend
from pricing.forecast import HOUR, Forecast
from pricing.window import Window

# An id may come again until its window is over; clocks of machines and late rows get this long.
GRACE = timedelta(days=1)
UNITS = {"usd": "USD", "tokens": "tokens", "calls": "calls"}
# Names of the facts by unit, in full so that they can be found.
SPENT = {"usd": "spent_usd", "tokens": "spent_tokens", "calls": "spent_calls"}
LIMIT = {"usd": "limit_usd", "tokens": "limit_tokens", "calls": "limit_calls"}
VALUE_MAX = 256  # characters of a caller's value


def threshold_notice(crossing: Crossing, at: datetime) -> Notice:
    """One message: it names the highest threshold and lists all that were crossed."""
    budget, spend = crossing.budget, crossing.spend
    highest = percent(crossing.highest)
    reached = spend.refused and spend.counted * HUNDRED < crossing.highest * (budget.limit or 0)
    if budget.hide_amounts:
        text = f"{_whose(budget, crossing.key)} reached {highest} % of its limit."
    elif reached:
        text = (
            f"{_whose(budget, crossing.key)} refused a call: {_amount(budget, spend.committed)} of "
            f"{_amount(budget, budget.limit)} are spent or held back."
        )
    else:
        text = (
            f"{_whose(budget, crossing.key)} has spent {_amount(budget, spend.counted)}, "
            f"at least {highest} % of {_amount(budget, budget.limit)}."
        )
    facts: dict[str, Fact] = {
        "threshold": _number(crossing.highest),
        "thresholds": tuple(_number(one) for one in crossing.thresholds),
        **_spend_facts(budget, spend),
    }
    return _notice(
        "budget",
        budget,
        crossing.key,
        crossing.window,
        threshold=highest,
        title=f"{_whose(budget, crossing.key)} at {highest} %",
        text=text,
        severity=_severity(crossing.highest),
        at=at,
        facts=facts,
        also=crossing.ids[:-1],
    )


def forecast_notice(
    budget: Budget, key: Key, spend: Spend, forecast: Forecast, at: datetime
) -> Notice:
    """The limit will probably be exceeded."""
    text = f"{_whose(budget, key)} will probably exceed its limit before the window ends."
    facts: dict[str, Fact] = {"threshold": "forecast", "thresholds": ("forecast",)}
    facts |= _spend_facts(budget, spend)
    if forecast.little_history:
        text += " This is a rough forecast from little history."
    facts["little_history"] = forecast.little_history
    if not budget.hide_amounts:
        text = (
            f"{text[:-1]}: {_amount(budget, forecast.amount)} of {_amount(budget, budget.limit)}."
        )
        unit = budget.unit
        facts[f"forecast_{unit}"] = _text(forecast.amount)
        for name, bound in (("low", forecast.low), ("high", forecast.high)):
            facts[f"forecast_{name}_{unit}"] = None if bound is None else _text(bound)
    return _notice(
        "forecast",
        budget,
        key,
        forecast.window,
        threshold="forecast",
        title=f"{_whose(budget, key)} will probably exceed its limit",
        text=text,
        severity="warning",
        at=at,
        facts=facts,
    )


def anomaly_notice(budget: Budget, key: Key, anomaly: Anomaly, at: datetime) -> Notice:
    """An unusual hour: the value, what is usual, and who contributed most."""
    window = Window(anomaly.hour, anomaly.hour + HOUR)
    usual = "" if anomaly.usual is None else f", usually {_amount(budget, anomaly.usual)}"
    weeks = "" if anomaly.usual is None else f" (median of {anomaly.weeks} weeks)"
    most = ", ".join(
        f"{one_line(name)} {_amount(budget, usd)}" for name, usd in anomaly.contributors
    )
    text = (
        f"{_whose(budget, key)} spent {_amount(budget, anomaly.amount)} in one hour{usual}{weeks}."
    )
    facts: dict[str, Fact] = {"weeks": anomaly.weeks}
    if budget.hide_amounts:
        text = f"{_whose(budget, key)} spent unusually much in one hour."
    else:
        text += f" Most came from {most}." if most else ""
        facts[SPENT[budget.unit]] = _text(anomaly.amount)
        facts[f"usual_{budget.unit}"] = None if anomaly.usual is None else _text(anomaly.usual)
        facts["contributors"] = {name: _text(usd) for name, usd in anomaly.contributors}
    return _notice(
        "anomaly",
        budget,
        key,
        window,
        threshold="anomaly",
        title=f"{_whose(budget, key)}: unusual spend",
        text=text,
        severity="warning",
        at=at,
        facts=facts,
    )


def resolved_notice(
    id: str, budget: Budget, key: Key, started_at: datetime, at: datetime
) -> Notice:
    """The end of the alert `id`: its window is over, or a rolling one fell below the threshold."""
    return Notice(
        id=plain(id),
        kind="budget",
        name=budget.name,
        title=_whose(budget, key),
        text="The window is over." if budget.windows.resets else "The spend is lower again.",
        severity="info",
        started_at=started_at,
        ended_at=at,
        until=at + GRACE,
        labels=_labels(budget, key, id.rpartition(":")[2]),
        facts={"budget": budget.name, "scope": _scope(budget, key)},
    )


def _notice(  # the facts that all have come last, for they are the same each time
    kind: str,
    budget: Budget,
    key: Key,
    window: Window,
    *,
    threshold: str,
    title: str,
    text: str,
    severity: Severity,
    at: datetime,
    facts: Mapping[str, Fact],
    also: tuple[str, ...] = (),
) -> Notice:
    every: dict[str, Fact] = {
        "budget": budget.name,
        **facts,
        "scope": _scope(budget, key),
        "action": budget.action,
        "period": budget.period,
        "timezone": budget.timezone,
        "window": window.id,
        "window_start": window.start.isoformat(),
        "window_end": None if window.end is None else window.end.isoformat(),
    }
    return Notice(
        id=plain(alert_id(budget, key, window, threshold)),
        kind="forecast" if kind == "forecast" else "anomaly" if kind == "anomaly" else "budget",
        name=budget.name,
        title=plain(title),
        text=plain(text),
        severity=severity,
        started_at=at,
        also=tuple(map(plain, also)),
        until=None if window.end is None else window.end + GRACE,
        labels=_labels(budget, key, threshold),
        facts=every,
    )


def _spend_facts(budget: Budget, spend: Spend) -> dict[str, Fact]:
    counts: dict[str, Fact] = {"unknown_calls": spend.unknown_calls, "refused_calls": spend.refused}
    if budget.hide_amounts:
        return counts
    unit = budget.unit
    limit = budget.limit
    return {
        SPENT[unit]: _text(spend.counted),
        LIMIT[unit]: None if limit is None else _text(limit),
        f"reserved_{unit}": _text(spend.reserved),
        f"uncertain_{unit}": _text(spend.uncertain),
        **counts,
    }


def _scope(budget: Budget, key: Key) -> dict[str, str]:
    """The scope with each `*` replaced by its value."""
    values = {**budget.scope, **dict(key)}
    return {plain(name): plain(value)[:VALUE_MAX] for name, value in values.items()}


def _labels(budget: Budget, key: Key, threshold: str) -> dict[str, str]:
    values = {name: plain(value)[:VALUE_MAX] for name, value in key}
    return {"budget": budget.name, "threshold": threshold, **values}


def _whose(budget: Budget, key: Key) -> str:
    values = ", ".join(f"{name} {one_line(value)[:VALUE_MAX] or '(none)'}" for name, value in key)
    return f"Budget {budget.name} ({values})" if values else f"Budget {budget.name}"


def _severity(threshold: Decimal) -> Severity:
    """Half is for information, nearly all is a warning, all is critical."""
    if threshold >= HUNDRED:
        return "critical"
    return "warning" if threshold >= 80 else "info"


def _number(threshold: Decimal) -> int | float | str:
    return int(threshold) if threshold == int(threshold) else float(threshold)


def _amount(budget: Budget, amount: Decimal | None) -> str:
    """For people; the facts have every digit."""
    if amount is None:
        return "no limit"
    if budget.unit != "usd":
        return f"{amount:,.0f} {UNITS[budget.unit]}"
    shown = f"{amount:,.2f}" if amount >= 1 else f"{amount:.6f}"
    return f"{shown} USD"


def _text(amount: Decimal) -> str:
    return f"{amount:f}"
