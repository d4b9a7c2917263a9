"""Counters and histograms by label: exact sums, a bounded number of series.  Pure.

Quantities are whole numbers of the smallest unit (microseconds, attodollars), so that no sum
drifts; they become decimals when read.  Callers keep label values few; beyond `SERIES_MAX` label
sets of one name, further ones are counted together as `other`.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from itertools import accumulate
from typing import Literal

SERIES_MAX = 2_000  # label sets of one name, as in the OpenTelemetry SDK
OTHER = "other"
_WIDE = Context(prec=100)  # a sum is never rounded here

MetricKind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str | int], ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counts of values by bucket; each bound is inclusive, the last count is above all bounds."""

    bounds: tuple[Decimal, ...]
    counts: tuple[int, ...]
    sum: Decimal

    @property
    def count(self) -> int:
        return sum(self.counts)

    def cumulative(self) -> tuple[int, ...]:
        """The counts as Prometheus expects them: each includes those below."""
        return tuple(accumulate(self.counts))


Value = Decimal | int | float | Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric and the current values of all its series.

    `name` follows OpenTelemetry and `unit` UCUM.  `lasting` counters survive a restart, so they
    did not start with this process.
    """

    name: str
    kind: MetricKind
    unit: str
    help: str
    points: Sequence[tuple[Labels, Value]]
    lasting: bool = False


@dataclass(slots=True, kw_only=True)
class Counter:
    """Sums that only grow; `add` takes multiples of 10 ** -`places`."""

    name: str
    unit: str
    help: str
    places: int = 0
    _sums: dict[Labels, int] = field(default_factory=dict)

    def add(self, labels: Labels, units: int = 1) -> None:
        labels = _within(self._sums, labels)
        self._sums[labels] = self._sums.get(labels, 0) + units

    def family(self) -> Family:
        points = [
            (labels, _decimal(units, self.places) if self.places else units)
            for labels, units in self._sums.items()
        ]
        return Family(name=self.name, kind="counter", unit=self.unit, help=self.help, points=points)

    def total(self) -> Decimal:
        """The sum over all labels."""
        return _decimal(sum(self._sums.values()), self.places)


@dataclass(slots=True, kw_only=True)
class Histogram:
    """Distributions; `add` takes multiples of 10 ** -`places`, `bounds` are in `unit`."""

    name: str
    unit: str
    help: str
    bounds: tuple[Decimal, ...]
    places: int = 0
    _cells: dict[Labels, list[int]] = field(default_factory=dict)  # counts, then the sum

    def add(self, labels: Labels, units: int) -> None:
        labels = _within(self._cells, labels)
        cell = self._cells.setdefault(labels, [0] * (len(self.bounds) + 2))
        cell[bisect_left(self.bounds, _decimal(units, self.places))] += 1
        cell[-1] += units

    def family(self) -> Family:
        points = [
            (labels, Distribution(self.bounds, tuple(counts), _decimal(units, self.places)))
            for labels, (*counts, units) in self._cells.items()
        ]
        return Family(
            name=self.name, kind="histogram", unit=self.unit, help=self.help, points=points
        )


def gauge(name: str, unit: str, help: str, *points: tuple[Labels, Value]) -> Family:
    """A metric of current values."""
    return Family(name=name, kind="gauge", unit=unit, help=help, points=points)


def _within(held: Mapping[Labels, object], labels: Labels) -> Labels:
    """`labels`, or those of the series that stands in for all beyond the limit."""
    if labels in held or len(held) < SERIES_MAX - 1:
        return labels
    return tuple((name, OTHER) for name, value in labels if isinstance(value, str))


def _decimal(units: int, places: int) -> Decimal:
    return Decimal(units).scaleb(-places, context=_WIDE)
