"""A router between a strong and a weak model, at every share of calls to the strong one.

Metrics of RouteLLM (https://arxiv.org/abs/2406.18665): PGR = (r - r_weak)/(r_strong - r_weak),
APGR = the area under PGR over the share of strong calls, CPT(x) = the least share that reaches a
PGR of x.  Prompts with the same rank are routed at random among each other, so random routing,
where all have the same rank, has an APGR of exactly 0.5.
"""

from dataclasses import dataclass

import numpy as np

from evaluation.statistics.clusters import Clusters, Floats
from evaluation.statistics.interval import Interval
from evaluation.statistics.resampling import bootstrap_interval, replicate_weights

CPT_LEVELS = (0.5, 0.8)


@dataclass(frozen=True, slots=True)
class RouterMetrics:
    """APGR and CPT at each of `CPT_LEVELS`; None where the strong model is not better."""

    apgr: Interval
    cpt: tuple[Interval, ...]


def pgr(reached: float, weak: float, strong: float) -> float | None:
    """The share of the gap between the models that a router recovers; None without a gap."""
    return None if strong == weak else (reached - weak) / (strong - weak)


def pgr_intervals(
    routed: list[Floats], strong: Floats, weak: Floats, groups: Clusters
) -> list[Interval]:
    """The PGR of fixed ways to route, given by the scores that each has reached, by prompt."""
    scores = np.stack([weak, strong, *routed], axis=1)
    means = groups.weights @ scores / groups.total
    found = [weights @ scores for weights in replicate_weights(groups)]
    low, high, *reached = np.concatenate(found).T
    gap = np.where(high > low, high - low, np.nan)
    return [
        bootstrap_interval(pgr(float(mean), float(means[0]), float(means[1])), values, groups)
        for mean, values in zip(means[2:], ((each - low) / gap for each in reached), strict=True)
    ]


def router_metrics(strong: Floats, weak: Floats, rank: Floats, groups: Clusters) -> RouterMetrics:
    """Metrics of a router that sends prompts of the highest `rank` to the strong model first.

    `strong` and `weak` are scores by prompt.  Intervals by bootstrap over clusters.
    """
    order = np.argsort(-rank, kind="stable")
    ends = np.flatnonzero(np.diff(rank[order], append=np.nan))  # NaN differs from the last
    gains = (strong - weak)[order]
    whole = _metrics(*_curves(groups.weights[order][None, :], gains, ends))
    found = np.concatenate(
        [
            _metrics(*_curves(weights[:, order], gains, ends))
            for weights in replicate_weights(groups)
        ],
        axis=1,
    )
    apgr, *cpt = (
        bootstrap_interval(_known(values[0]), replicates, groups)
        for values, replicates in zip(whole, found, strict=True)
    )
    return RouterMetrics(apgr, tuple(cpt))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _curves(weights: Floats, gains: Floats, ends: np.ndarray) -> tuple[Floats, Floats]:
    """(share of strong calls, PGR), each (replicates, points), from (0, 0) to (1, 1)."""
    shares = np.cumsum(weights, axis=1)
    gained = np.cumsum(weights * gains, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = gained[:, ends] / np.where(gained[:, -1:] > 0, gained[:, -1:], np.nan)
    start = np.zeros((len(weights), 1))
    return (
        np.hstack([start, shares[:, ends] / shares[:, -1:]]),
        np.hstack([start, reached]),
    )


def _metrics(shares: Floats, reached: Floats) -> Floats:
    """(1 + levels, replicates): APGR by trapezoids, and CPT where the curve first gets there."""
    widths, heights = np.diff(shares, axis=1), (reached[:, 1:] + reached[:, :-1]) / 2
    rows = [np.sum(widths * heights, axis=1)]
    for level in CPT_LEVELS:
        at = np.argmax(reached >= level, axis=1)  # 0 if there is none, and then it is NaN
        each = np.arange(len(reached))
        before, after = reached[each, at - 1], reached[each, at]
        left, right = shares[each, at - 1], shares[each, at]
        with np.errstate(divide="ignore", invalid="ignore"):
            cross = left + (right - left) * (level - before) / (after - before)
        rows.append(np.where(at > 0, cross, np.nan))
    return np.vstack(rows)
