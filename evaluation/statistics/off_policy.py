"""What another routing would have earned, from rows of the one in force, or why that is not known.

Needs the recorded propensity of each choice.  With w = π(a|x)/p(a|x): IPS = Σw·r/n,
SNIPS = Σw·r/Σw, DR = mean[Σπ(a)·q(x, a) + w·(r - q(x, a))], q being fitted on other clusters (Dudík
et al. 2011, https://arxiv.org/abs/1103.4601).  Refused where the two routings hardly overlap; what
is left then are bounds: the outcomes that were not seen may all be the worst or the best.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.statistics.clusters import Clusters, Floats, clustered
from evaluation.statistics.interval import CONFIDENCE, Interval, Refused, ordered
from evaluation.statistics.means import wilson_at, zero_events_bound
from evaluation.statistics.skewed import log_interval

ESS_MIN = 100.0
WEIGHT_SHARE_MAX = 0.05  # of one row in the sum of weights
WEIGHT_ERRORS_MAX = 3.0  # standard errors by which the mean weight may miss 1
FOLDS = 5
SHRINKAGE = 5.0  # rows that the mean of an action counts for in each stratum's mean


@dataclass(frozen=True, slots=True)
class Log:
    """Rows of the routing in force, and what the other would choose.  Arrays by row.

    `target` is (rows, actions): the probability of each action under the other routing.  `strata`
    are classes of prompts for the reward model, `sessions` the clusters.  `rewards` are from
    `worst` to `best`.  `propensities` of None were not recorded.
    """

    actions: NDArray[np.int64]
    rewards: Floats
    propensities: Floats | None
    target: Floats
    strata: Sequence[Hashable] | None = None
    sessions: Sequence[Hashable] | None = None
    worst: float = 0.0
    best: float = 1.0

    def __post_init__(self) -> None:
        n = len(self.actions)
        if self.rewards.shape != (n,) or self.target.ndim != 2 or len(self.target) != n or not n:
            raise ValueError("actions, rewards and target need the same rows, at least one")
        if bool(np.any((self.target < 0) | (self.target > 1))) or not np.allclose(
            self.target.sum(axis=1), 1
        ):
            raise ValueError("each row of target has probabilities that add up to 1")
        if bool(np.any((self.rewards < self.worst) | (self.rewards > self.best))):
            raise ValueError(f"rewards are from {self.worst} to {self.best}")
        given = self.propensities
        if given is not None and (given.shape != (n,) or bool(np.any((given <= 0) | (given > 1)))):
            raise ValueError("a recorded propensity is above 0 and at most 1")

    @property
    def chosen(self) -> Floats:
        """The other routing's probability of what was done."""
        return np.asarray(self.target[np.arange(len(self.actions)), self.actions], np.float64)


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """The mean reward of the other routing by three estimators, and how far the rows carry it."""

    ips: Interval
    snips: Interval
    dr: Interval
    ess: float
    largest: float  # share of one row in the sum of weights
    coverage: float


def off_policy(log: Log, *, confidence: float = CONFIDENCE) -> OffPolicy | Refused:
    """The mean reward of the other routing, or `Refused` with coverage and bounds."""
    groups = clustered(len(log.actions), log.sessions)
    coverage = float(log.chosen.mean())
    if log.propensities is None:
        return _refused("no propensities were recorded", log, groups, confidence)
    weights = log.chosen / log.propensities
    total = float(weights.sum())
    ess = total**2 / float(weights @ weights) if total else 0.0
    largest = float(weights.max()) / total if total else 1.0
    se = groups.se(weights)
    if se is None or math.isinf(groups.critical(confidence)):
        return _refused("all rows are of one session", log, groups, confidence)
    if ess < ESS_MIN:
        return _refused(f"the rows are worth {ess:.0f} independent ones", log, groups, confidence)
    if largest > WEIGHT_SHARE_MAX:
        return _refused(f"one row has {largest:.0%} of the weight", log, groups, confidence)
    off = abs(groups.mean(weights) - 1)
    if off > WEIGHT_ERRORS_MAX * se + 1e-9:
        said = f"weights have a mean of {groups.mean(weights):.2f} instead of 1"
        return _refused(f"{said}: actions are missing from the rows", log, groups, confidence)
    mean = groups.mean(weights)
    snips = groups.mean(weights * log.rewards) / mean
    fitted = _fitted(log, groups)
    taken = fitted[np.arange(len(weights)), log.actions]
    robust = (log.target * fitted).sum(axis=1) + weights * (log.rewards - taken)
    found = (
        _interval(weights * log.rewards, groups, confidence),
        _bounded(log, snips + weights * (log.rewards - snips) / mean, groups, confidence),
        _bounded(log, robust, groups, confidence),
    )
    if (alike := _unanimous(log, weights, groups, ess)) is not None:
        found = (alike, alike, alike)
    return OffPolicy(
        ips=found[0],
        snips=found[1],
        dr=found[2],
        ess=ess,
        largest=largest,
        coverage=coverage,
    )


