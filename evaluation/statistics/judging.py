"""What a fallible judge's verdicts are worth: corrected shares, predictions beside labels, kappa.

A judge that is right 90 % of the time does not measure 90 % of what is there.  Sensitivity and
specificity should be those on answers of the model judged: a judge's bias differs by author.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaluation.statistics.clusters import Clusters, Floats, case_means, clustered
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval, Refused, ordered
from evaluation.statistics.quantiles import normal_quantile

YOUDEN_MIN = 1.1  # sensitivity + specificity; 1 is a coin


@dataclass(frozen=True, slots=True)
class Gold:
    """How a judge did on answers that people labelled."""

    good: int  # labelled good
    good_found: int  # of those, judged good
    bad: int  # labelled bad
    bad_found: int  # of those, judged bad

    def __post_init__(self) -> None:
        if not (0 <= self.good_found <= self.good and 0 <= self.bad_found <= self.bad):
            raise ValueError(f"a judge finds no more than there are: {self}")

    @property
    def sensitivity(self) -> float | None:
        """The share of good answers that it calls good; None without any."""
        return self.good_found / self.good if self.good else None

    @property
    def specificity(self) -> float | None:
        """The share of bad answers that it calls bad; None without any."""
        return self.bad_found / self.bad if self.bad else None


def corrected_share(
    judged: Estimate, gold: Gold, *, confidence: float = CONFIDENCE
) -> Interval | Refused:
    """The true share of good answers behind the share `judged` good (from `means.share`).

    θ = (p + q0 - 1)/(q0 + q1 - 1), with the variance of all three (Rogan and Gladen 1978;
    https://arxiv.org/html/2511.21140v3) and the adjustments of Lang and Reiczigel (2014, Prev. Vet.
    Med. 113:13), which hold for small gold sets.  Refused where the judge is nearly a coin.
    """
    q1, q0 = gold.sensitivity, gold.specificity
    if q1 is None or q0 is None:
        return Refused("the judge has no gold set with both good and bad answers")
    if q0 + q1 <= YOUDEN_MIN:
        said = f"sensitivity {q1:.2f} + specificity {q0:.2f} is at most {YOUDEN_MIN}"
        return Refused(f"the judge hardly tells good from bad: {said}")
    if judged.se is None or math.isinf(judged.critical):
        return Refused("all cases are in one cluster")
    p = judged.value
    value = min(max((p + q0 - 1) / (q0 + q1 - 1), 0.0), 1.0)
    z = max(judged.critical, normal_quantile((1 + confidence) / 2))
    cases = _effective(judged)
    p_ = (cases * p + z * z / 2) / (cases + z * z)
    q1_, q0_ = (gold.good_found + 1) / (gold.good + 2), (gold.bad_found + 1) / (gold.bad + 2)
    youden = q0_ + q1_ - 1
    theta = (p_ + q0_ - 1) / youden
    noise1, noise0 = q1_ * (1 - q1_) / (gold.good + 2), q0_ * (1 - q0_) / (gold.bad + 2)
    variance = p_ * (1 - p_) / (cases + z * z)
    variance = (variance + theta**2 * noise1 + (1 - theta) ** 2 * noise0) / youden**2
    shift = 2 * z * z * (theta * noise1 - (1 - theta) * noise0)
    half = z * math.sqrt(variance)
    return ordered(value, *(min(max(theta + shift + side, 0.0), 1.0) for side in (-half, half)))


def _effective(judged: Estimate) -> float:
    """How many independent cases have the same standard error; clusters where nothing varies."""
    p = judged.value
    if judged.se is None or judged.se < 1e-12 or p in (0.0, 1.0):
        return float(judged.clusters)
    return p * (1 - p) / judged.se**2


def with_predictions(
    labels: ArrayLike,
    predictions: ArrayLike,
    more_predictions: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    more_clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The mean label of all cases, from few labelled ones and a judge's predictions of many more.

    PPI++ (https://arxiv.org/abs/2311.01453): θ = mean(Y) + λ·(mean of f on the others - mean of f
    on the labelled), with the λ of least variance: no worse than the labels alone.  Scores by case,
    of any scale.  Raises ValueError for no cases or differing lengths.
    """
    y, f, more = case_means(labels), case_means(predictions), case_means(more_predictions)
    if y.shape != f.shape:
        raise ValueError(f"{len(y)} labels and {len(f)} predictions of the same cases")
    here, there = clustered(len(y), clusters), clustered(len(more), more_clusters)
    weight = _tuning(y, f, more, here, there)
    value = here.mean(y - weight * f) + weight * there.mean(more)
    first, second = here.se(y - weight * f), there.se(more) if weight else 0.0
    critical = here.critical(confidence)
    if first is None or second is None or math.isinf(critical):
        return Interval(value, None, None)
    half = critical * math.hypot(first, weight * second)
    return Interval(value, value - half, value + half)


def _tuning(y: Floats, f: Floats, more: Floats, here: Clusters, there: Clusters) -> float:
    """λ = Cov(mean y, mean f)/(Var(mean f) + Var(mean of f on the others)), from 0 to 1."""
    if here.count < 2 or there.count < 2:
        return 0.0
    ry, rf = here.sums(y - here.mean(y)), here.sums(f - here.mean(f))
    factor = here.count / (here.count - 1)
    below = factor * float(rf @ rf) + (there.se(more) or 0.0) ** 2
    return min(max(factor * float(ry @ rf) / below, 0.0), 1.0) if below > 0 else 0.0


def kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Cohen's kappa of two judges' verdicts on the same answers, with a jackknife over clusters.

    1 is full agreement, 0 what chance gives.  The value is None where both always say the same one
    thing.  Raises ValueError for no answers or differing lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} verdicts on the same answers")
    groups = clustered(len(first), clusters)
    names = {name: at for at, name in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((groups.count, len(names), len(names)))
    for code, a, b in zip(groups.codes, first, second, strict=True):
        table[code, names[a], names[b]] += 1
    whole = table.sum(axis=0)
    value = _kappa(whole)
    left = [_kappa(whole - each) for each in table]
    critical = groups.critical(confidence)
    known = [each for each in left if each is not None]
    if value is None or len(known) < len(left) or math.isinf(critical):
        return Interval(value, None, None)
    spread = np.asarray(known) - np.mean(known)
    half = critical * math.sqrt((len(known) - 1) / len(known) * float(spread @ spread))
    return ordered(value, max(value - half, -1.0), min(value + half, 1.0))


def _kappa(table: Floats) -> float | None:
    total = float(table.sum())
    if not total:
        return None
    agreed = float(np.trace(table)) / total
    chance = float(table.sum(axis=0) @ table.sum(axis=1)) / total**2
    return (agreed - chance) / (1 - chance) if chance < 1 else None
