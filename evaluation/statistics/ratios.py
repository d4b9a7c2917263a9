"""Ratios of sums: cost per success, time to success.

r = Σc/Σs over all attempts, never the mean of ratios, which is cost-of-pass
(https://arxiv.org/html/2504.13359v2) and infinite where a case never succeeds.  By the delta method
Var(r) ≈ Var(c - r·s)/(n·s̄²), clustered, taken on the logarithm: a cost is above 0 and skewed.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaluation.statistics.clusters import Clusters, Floats, case_means, clustered
from evaluation.statistics.interval import CONFIDENCE, Interval, ordered
from evaluation.statistics.means import zero_events_bound


@dataclass(frozen=True, slots=True)
class CostPerSuccess:
    """What a success costs, and how many there were.

    `interval` reaches from the low end at the least possible cost to the high end at the most;
    `value` is what is surely billed, `most` the same with all ambiguous attempts billed.  Without a
    success both are None, and `interval.low` is what a success costs at least.
    """

    interval: Interval
    most: float | None
    successes: float
    cases: int


def cost_per_success(
    costs: ArrayLike,
    successes: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    ambiguous: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> CostPerSuccess:
    """Cost of all attempts over their successes, each (cases,), or (cases, K) for K samples.

    `costs` in USD hold every attempt of a case: retries, refusals, failures.  `successes` are from
    0 to 1; a penalty, down to -1, is taken off.  `ambiguous` is what may have been billed on top,
    such as for a call that was cut.  Raises ValueError for no cases, differing lengths, or a
    negative cost.
    """
    paid, won = case_means(costs), case_means(successes)
    more = np.zeros_like(paid) if ambiguous is None else case_means(ambiguous)
    if not paid.shape == won.shape == more.shape:
        raise ValueError("costs, successes and ambiguous need the same cases")
    if bool(np.any(paid < 0)) or bool(np.any(more < 0)):
        raise ValueError("a cost is not negative")
    if bool(np.any(np.abs(won) > 1)):
        raise ValueError("successes are at most 1 each")
    groups = clustered(len(paid), clusters)
    if won.sum() <= 0:
        mean_cost = groups.mean(paid)
        bound = mean_cost / zero_events_bound(groups.effective, confidence=confidence)
        return CostPerSuccess(Interval(None, bound, None), None, 0.0, len(paid))
    least = _ratio(paid, won, groups, confidence)
    most = _ratio(paid + more, won, groups, confidence) if bool(np.any(more > 0)) else least
    interval = Interval(least.value, least.low, most.high)
    return CostPerSuccess(interval, most.value, float(won.sum()), len(paid))


def ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Σ numerators / Σ denominators by case, neither negative, such as seconds per success.

    The value is None where the denominators are all 0.  Raises ValueError as `cost_per_success`.
    """
    above, below = case_means(numerators), case_means(denominators)
    if above.shape != below.shape:
        raise ValueError("numerators and denominators need the same cases")
    if bool(np.any(above < 0)) or bool(np.any(below < 0)):
        raise ValueError("numerators and denominators are not negative")
    if not bool(np.any(below > 0)):
        return Interval(None, None, None)
    return _ratio(above, below, clustered(len(above), clusters), confidence)


def _ratio(above: Floats, below: Floats, groups: Clusters, confidence: float) -> Interval:
    value = groups.mean(above) / groups.mean(below)
    se = groups.se((above - value * below) / groups.mean(below))
    critical = groups.critical(confidence)
    if value == 0:
        return Interval(0.0, 0.0, None if se is None else 0.0)
    if se is None or math.isinf(critical):
        return Interval(value, None, None)
    factor = math.exp(min(critical * se / value, 700.0))  # e^710 is too much for a float
    return ordered(value, value / factor, value * factor)
