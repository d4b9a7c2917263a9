"""Cases that belong together: the standard error of a mean, and how far it can be trusted.

Cases of one document, template or conversation are right or wrong together.  The standard error
adds up residuals within each cluster first (CR1: Miller 2024, https://huggingface.co/papers/2411.00640,
with the factor G/(G-1)).  With few clusters or unequal ones CR1 is too small and too uncertain, so
the multiple of it that makes an interval comes from the cluster sizes: Satterthwaite's degrees of
freedom and the bias of CR1, both in the worst case that a cluster's cases are all alike (after Bell
and McCaffrey 2002; Carter, Schnepel and Steigerwald 2017).  For G equal clusters that is Student's
quantile with G-1 degrees of freedom.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.statistics.quantiles import t_quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which cluster each case is in, and its weight, 1 for all unless the caller gave others."""

    codes: NDArray[np.int64]  # by case: 0 ≤ code < count
    weights: Floats  # by case
    count: int

    @property
    def total(self) -> float:
        """All weights; not divided by beforehand, so that 3 right of 4 are 0.75 exactly."""
        return float(self.weights.sum())

    @property
    def shares(self) -> Floats:
        """The weight of each cluster; they add up to 1."""
        return _by_cluster(self.codes, self.weights, self.count) / self.total

    @property
    def effective(self) -> float:
        """How many clusters of equal weight would say as much, if each spoke with one voice."""
        return float(1 / np.sum(self.shares**2))

    def mean(self, scores: Floats) -> float:
        """The weighted mean."""
        return float(self.weights @ scores) / self.total

    def sums(self, scores: Floats) -> Floats:
        """What each cluster adds to the mean."""
        return _by_cluster(self.codes, self.weights * scores, self.count) / self.total

    def se(self, scores: Floats) -> float | None:
        """CR1 standard error of the mean; None for a single cluster."""
        if self.count < 2:
            return None
        residuals = self.sums(scores - self.mean(scores))
        return math.sqrt(self.count / (self.count - 1) * float(residuals @ residuals))

    def critical(self, confidence: float) -> float:
        """How many CR1 standard errors a two-sided half interval needs; infinite for one cluster.

        With u ~ N(0, I) as what the clusters say, CR1² is u'Mu with
        M = G/(G-1)·(Q - wq' - qw' + (Σw²)ww'), q = w², Q = diag(q), and the truth is Σw².
        """
        if self.count < 2:
            return math.inf
        w = self.shares
        two, three, four, five = (float(np.sum(w**power)) for power in (2, 3, 4, 5))
        trace = two - 2 * three + two**2
        square = four + 4 * two * four + 2 * three**2 + two**4 - 4 * five - 4 * two**2 * three
        if trace <= 0 or square <= 0:  # one cluster has all the weight
            return math.inf
        factor = self.count / (self.count - 1)
        quantile = t_quantile((1 + confidence) / 2, max(trace**2 / square, 1e-3))
        return quantile * math.sqrt(two / (factor * trace))


def clustered(
    cases: int, labels: Sequence[Hashable] | None = None, weights: ArrayLike | None = None
) -> Clusters:
    """Clusters of so many cases: by label, a case without one (None) being its own.

    Raises ValueError if there are no cases, a length differs, or a weight is not above 0.
    """
    if cases < 1:
        raise ValueError("there are no cases")
    codes = _codes(cases, labels)
    given = np.ones(cases) if weights is None else np.asarray(weights, np.float64)
    if given.shape != (cases,) or not bool(np.all(np.isfinite(given) & (given > 0))):
        raise ValueError(f"weights must be {cases} numbers above 0")
    return Clusters(codes, given, int(codes.max()) + 1)


def _by_cluster(codes: NDArray[np.int64], values: Floats, count: int) -> Floats:
    return np.bincount(codes, values, count).astype(np.float64, copy=False)


def _codes(cases: int, labels: Sequence[Hashable] | None) -> NDArray[np.int64]:
    if labels is None:
        return np.arange(cases)
    if len(labels) != cases:
        raise ValueError(f"{len(labels)} cluster labels for {cases} cases")
    known: dict[Hashable, int] = {}
    numbers = [
        known.setdefault(("alone", at) if label is None else ("named", label), len(known))
        for at, label in enumerate(labels)
    ]
    return np.asarray(numbers, np.int64)


def case_means(scores: ArrayLike | Sequence[Sequence[float]]) -> Floats:
    """One score for each case: as given, or the mean of its K samples.

    `scores` has shape (cases,), or (cases, K), or is a sequence of sequences whose lengths differ.
    The variance between case means already holds Var(x) + E[σ²]/K (Miller 2024, section 3).
    Raises ValueError for a case without samples and for a score that is not finite.
    """
    try:
        table = np.asarray(scores, np.float64)
    except ValueError:  # ragged
        rows = [np.asarray(row, np.float64) for row in scores]  # type: ignore[union-attr]  # no scalar is ragged
        if any(row.ndim != 1 or not row.size for row in rows):
            raise ValueError("every case needs at least one score") from None
        table = np.asarray([row.mean() for row in rows])
    if table.ndim == 2 and table.shape[1]:
        table = table.mean(axis=1)
    if table.ndim != 1:
        raise ValueError("scores must be one number for each case, or K samples for each")
    if not bool(np.all(np.isfinite(table))):
        raise ValueError("a score is missing or not finite")
    return table
