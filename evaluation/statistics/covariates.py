"""CUPED: last week's score of the same case takes out what makes cases differ.

y - β(x - x̄) with β = Cov(y, x)/Var(x) (Deng et al. 2013, WSDM).  It needs a mean of x over more
than the cases at hand: over all, where this week ran some; over both arms, where each ran some.
Where both weeks ran the same cases it changes nothing: pairing them is all there is to gain.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaluation.statistics.clusters import Floats, case_means, clustered
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval
from evaluation.statistics.means import mean

Labels = Sequence[Hashable] | None


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An adjusted estimate, and which share of the variance the covariate took out."""

    interval: Interval
    explained: float


def cuped_mean(
    scores: ArrayLike,
    before: ArrayLike,
    before_mean: float,
    clusters: Labels = None,
    *,
    confidence: float = CONFIDENCE,
) -> Adjusted:
    """The mean over all cases, of which only some ran: `before` are their earlier scores.

    `before_mean` is the mean of the earlier scores of all cases.  Any scale, by case.
    """
    y, x = _pairs(scores, before)
    slope = _slope(y, x)
    found = mean(y - slope * (x - before_mean), clusters, confidence=confidence)
    return Adjusted(found.interval, _explained(y, x))


def cuped_change(
    now: ArrayLike,
    before: ArrayLike,
    clusters: Labels,
    unpaired: ArrayLike,
    unpaired_clusters: Labels = None,
    *,
    confidence: float = CONFIDENCE,
) -> tuple[Estimate, float]:
    """The change of a mean since an earlier run of more cases, and β.

    `now` and `before` are scores of the n cases that both runs have, `unpaired` the earlier scores
    of those that are missing now, N cases together.  The change is ȳ - βx̄ₙ - (1-β)x̄_N; residuals
    y - βx and x do not vary together, so Var = σ²(y - βx)/n + (1-β)²σ²(x)/N, here clustered: as of
    the sum of what each case adds.  With nothing missing it is the paired difference and its
    variance.  Which cases are missing must not depend on their answers.
    """
    y, x = _pairs(now, before)
    rest = case_means(unpaired)
    slope = _slope(y, x)
    everything = np.concatenate([x, rest])
    residuals, centred = y - slope * x, everything - everything.mean()
    value = float(residuals.mean() - (1 - slope) * everything.mean())
    adds = -(1 - slope) * centred / len(everything)
    adds[: len(y)] += (residuals - residuals.mean()) / len(y)
    labels = [*_labels(len(y), clusters, "now"), *_labels(len(rest), unpaired_clusters, "before")]
    groups = clustered(len(everything), labels)
    # Of the cases that both runs have: they say nearly all of it.
    critical = clustered(len(y), clusters).critical(confidence)
    if groups.count < 2 or math.isinf(critical):
        found = Estimate(Interval(value, None, None), None, critical, len(y), groups.count)
        return found, slope
    sums = np.bincount(groups.codes, adds, groups.count)
    se = math.sqrt(groups.count / (groups.count - 1) * float(sums @ sums))
    interval = Interval(value, value - critical * se, value + critical * se)
    return Estimate(interval, se, critical, len(y), groups.count), slope


def _labels(count: int, labels: Labels, alone: str) -> Sequence[Hashable]:
    """As given; a case without one is its own cluster."""
    given = [None] * count if labels is None else labels
    return [(alone, at) if label is None else label for at, label in enumerate(given)]


def cuped_difference(
    first: tuple[ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike],
    clusters: tuple[Labels, Labels] = (None, None),
    *,
    confidence: float = CONFIDENCE,
) -> Adjusted:
    """The difference of two arms that had other cases each: (scores, earlier scores) of each arm.

    One β for both arms, from the variation within them.
    """
    arms = [_pairs(*first), _pairs(*second)]
    y, x = (np.concatenate([arm[at] - arm[at].mean() for arm in arms]) for at in (0, 1))
    slope = _slope(y, x)
    adjusted = [scores - slope * before for scores, before in arms]
    groups = [clustered(len(a), labels) for a, labels in zip(adjusted, clusters, strict=True)]
    values = [group.mean(scores) for group, scores in zip(groups, adjusted, strict=True)]
    errors = [group.se(scores) for group, scores in zip(groups, adjusted, strict=True)]
    value, explained = values[0] - values[1], _explained(y, x)
    critical = max(group.critical(confidence) for group in groups)
    if errors[0] is None or errors[1] is None or math.isinf(critical):
        return Adjusted(Interval(value, None, None), explained)
    half = critical * math.hypot(errors[0], errors[1])
    return Adjusted(Interval(value, value - half, value + half), explained)


def _pairs(scores: ArrayLike, before: ArrayLike) -> tuple[Floats, Floats]:
    y, x = case_means(scores), case_means(before)
    if y.shape != x.shape:
        raise ValueError(f"{len(y)} scores and {len(x)} earlier ones of the same cases")
    return y, x


def _slope(y: Floats, x: Floats) -> float:
    spread = x - x.mean()
    below = float(spread @ spread)
    return float(spread @ (y - y.mean())) / below if below > 0 else 0.0


def _explained(y: Floats, x: Floats) -> float:
    """The squared correlation."""
    a, b = y - y.mean(), x - x.mean()
    below = float(a @ a) * float(b @ b)
    return float(a @ b) ** 2 / below if below > 0 else 0.0