def _unanimous(log: Log, weights: Floats, groups: Clusters, ess: float) -> Interval | None:
    """If all that it would have done ended in the same of two ways: none is not none ever."""
    seen = log.rewards[weights > 0]
    if (log.worst, log.best) != (0.0, 1.0) or seen[0] not in (0.0, 1.0) or np.any(seen != seen[0]):
        return None
    clusters = len(np.unique(groups.codes[weights > 0]))
    most = zero_events_bound(min(ess, clusters))
    return Interval(0.0, 0.0, most) if seen[0] == 0 else Interval(1.0, 1 - most, 1.0)


def reward_bounds(log: Log, *, confidence: float = CONFIDENCE) -> Interval:
    """What the other routing earns at least and at most, whatever was not seen.  No value."""
    return _bounds(log, clustered(len(log.actions), log.sessions), confidence)


def _bounds(log: Log, groups: Clusters, confidence: float) -> Interval:
    known, rest = log.chosen * log.rewards, 1 - log.chosen
    low = _interval(known + rest * log.worst, groups, confidence).low
    high = _interval(known + rest * log.best, groups, confidence).high
    least = log.worst if low is None else min(max(low, log.worst), log.best)
    most = log.best if high is None else max(min(high, log.best), log.worst)
    return Interval(None, min(least, most), max(least, most))  # equal ones may differ by rounding


def _refused(why: str, log: Log, groups: Clusters, confidence: float) -> Refused:
    return Refused(why, float(log.chosen.mean()), _bounds(log, groups, confidence))


def _interval(values: Floats, groups: Clusters, confidence: float) -> Interval:
    value, se, critical = groups.mean(values), groups.se(values), groups.critical(confidence)
    if se is None or math.isinf(critical):
        return Interval(value, None, None)
    return ordered(value, value - critical * se, value + critical * se)


def _bounded(log: Log, values: Floats, groups: Clusters, confidence: float) -> Interval:
    """Shares as `means.share` has them, and amounts, which are skewed, as `ratios` has them."""
    value, se, critical = groups.mean(values), groups.se(values), groups.critical(confidence)
    if (log.worst, log.best) == (0.0, 1.0):
        p = min(max(value, 0.0), 1.0)
        if se and 0 < p < 1:
            return ordered(p, *wilson_at(p, p * (1 - p) / se**2, critical))
    elif log.worst >= 0 and value > 0:
        return log_interval(value, values / value - 1, np.zeros_like(values), groups, critical)
    return _interval(values, groups, confidence)


def _fitted(log: Log, groups: Clusters) -> Floats:
    """(rows, actions): mean rewards by stratum and action, from rows of other folds of sessions."""
    names: dict[Hashable, int] = {}
    labels: Sequence[Hashable] = log.strata or [None] * len(log.actions)
    strata = np.asarray([names.setdefault(label, len(names)) for label in labels])
    shape = (len(names), log.target.shape[1])
    folds = groups.codes % min(FOLDS, groups.count)
    fitted = np.empty_like(log.target, np.float64)
    for fold in range(min(FOLDS, groups.count)):
        rest, here = folds != fold, folds == fold
        sums, counts = np.zeros(shape), np.zeros(shape)
        np.add.at(sums, (strata[rest], log.actions[rest]), log.rewards[rest])
        np.add.at(counts, (strata[rest], log.actions[rest]), 1)
        overall = float(log.rewards[rest].mean())
        by_action = (sums.sum(axis=0) + SHRINKAGE * overall) / (counts.sum(axis=0) + SHRINKAGE)
        model = (sums + SHRINKAGE * by_action) / (counts + SHRINKAGE)
        fitted[here] = model[strata[here]]
    return fitted


def log_of(
    actions: ArrayLike,
    rewards: ArrayLike,
    propensities: ArrayLike | None,
    target: ArrayLike,
    *,
    strata: Sequence[Hashable] | None = None,
    sessions: Sequence[Hashable] | None = None,
    reward_range: tuple[float, float] = (0.0, 1.0),
) -> Log:
    """A `Log` from any arrays; actions are column numbers of `target`.  Raises ValueError."""
    return Log(
        actions=np.asarray(actions, np.int64),
        rewards=np.asarray(rewards, np.float64),
        propensities=None if propensities is None else np.asarray(propensities, np.float64),
        target=np.asarray(target, np.float64),
        strata=strata,
        sessions=sessions,
        worst=reward_range[0],
        best=reward_range[1],
    )
