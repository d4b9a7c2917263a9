"""Looking again and again: intervals and tests that stay right however often somebody looks.

An ordinary 95 % interval that is looked at every week excludes the truth sooner or later.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.statistics.clusters import Floats, case_means
from evaluation.statistics.interval import CONFIDENCE, Interval
from proxy.gateway.canary import spread

EVENTS_MIN = 40  # of the rarer kind: with fewer, false alarms exceed 5 %


def look_confidence(look: int, comparisons: int = 1, *, confidence: float = CONFIDENCE) -> float:
    """The confidence of an ordinary interval at look number `look`, counted from 1, so that those
    of all looks and all `comparisons` hold together with `confidence`.

    The k-th look gets α/(k(k+1)), which adds up to α over all looks ever (Darling and Robbins 1967,
    PNAS 58:66): right whatever the looks have in common, such as their cases and the run that all
    are compared with.  `running_bounds` needs values that are independent.
    """
    if look < 1 or comparisons < 1:
        raise ValueError("looks and comparisons are counted from 1")
    return 1 - (1 - confidence) / (look * (look + 1) * comparisons)


def confidence_sequence(
    values: ArrayLike, *, start: int, tight_at: int, confidence: float = CONFIDENCE
) -> Interval:
    """The mean after all of `values`, with bounds that hold at this look and at every other.

    As `running_bounds`, of which it is the last.
    """
    mean, low, high = (
        float(each[-1])
        for each in running_bounds(values, start=start, tight_at=tight_at, confidence=confidence)
    )
    return Interval(mean, None, None) if math.isnan(low) else Interval(mean, low, high)


def running_bounds(
    values: ArrayLike, *, start: int, tight_at: int, confidence: float = CONFIDENCE
) -> tuple[Floats, Floats, Floats]:
    """(mean, low, high) after each of the `values`; the bounds hold at all times at once.

    Asymptotic (Waudby-Smith et al. 2024, https://arxiv.org/abs/2103.06476), tightest after
    `tight_at` values.  Bounds are NaN before `start`, and for rows of 0 and 1 until there were
    `EVENTS_MIN` of each: rates of rare events need `proxy.gateway.canary.evidence`.  `values` in
    the order of time, independent: for clusters their means.  Raises ValueError for no values and
    `start` below 2.
    """
    scores = case_means(values)
    if not len(scores) or start < 2 or tight_at < start:
        raise ValueError("running_bounds needs values, and 2 ≤ start ≤ tight_at")
    n = np.arange(1, len(scores) + 1)
    means = np.cumsum(scores) / n
    halves = _half_widths(scores, n, tight_at, 1 - confidence)
    halves[(n < start) | ~_enough(scores)] = np.nan
    return means, means - halves, means + halves


def _half_widths(scores: Floats, n: NDArray[np.int64], tight_at: int, alpha: float) -> Floats:
    centred = scores - scores[0]  # against cancellation
    means, squares = np.cumsum(centred) / n, np.cumsum(centred**2) / n
    variance = np.maximum(squares - means**2, 0.0) * n / np.maximum(n - 1, 1)
    return np.asarray(np.sqrt(variance) * _spreads(len(n), tight_at, alpha), np.float64)


@lru_cache(maxsize=16)
def _spreads(count: int, tight_at: int, alpha: float) -> Floats:
    return np.array([spread(k, tight_at, alpha) for k in range(1, count + 1)])


def _enough(scores: Floats) -> NDArray[np.bool_]:
    if not bool(np.all(np.isin(scores, (0, 1)))):
        return np.ones(len(scores), np.bool_)
    ones = np.cumsum(scores)
    return np.asarray(np.minimum(ones, np.arange(1, len(scores) + 1) - ones) >= EVENTS_MIN)
