"""An estimate with its interval, and what stands where there is none.

None is unknown: a `value` of None has no estimate, and a bound of None is not known on that side.
"""

import math
from dataclasses import dataclass

CONFIDENCE = 0.95  # of every interval, unless the caller asks for another


def together(count: int, *, confidence: float = CONFIDENCE) -> float:
    """The confidence of each of `count` intervals that hold together with `confidence`.

    Bonferroni's: right whatever they have in common, and for the one that is chosen by its value.
    """
    return 1 - (1 - confidence) / max(count, 1)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval that covers the truth in `CONFIDENCE` of all runs."""

    value: float | None
    low: float | None
    high: float | None

    def __post_init__(self) -> None:
        known = [each for each in (self.low, self.value, self.high) if each is not None]
        if any(not math.isfinite(each) for each in known) or known != sorted(known):
            raise ValueError(f"low ≤ value ≤ high must be finite: {self}")

    def __contains__(self, truth: float) -> bool:
        """Whether neither bound excludes `truth`."""
        above = self.low is None or self.low <= truth
        return above and (self.high is None or truth <= self.high)

    def document(self) -> dict[str, float | None]:
        """For JSON, with every digit."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, share or difference with its standard error.

    `critical` is how many standard errors a half interval has, as cluster sizes require.  `se` is
    None for a single cluster, from which nothing can be told.
    """

    interval: Interval
    se: float | None
    critical: float
    cases: int
    clusters: int

    @property
    def value(self) -> float:
        """The estimate itself, which is always known."""
        if self.interval.value is None:  # pragma: no cover
            raise ValueError("an estimate has a value")
        return self.interval.value

    @property
    def low(self) -> float | None:
        return self.interval.low

    @property
    def high(self) -> float | None:
        return self.interval.high


@dataclass(frozen=True, slots=True)
class Refused:
    """No estimate, and why, as a sentence; `bounds` is what can be said all the same."""

    why: str
    coverage: float | None = None  # share of the cases about which anything is known
    bounds: Interval | None = None


def ordered(value: float, low: float, high: float) -> Interval:
    """An interval whose bounds may miss its value by rounding."""
    return Interval(value, min(low, value), max(high, value))
