"""Quantiles of one value by case, such as p95 of latencies, with intervals that know clusters.

Woodruff's interval (1952, J. Am. Stat. Assoc. 47:635): the quantiles at as many standard errors of
the share of cases below.  Latencies of one hour are slow together: pass their hours as clusters.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from evaluation.statistics.clusters import Clusters, Floats, case_means, clustered
from evaluation.statistics.interval import CONFIDENCE, Interval
from evaluation.statistics.means import NOTHING


def quantile(
    values: ArrayLike,
    at: float,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The value that a share of `at` of the values does not exceed; one row of any scale.

    Several samples of a case are values of one cluster.  A bound beyond the least or greatest value
    seen is None: an extreme quantile of few cases has no upper one.  Raises ValueError for no
    values, values that are not one row, and `at` outside 0 to 1.
    """
    if np.ndim(values) != 1:
        raise ValueError("a quantile needs one row of values")
    scores = case_means(values)
    return quantile_in(scores, at, clustered(len(scores), clusters), confidence=confidence)


def quantile_in(
    values: Floats, at: float, groups: Clusters, *, confidence: float = CONFIDENCE
) -> Interval:
    """The same for values whose clusters are known already."""
    if not 0 < at < 1:
        raise ValueError(f"a quantile is between 0 and 1: {at}")
    value = _at(values, at, groups)
    below = (values <= value).astype(np.float64)
    se, critical = groups.se(below), groups.critical(confidence)
    if se is None or math.isinf(critical):
        return Interval(value, None, None)
    if se < NOTHING:  # one value has all cases, or each cluster the same share below it
        se = math.sqrt(at * (1 - at) / groups.effective)
    low, high = at - critical * se, at + critical * se
    return Interval(
        value,
        min(_at(values, low, groups), value) if low > 0 else None,
        max(_at(values, high, groups), value) if high < 1 else None,
    )


def weighted_quantile(weights: Floats, values: Floats, at: float) -> Floats:
    """By row of `weights`, (replicates, cases), the least value that so much does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    wanted = at * reached[:, -1:] * (1 - 1e-12)
    return np.asarray(values[order][np.argmax(reached >= wanted, axis=1)], np.float64)


def _at(values: Floats, at: float, groups: Clusters) -> float:
    return float(weighted_quantile(groups.weights[None, :], values, at)[0])
