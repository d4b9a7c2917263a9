"""What candidates are compared by: one table of metrics, their units, and what they are worth.

The ends of a scale are the user's own anchors.  Where the user gives none, those of this table
apply; they are the same for all candidates, so a newcomer never reverses the order of two others.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from evaluation.frontier.frontier import Better
from evaluation.frontier.score import Scale
from proxy.query.asked import near

Unit = Literal["usd", "s", "share"]


@dataclass(frozen=True, slots=True)
class Anchors:
    """What of a metric is worth 0 and what is worth 1."""

    zero: float
    one: float
    scale: Scale = "linear"


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table."""

    name: str
    title: str
    unit: Unit
    better: Better
    meaning: str
    anchors: Anchors
    also: tuple[str, ...] = ()  # other names


# RouterArena's ends: $200 and $0.0044 for 1,000 queries, on a log scale.
_USD = Anchors(0.2, 0.0000044, "log")
_TOTAL, _TTFT = Anchors(60.0, 0.6, "log"), Anchors(10.0, 0.1, "log")
_SHARE, _ERRORS = Anchors(0.0, 1.0), Anchors(1.0, 0.0)

_TABLE = (
    Metric("cost_per_success", "cost per success", "usd", "low",
           "cost of all calls over what succeeded", _USD, ("cost",)),
    Metric("cost_per_call", "cost per call", "usd", "low", "cost of all calls over calls", _USD),
    Metric("p95_total", "p95 total", "s", "low",
           "95 of 100 calls took no longer", _TOTAL, ("latency", "p95", "p95_duration")),
    Metric("p50_total", "median total", "s", "low", "half of the calls took no longer", _TOTAL,
           ("p50", "p50_duration")),
    Metric("p95_ttft", "p95 first token", "s", "low",
           "the same up to the first token, of streamed calls", _TTFT, ("ttft",)),
    Metric("p50_ttft", "median first token", "s", "low", "the median of it", _TTFT),
    Metric("quality", "quality", "share", "high",
           "right answers of the run; without one the success rate", _SHARE),
    Metric("safety", "safety", "share", "high",
           "harmful requests of the run that were not complied with", _SHARE),
    Metric("success_rate", "success rate", "share", "high",
           "calls that succeeded: as feedback says, else by how they ended", _SHARE, ("success",)),
    Metric("error_rate", "error rate", "share", "low", "calls that did not end ok", _ERRORS,
           ("errors",)),
)  # fmt: skip
METRICS: Mapping[str, Metric] = {one.name: one for one in _TABLE}
NAMES: Mapping[str, Metric] = {
    **METRICS,
    **{other: one for one in _TABLE for other in one.also},
}

_VALUE = re.compile(r"\$?([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(ms|s|m|min|usd|%|)", re.IGNORECASE)
_UNITS: Mapping[Unit, Mapping[str, float]] = {
    "usd": {"": 1.0, "usd": 1.0},
    "s": {"s": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0},
    "share": {"": 1.0, "%": 0.01},
}
_SHAPES: Mapping[Unit, str] = {
    "usd": "an amount such as 0.002 or $0.002",
    "s": "a time with its unit, such as 800ms or 1.5s",
    "share": "a share such as 0.9 or 90%",
}


def metric(name: str, option: str) -> Metric:
    """The metric of that name.  Raises ValueError for an unknown one, with what was meant."""
    found = NAMES.get(name.strip())
    if found is None:
        raise ValueError(f"{option}: unknown metric {name.strip()[:100]!r}; {near(name, NAMES)}")
    return found


def value_of(text: str, of: Metric, option: str) -> float:
    """A value in the metric's unit.  Raises ValueError that says what was expected."""
    found = _VALUE.fullmatch(text.strip())
    factor = _UNITS[of.unit].get(found[2].lower()) if found else None
    if found is None or factor is None or ("$" in text and of.unit != "usd"):
        raise ValueError(
            f"{option}: {text.strip()[:100]!r} is no value of {of.name};"
            f" expected {_SHAPES[of.unit]}"
        )
    value = float(found[1]) * factor
    if of.unit == "share" and value > 1:
        raise ValueError(f"{option}: {of.name} is from 0 to 1, or 0% to 100%: {text.strip()!r}")
    return value


def words(given: Iterable[str]) -> list[str]:
    """The words of an option, also of those with commas."""
    return [word.strip() for one in given for word in one.split(",") if word.strip()]
