"""One number from several measures: hard limits first, then weighted utilities between anchors.

The user says what is worth 0 and what is worth 1 ("$0.02 = 0, $0.002 = 1").  Utilities depend on
nothing else, so a new candidate never reverses the order of two others, as it may where the best
and worst of the candidates are the ends of the scale.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.statistics.clusters import Floats

Scale = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """A measure with its weight, what of it is worth 0 and 1, and what excludes a candidate.

    `limit` is the worst value allowed; whether above or below it is worse follows from the anchors.
    """

    name: str
    weight: float
    zero: float
    one: float
    scale: Scale = "linear"
    limit: float | None = None

    def __post_init__(self) -> None:
        if not self.weight >= 0 or not math.isfinite(self.weight):
            raise ValueError(f"{self.name}: a weight is 0 or more")
        if self.zero == self.one:
            raise ValueError(f"{self.name}: the anchors of 0 and 1 must differ")
        if self.scale == "log" and min(self.zero, self.one) <= 0:
            raise ValueError(f"{self.name}: anchors on a log scale are above 0")

    def utility(self, values: Floats) -> Floats:
        """From 0 to 1; beyond an anchor nothing is gained or lost.  NaN stays NaN."""
        if self.scale == "log":
            with np.errstate(divide="ignore"):  # a cost of 0 is beyond the anchor
                along = np.log(np.maximum(values, 0.0)) - math.log(self.zero)
            return np.clip(along / math.log(self.one / self.zero), 0.0, 1.0)
        return np.clip((values - self.zero) / (self.one - self.zero), 0.0, 1.0)

    def allows(self, values: Floats) -> Floats:
        """1 within the limit and NaN beyond it."""
        if self.limit is None:
            return np.ones_like(values)
        kept = values >= self.limit if self.one > self.zero else values <= self.limit
        return np.where(kept, 1.0, np.nan)


@dataclass(frozen=True, slots=True)
class Region:
    """The weights of one criterion, as a share of all, at which the winner stays the winner.

    The other weights keep their proportions.
    """

    weight: float
    low: float
    high: float


def score(criteria: Sequence[Criterion], measures: Floats) -> Floats:
    """Σwₖ·uₖ/Σwₖ of measures (…, candidates, criteria).

    NaN beyond a limit, and where a measure that has a weight is missing.
    """
    total = np.zeros(measures.shape[:-1])
    for at, (criterion, weight) in enumerate(zip(criteria, _shares(criteria), strict=True)):
        values = measures[..., at]
        worth = weight * criterion.utility(values) if weight else 0.0
        total = (total + worth) * criterion.allows(values)
    return total


def swings(criteria: Sequence[Criterion], measures: Floats) -> dict[str, float]:
    """How much of what sets these candidates apart is due to each criterion, as shares.

    Its weight times the range of its utilities among (candidates, criteria): a heavy weight decides
    nothing where all candidates are alike.  All 0 where nothing differs.
    """
    weights = _shares(criteria)
    ranges = {
        each.name: weights[at] * float(np.ptp(_known(each.utility(measures[:, at]))))
        for at, each in enumerate(criteria)
    }
    whole = sum(ranges.values())
    return {name: (span / whole if whole else 0.0) for name, span in ranges.items()}


def regions(criteria: Sequence[Criterion], measures: Floats) -> Mapping[str, Region]:
    """For each criterion the weights at which the winner among (candidates, criteria) stays it.

    Empty where no candidate is within all limits.
    """
    scores = score(criteria, measures)
    if not bool(np.any(np.isfinite(scores))):
        return {}
    winner, weights = int(np.nanargmax(scores)), _shares(criteria)
    utilities = np.stack(
        [each.utility(measures[:, at]) for at, each in enumerate(criteria)], axis=1
    )
    rivals = [at for at in np.flatnonzero(np.isfinite(scores)) if at != winner]
    ahead = utilities[winner] - utilities[rivals]  # (rivals, criteria)
    return {each.name: _region(ahead, weights, at) for at, each in enumerate(criteria)}


def _region(ahead: Floats, weights: Floats, at: int) -> Region:
    """Where w·ahead[at] + (1 - w)·(the rest in proportion) is at least 0 for every rival."""
    rest = np.delete(weights, at)
    shares = rest / rest.sum() if rest.sum() > 0 else rest
    own, others = ahead[:, at], np.delete(ahead, at, axis=1) @ shares
    low, high = 0.0, 1.0
    for gain, base in zip(own, others, strict=True):
        slope = gain - base
        if slope > 0:
            low = max(low, -base / slope)
        elif slope < 0:
            high = min(high, -base / slope)
    weight = float(weights[at])
    return Region(weight, min(low, weight), max(high, weight))


def _shares(criteria: Sequence[Criterion]) -> Floats:
    weights: Floats = np.asarray([each.weight for each in criteria], np.float64)
    if not weights.sum() > 0:
        raise ValueError("at least one weight is above 0")
    return np.asarray(weights / weights.sum(), np.float64)


def _known(values: Floats) -> Floats:
    known: Floats = values[np.isfinite(values)]
    return known if len(known) else np.zeros(1, np.float64)
