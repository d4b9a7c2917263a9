"""Ratios of sums: cost per success, time to success.

r = Σc/Σs over all attempts, never the mean of ratios, which is cost-of-pass
(https://arxiv.org/html/2504.13359v2) and infinite where a case never succeeds.  By the delta method
Var(r) ≈ Var(c - r·s)/(n·s̄²), clustered, on the logarithm and corrected for skewness (`skewed`).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaluation.statistics.clusters import Clusters, Floats, case_means, clustered
from evaluation.statistics.interval import CONFIDENCE, Interval
from evaluation.statistics.means import zero_events_bound
from evaluation.statistics.skewed import log_interval


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
    critical = groups.critical(confidence)
    least = _ratio(paid, won, groups, critical)
    most = _ratio(paid + more, won, groups, critical) if bool(np.any(more > 0)) else least
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
    groups = clustered(len(above), clusters)
    return _ratio(above, below, groups, _critical(below, groups, confidence))


def weighted_ratio(
    values: Floats,
    above: Floats,
    below: Floats,
    groups: Clusters,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The ratio of two weighted means of the same values, neither negative: Σax/Σa over Σbx/Σb.

    Such as costs of two arms by the inverse of their propensities (Hájek).  Without a value where
    one of the means is not above 0.
    """
    means = [float(each @ values / each.sum()) if each.sum() else 0.0 for each in (above, below)]
    if min(means) <= 0:
        return Interval(None, None, None)
    up, down = (
        weights * (values - mean) / (weights.mean() * mean)
        for weights, mean in zip((above, below), means, strict=True)
    )
    return log_interval(means[0] / means[1], up, down, groups, groups.critical(confidence))


def _ratio(above: Floats, below: Floats, groups: Clusters, critical: float) -> Interval:
    means = groups.mean(above), groups.mean(below)
    value = means[0] / means[1]
    if value == 0:
        return Interval(0.0, 0.0, None if groups.count < 2 else 0.0)
    return log_interval(value, above / means[0] - 1, below / means[1] - 1, groups, critical)


def _critical(below: Floats, groups: Clusters, confidence: float) -> float:
    """Of amounts, which weigh each cluster by its denominators: few large ones are few.

    Half as much as these, as errors do not grow with amounts in full either.
    """
    held = groups.weights * (below / groups.mean(below) + 1)
    return Clusters(groups.codes, held, groups.count).critical(confidence)
