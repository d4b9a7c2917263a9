"""Candidates on several axes: who dominates whom, and how sure that is.

One is dominated if another is no worse on any axis and better on one.  The same cases are drawn for
all candidates together (paired), so what makes a case hard does not blur the comparison.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.statistics.clusters import Clusters, Floats
from evaluation.statistics.interval import Interval
from evaluation.statistics.percentiles import quantile_in, weighted_quantile
from evaluation.statistics.resampling import REPLICATES, bootstrap_interval, replicate_weights

Better = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One measure of each candidate, from what it did on each case.

    `values` is (cases, candidates).  The measure is their mean; or, with `per` of the same shape,
    Σvalues/Σper, such as costs per success; or, with `quantile`, that quantile over cases.
    """

    name: str
    better: Better
    values: Floats
    per: Floats | None = None
    quantile: float | None = None

    def measure(self, weights: Floats) -> Floats:
        """(replicates, candidates) for weights (replicates, cases); NaN where `per` sums to 0."""
        if self.quantile is not None:
            at = self.quantile
            return np.stack([weighted_quantile(weights, row, at) for row in self.values.T], axis=1)
        sums = weights @ self.values
        if self.per is None:
            return np.asarray(sums / weights.sum(axis=1, keepdims=True), np.float64)
        below = weights @ self.per
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(below > 0, sums / below, np.nan)

    def interval(self, at: int, point: float, drawn: Floats, groups: Clusters) -> Interval:
        """Of one candidate: from replicates, but of a quantile from the share of cases below it."""
        if self.quantile is not None:
            return quantile_in(self.values[:, at], self.quantile, groups)
        return bootstrap_interval(float(point) if np.isfinite(point) else None, drawn, groups)


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate's place: its measures by axis, who dominates it, P(on the frontier), P(best)."""

    measures: Mapping[str, Interval]
    dominated_by: tuple[str, ...]
    on_frontier: float
    best: float | None  # None: no score was given


def standings(
    names: Sequence[str],
    axes: Sequence[Axis],
    groups: Clusters,
    score: Callable[[Floats], Floats] | None = None,
    *,
    replicates: int = REPLICATES,
) -> dict[str, Standing]:
    """Where each candidate stands.  `score` takes (…, candidates, axes) and gives (…, candidates).

    A candidate without a measure (no success in a replicate) is neither on the frontier there nor
    best; a score of NaN is one that fails a hard limit.
    """
    shapes = {axis.values.shape for axis in axes}
    if shapes != {(len(groups.codes), len(names))} or len(set(names)) < len(names):
        raise ValueError("every axis needs a value for each case and candidate, once each")
    point = _measures(axes, groups.weights[None, :])[0]
    chunks = replicate_weights(groups, replicates=replicates)
    drawn = np.concatenate([_measures(axes, weights) for weights in chunks])
    better = [axis.better for axis in axes]
    on_frontier = frontier_share(drawn, better)
    best = None if score is None else best_share(score(drawn))
    beaten = dominated(names, point, better)
    return {
        name: Standing(
            measures={
                axis.name: axis.interval(at, point[at, k], drawn[:, at, k], groups)
                for k, axis in enumerate(axes)
            },
            dominated_by=beaten[name],
            on_frontier=float(on_frontier[at]),
            best=None if best is None else float(best[at]),
        )
        for at, name in enumerate(names)
    }


def dominated(
    names: Sequence[str], points: Floats, better: Sequence[Better]
) -> dict[str, tuple[str, ...]]:
    """By whom each candidate is dominated; `points` is (candidates, axes), NaN being the worst."""
    signs = np.asarray([1.0 if each == "low" else -1.0 for each in better])
    costs = np.nan_to_num(np.asarray(points, np.float64) * signs, nan=np.inf)
    return {
        name: tuple(
            other
            for at, other in enumerate(names)
            if bool(np.all(costs[at] <= costs[here]) and np.any(costs[at] < costs[here]))
        )
        for here, name in enumerate(names)
    }


def _measures(axes: Sequence[Axis], weights: Floats) -> Floats:
    """(replicates, candidates, axes)."""
    return np.stack([axis.measure(weights) for axis in axes], axis=2)


def frontier_share(drawn: Floats, better: Sequence[Better]) -> Floats:
    """How often each is on the frontier, of (replicates, candidates, axes); NaN is the worst."""
    signs = np.asarray([1.0 if each == "low" else -1.0 for each in better])
    costs = np.asarray(np.nan_to_num(drawn * signs, nan=np.inf), np.float64)
    return np.asarray(np.mean([_frontier(each) for each in costs], axis=0), np.float64)


def best_share(scores: Floats) -> Floats:
    """How often each has the highest of scores (replicates, candidates); equal ones share."""
    known: Floats = np.nan_to_num(scores, nan=-np.inf)
    top = known.max(axis=1, keepdims=True)
    won = (known == top) & np.isfinite(top)
    parts = won / np.maximum(won.sum(axis=1, keepdims=True), 1)
    return np.asarray(parts.mean(axis=0), np.float64)


def _frontier(costs: Floats) -> Floats:
    """1 for those of (candidates, axes) that nobody dominates and that have every measure."""
    no_worse = np.all(costs[:, None, :] <= costs[None, :, :], axis=2)
    better = np.any(costs[:, None, :] < costs[None, :, :], axis=2)
    whole = np.all(np.isfinite(costs), axis=1)
    return np.asarray(~np.any(no_worse & better, axis=0) & whole, np.float64)
