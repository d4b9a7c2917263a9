"""K samples of each case: pass@k, and whether two batches of outputs are alike."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from evaluation.statistics.clusters import Floats, case_means
from evaluation.statistics.interval import CONFIDENCE, Estimate
from evaluation.statistics.means import share

PERMUTATIONS = 999
SEED = 20_261_129


def pass_at_k(
    passed: Sequence[int],
    samples: Sequence[int],
    k: int,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """How often at least one of k samples passes: the mean of 1 - C(n-c, k)/C(n, k) by problem.

    Unbiased (Chen et al. 2021, https://arxiv.org/abs/2107.03374).  Raises ValueError where a
    problem has fewer than k samples.
    """
    if len(passed) != len(samples):
        raise ValueError(f"{len(passed)} counts of passes and {len(samples)} of samples")
    if k < 1 or any(not 0 <= c <= n or n < k for c, n in zip(passed, samples, strict=True)):
        raise ValueError(f"pass@{k} needs at least {k} samples of each problem")
    found = [1 - comb(n - c, k) / comb(n, k) for c, n in zip(passed, samples, strict=True)]
    return share(found, clusters, confidence=confidence)


@dataclass(frozen=True, slots=True)
class Drift:
    """The energy distance of two batches, and the chance of one as large between like batches."""

    distance: float
    p: float


def energy_distance(
    first: ArrayLike, second: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = SEED
) -> Drift:
    """2·E|X-Y| - E|X-X'| - E|Y-Y'| of two batches of numbers, such as lengths or log probabilities.

    0 only for equal distributions (Székely and Rizzo 2013).  `p` by permutation; values must be
    independent.  Raises ValueError for an empty batch.
    """
    x, y = case_means(first), case_means(second)
    if not len(x) or not len(y):
        raise ValueError("energy_distance: a batch is empty")
    pooled = np.sort(np.concatenate([x, y]))
    gaps = np.diff(pooled)
    mask = np.zeros(len(pooled))
    for value, times in zip(*np.unique(x, return_counts=True), strict=True):
        at = int(np.searchsorted(pooled, value))
        mask[at : at + int(times)] = 1
    distance = _distance(mask, gaps)
    chance = np.random.default_rng(seed)
    larger = sum(
        _distance(chance.permutation(mask), gaps) >= distance - 1e-12 for _ in range(permutations)
    )
    return Drift(distance, (1 + larger) / (1 + permutations))


def _distance(mask: Floats, gaps: Floats) -> float:
    """2·∫(F - G)² over sorted pooled values; `mask` is 1 where a value is of the first batch."""
    first = np.cumsum(mask) / mask.sum()
    second = np.cumsum(1 - mask) / (1 - mask).sum()
    return 2 * float(gaps @ (first - second)[:-1] ** 2)
