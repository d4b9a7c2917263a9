"""Tests: McNemar's for two models on the same cases, Holm's correction, the share of each arm."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaluation.statistics.quantiles import binomial_two_sided, chi2_tail

MISMATCH_P = 0.001  # a split this improbable is a fault of the assignment (Fabijan et al. 2019)


@dataclass(frozen=True, slots=True)
class McNemar:
    """How many cases only the first or only the second model got right, and the exact p-value."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """The exact two-sided test of two rows of 0 and 1, one case each.  ValueError for others."""
    a, b = np.asarray(first), np.asarray(second)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError("McNemar's test needs the same cases on both sides")
    if not bool(np.all(np.isin(a, (0, 1)) & np.isin(b, (0, 1)))):
        raise ValueError("McNemar's test needs right (1) or wrong (0)")
    won, lost = int(np.sum(a > b)), int(np.sum(a < b))
    return McNemar(won, lost, binomial_two_sided(won, won + lost))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values in the order given (Holm 1979, Scand. J. Stat. 6:65).

    Those at most α hold together: the chance that any of them is false is at most α.
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError("a p-value is from 0 to 1")
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(p_values[at] * (len(p_values) - rank), 1.0))
        adjusted[at] = highest
    return adjusted


def sample_ratio_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The p-value of arms that got `counts` calls where `shares` were meant (chi-squared).

    Below `MISMATCH_P` compare nothing: calls were lost or assigned otherwise.  Raises ValueError
    for fewer than two arms, or shares that are not above 0; they need not add up to 1.
    """
    if len(counts) != len(shares) or len(counts) < 2 or min(shares) <= 0 or min(counts) < 0:
        raise ValueError("sample_ratio_p: each arm has a count and a share above 0")
    calls, whole = sum(counts), sum(shares)
    if not calls:
        return 1.0
    expected = [calls * each / whole for each in shares]
    statistic = sum((n - e) ** 2 / e for n, e in zip(counts, expected, strict=True))
    return chi2_tail(statistic, len(counts) - 1)
