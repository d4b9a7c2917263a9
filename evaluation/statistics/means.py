"""Means, shares and paired differences, each with an interval that knows its clusters.

Use `share` and `share_difference` for scores from 0 to 1 (right or wrong, or the mean of K such
samples): they stay honest where all cases agree.  `mean` and `difference` are for any scale.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from evaluation.statistics.clusters import Clusters, Floats, case_means, clustered
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval, ordered
from evaluation.statistics.quantiles import normal_quantile

Labels = Sequence[Hashable] | None
NOTHING = 1e-12  # a standard error below it is rounding


def mean(
    scores: ArrayLike,
    clusters: Labels = None,
    *,
    weights: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The mean of scores of any scale, (cases,) or (cases, K), with a clustered interval.

    Bounds are None for a single cluster.  Raises ValueError for no cases or a missing score.
    """
    values = case_means(scores)
    groups = clustered(len(values), clusters, weights)
    return _symmetric(values, groups, confidence)


def share(
    scores: ArrayLike,
    clusters: Labels = None,
    *,
    weights: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The mean of scores from 0 to 1 with Wilson's interval at the effective number of cases.

    That is p(1-p)/se², as in surveys (Franco et al. 2019, J. Surv. Stat. Methodol. 7:334).  Where
    all cases are wrong or all right, the standard error says nothing, and each cluster counts as
    one case.  Raises ValueError as `mean`, and for a score outside 0 to 1.
    """
    values = _bounded(scores)
    groups = clustered(len(values), clusters, weights)
    p, se = min(max(groups.mean(values), 0.0), 1.0), groups.se(values)
    critical = groups.critical(confidence)
    if se is None or math.isinf(critical):
        interval = Interval(p, 0.0, 1.0)
    elif bool(np.all(values == values[0])) and p not in (0.0, 1.0):
        interval = Interval(p, p, p)
    else:
        agreed = p in (0.0, 1.0) or se < NOTHING
        cases = groups.effective if agreed else p * (1 - p) / se**2
        interval = ordered(p, *wilson_at(p, cases, critical))
    return Estimate(interval, se, critical, len(values), groups.count)


def difference(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Labels = None,
    *,
    weights: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """`first` minus `second`, paired by case; each (cases,) or (cases, K), K may differ.

    Two models answer the same cases, so what makes a case hard cancels.  Raises ValueError as
    `mean`, and if the numbers of cases differ.
    """
    return _symmetric(
        paired := _paired(case_means(first), case_means(second)),
        clustered(len(paired), clusters, weights),
        confidence,
    )


def share_difference(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Labels = None,
    *,
    weights: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """As `difference`, for scores from 0 to 1: never a point where few cases disagree.

    Half a case is added to each cell of the four-fold table (Agresti and Min 2005, Stat. Med.
    24:729).  Where no case disagrees, the bounds are the highest rate of disagreement that may stay
    unseen, each cluster counting as one case.  `value` and `se` are those of `difference`.
    """
    paired = _paired(_bounded(first), _bounded(second))
    groups = clustered(len(paired), clusters, weights)
    plain = _symmetric(paired, groups, confidence)
    if plain.se is None or math.isinf(plain.critical):
        interval = Interval(plain.value, -1.0, 1.0)
    elif plain.se < NOTHING:
        half = zero_events_bound(groups.effective, confidence=(1 + confidence) / 2)
        low, high = plain.value - half, plain.value + half
        interval = ordered(plain.value, max(low, -1.0), min(high, 1.0))
    else:
        cases = groups.total**2 / float(np.sum(groups.weights**2))
        centre = plain.value * cases / (cases + 2)
        spread = (plain.se * cases) ** 2 + 1 + 2 * plain.value**2 * cases / (cases + 2)
        half = plain.critical * math.sqrt(spread) / (cases + 2)
        interval = ordered(plain.value, max(centre - half, -1.0), min(centre + half, 1.0))
    return Estimate(interval, plain.se, plain.critical, plain.cases, plain.clusters)


def wilson(successes: float, trials: float, *, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's interval of a share of independent trials.  Raises ValueError for no trials."""
    if not 0 <= successes <= trials or trials <= 0:
        raise ValueError(f"{successes} successes of {trials} trials")
    p = successes / trials
    return ordered(p, *wilson_at(p, trials, normal_quantile((1 + confidence) / 2)))


def wilson_at(p: float, cases: float, critical: float) -> tuple[float, float]:
    """The shares that `p` is within `critical` of their own standard errors of (Wilson 1927).

    `cases` are independent ones, or as many as the standard error is worth: p(1-p)/se².
    """
    squared = critical**2 / cases
    centre = (p + squared / 2) / (1 + squared)
    half = critical * math.sqrt(p * (1 - p) / cases + squared / (4 * cases)) / (1 + squared)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def zero_events_bound(trials: float, *, confidence: float = CONFIDENCE) -> float:
    """The highest rate that still lets no event happen in so many trials: about 3/n.

    One-sided: a rate above it would have shown an event with probability `confidence`.
    """
    if trials <= 0:
        return 1.0
    return float(-math.expm1(math.log1p(-confidence) / trials))


def _symmetric(values: Floats, groups: Clusters, confidence: float) -> Estimate:
    value, se = groups.mean(values), groups.se(values)
    critical = groups.critical(confidence)
    if se is None or math.isinf(critical):
        interval = Interval(value, None, None)
    else:
        interval = Interval(value, value - critical * se, value + critical * se)
    return Estimate(interval, se, critical, len(values), groups.count)


def _bounded(scores: ArrayLike) -> Floats:
    values = case_means(scores)
    if bool(np.any((values < 0) | (values > 1))):
        raise ValueError("a share needs scores from 0 to 1")
    return values


def _paired(first: Floats, second: Floats) -> Floats:
    if first.shape != second.shape:
        raise ValueError(f"pairs need the same cases: {len(first)} and {len(second)}")
    return first - second
