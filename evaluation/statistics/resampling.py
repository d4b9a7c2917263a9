"""The bootstrap by cluster: whole clusters are drawn again, and all of a replicate is paired.

Percentile intervals are too narrow for few clusters; as Hesterberg does (2015, "What teachers
should know about the bootstrap", section 4.4.3), the percentiles are those that a normal
distribution needs for Student's interval.  Seeded: the same cases give the same interval.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluation.statistics.clusters import Clusters, Floats
from evaluation.statistics.interval import CONFIDENCE, Interval, ordered
from evaluation.statistics.quantiles import normal_cdf

REPLICATES = 1000
SEED = 20_261_129
CHUNK_CELLS = 2_000_000  # replicates times cases that are in memory at once
UNDEFINED_MAX = 0.01  # share of replicates without a value, beyond which nothing is known


def replicate_weights(
    groups: Clusters, *, replicates: int = REPLICATES, seed: int = SEED
) -> Iterator[Floats]:
    """Weights by case in chunks of shape (replicates, cases): how often its cluster was drawn."""
    chance = np.random.default_rng(seed)
    at_once = max(CHUNK_CELLS // len(groups.codes), 1)
    even = np.full(groups.count, 1 / groups.count)
    for done in range(0, replicates, at_once):
        drawn = chance.multinomial(groups.count, even, min(at_once, replicates - done))
        yield drawn[:, groups.codes] * groups.weights


def bootstrap_interval(
    value: float | None, replicates: Floats, groups: Clusters, *, confidence: float = CONFIDENCE
) -> Interval:
    """The percentile interval of a statistic's replicates, NaN where it has no value.

    Bounds are None for a single cluster, and where more than `UNDEFINED_MAX` have no value.
    """
    defined: NDArray[np.float64] = replicates[np.isfinite(replicates)]
    critical = groups.critical(confidence)
    missing = 1 - len(defined) / len(replicates)
    if value is None or groups.count < 2 or math.isinf(critical) or missing > UNDEFINED_MAX:
        return Interval(value, None, None)
    tail = tail_of(groups, confidence)
    low, high = np.quantile(defined, (tail, 1 - tail))
    return ordered(value, float(low), float(high))


def tail_of(groups: Clusters, confidence: float) -> float:
    """The share of replicates beyond each bound of an interval; of two clusters at least."""
    spread = math.sqrt(groups.count / (groups.count - 1))
    return normal_cdf(-groups.critical(confidence) * spread)
