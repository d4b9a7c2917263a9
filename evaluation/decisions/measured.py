"""Every metric of every candidate: its value as in a report, its interval, and what it may be.

Values come from the sums of `taximeter report`; rows and answers only give the intervals.  What is
not known is NaN: a cost of which too much is unknown, a time that no call has.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from evaluation.decisions import drawing
from evaluation.decisions.calls import Calls
from evaluation.decisions.metrics import METRICS
from evaluation.decisions.quality import Quality, Scores
from evaluation.statistics import cost_per_success, ratio, share
from evaluation.statistics.clusters import Clusters, Floats, clustered
from evaluation.statistics.interval import Interval, ordered
from evaluation.statistics.percentiles import quantile
from evaluation.statistics.resampling import bootstrap_interval

UNKNOWN_MAX = 0.05  # share of calls of unknown cost, above which a cost is no more than a bound
CLUSTERS_MIN = 5  # sessions below which drawing them again says nothing
NOTHING = Interval(None, None, None)
QUANTILES = {
    "p95_total": ("duration_us", 0.95, "duration_p95_us"),
    "p50_total": ("duration_us", 0.5, "duration_p50_us"),
    "p95_ttft": ("first_token_us", 0.95, "first_token_p95_us"),
    "p50_ttft": ("first_token_us", 0.5, "first_token_p50_us"),
}
Sums = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric: points (candidates), their intervals, and draws (replicates, candidates)."""

    points: Floats
    intervals: tuple[Interval, ...]
    drawn: Floats


@dataclass(frozen=True)  # no slots: parts are made when asked for
class Candidates:
    """Candidates by name with their sums, the calls behind them, and how good they are."""

    names: Sequence[str]
    sums: Sequence[Sums]
    calls: Calls
    quality: Quality

    @cached_property
    def member(self) -> Floats:
        return drawing.membership(self.names, self.calls.candidates)

    @cached_property
    def blocks(self) -> tuple[drawing.Codes, int | None]:
        return drawing.blocks(self.calls.numbers("ts_us"), self.calls.clusters)

    @cached_property
    def clusters(self) -> list[int]:
        """How many sessions each has."""
        codes = self.calls.clusters
        return [len(set(codes[each > 0].tolist())) for each in self.member.T]

    @cached_property
    def groups(self) -> list[Clusters | None]:
        """The calls of each by session, which may be of very different sizes; None without any."""
        codes = self.calls.clusters
        mine = [codes[each > 0].tolist() for each in self.member.T]
        return [clustered(len(each), each) if each else None for each in mine]

    @cached_property
    def drawn(self) -> dict[str, Floats]:
        """(replicates, candidates) of sums over the same draws of sessions."""
        columns = {
            "calls": np.ones(len(self.calls)),
            "costs": np.nan_to_num(self.calls.numbers("cost_usd")),
            "succeeded": self.calls.succeeded,
            "failed": self.calls.failed,
        }
        found = drawing.sums(self.calls.clusters, list(columns.values()), self.member)
        return dict(zip(columns, found, strict=True))

    def unknown(self, at: int) -> int:
        """Calls of one candidate whose cost is unknown or a lower bound."""
        return int(self.sums[at]["unpriced_calls"]) + int(self.sums[at]["partial_calls"])

    def cost(self, at: int) -> float:
        """USD for each call; NaN if unknown, or if that of too many calls is."""
        sums = self.sums[at]
        if sums["cost_usd"] is None or self.unknown(at) > UNKNOWN_MAX * int(sums["calls"]):
            return np.nan
        return float(sums["cost_usd"]) / int(sums["calls"])


def measures(found: Candidates, drawn: Collection[str] = METRICS) -> dict[str, Measure]:
    """All metrics by name, in the order of the table; quantiles not in `drawn` have no draws."""
    success = _success(found)
    quality = success if found.quality.source == "calls" else _scored(found, found.quality.scores)
    per_call = _per_call(found)
    made = {
        "cost_per_call": per_call,
        "cost_per_success": _per_success(found, per_call, quality),
        "quality": quality,
        "safety": _scored(found, found.quality.safety),
        "success_rate": success,
        "error_rate": _errors(found),
        **{name: _quantile(found, name, draw=name in drawn) for name in QUANTILES},
    }
    return {name: made[name] for name in METRICS}


def _mine(found: Candidates, at: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(found.member[:, at] > 0)


def _rate(found: Candidates, name: str, values: Floats, points: Sequence[float]) -> Measure:
    """The share of calls for which `values` is 1; `name` is that of its draws."""
    codes, intervals = found.calls.clusters, []
    for at, point in enumerate(points):
        mine = _mine(found, at)
        interval = NOTHING
        if mine.any():
            interval = around(point, share(values[mine], codes[mine].tolist()).interval)
        intervals.append(interval)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = found.drawn[name] / found.drawn["calls"]
    columns = np.where(found.member > 0, values[:, None], np.nan)
    groups = Clusters(codes, np.ones(len(codes)), int(codes.max()) + 1)
    drawn = drawing.unanimous(drawn, columns, groups)
    return Measure(np.asarray(points, np.float64), tuple(intervals), drawn)


def _success(found: Candidates) -> Measure:
    values = found.calls.succeeded
    points = [float(values[_mine(found, at)].mean()) for at in range(len(found.names))]
    return _rate(found, "succeeded", values, points)


def _errors(found: Candidates) -> Measure:
    points = [int(each["errors"]) / int(each["calls"]) for each in found.sums]
    return _rate(found, "failed", found.calls.failed, points)


def _scored(found: Candidates, scores: Scores | None) -> Measure:
    """The mean score of the cases that each answered, from 0 to 1."""
    count = len(found.names)
    if scores is None:
        drawn = np.full((drawing.REPLICATES, count), np.nan)
        return Measure(np.full(count, np.nan), (NOTHING,) * count, drawn)
    points, intervals = [], []
    for column in scores.values.T:
        known = np.isfinite(column)
        if not known.any():
            points.append(np.nan)
            intervals.append(NOTHING)
            continue
        groups = scores.groups
        estimate = share(column[known], groups.codes[known].tolist(), weights=groups.weights[known])
        points.append(estimate.value)
        intervals.append(estimate.interval)
    drawn = drawing.means(scores.values, scores.groups)
    return Measure(np.asarray(points, np.float64), tuple(intervals), drawn)


def _per_call(found: Candidates) -> Measure:
    costs = np.nan_to_num(found.calls.numbers("cost_usd"))
    codes, points, intervals = found.calls.clusters, [], []
    for at in range(len(found.names)):
        point = found.cost(at)
        mine = _mine(found, at)
        points.append(point)
        seen = ratio(costs[mine], np.ones(int(mine.sum())), codes[mine].tolist())
        intervals.append(_cost_interval(found, at, point, seen))
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = found.drawn["costs"] / found.drawn["calls"]
    drawn[:, np.isnan(points)] = np.nan
    return Measure(np.asarray(points), tuple(intervals), drawn)


def _cost_interval(found: Candidates, at: int, point: float, seen: Interval) -> Interval:
    """Open above where some calls may have cost more."""
    if np.isnan(point):
        return Interval(None, seen.low, None)
    interval = around(point, seen)
    return Interval(interval.value, interval.low, None if found.unknown(at) else interval.high)


def _per_success(found: Candidates, per_call: Measure, quality: Measure) -> Measure:
    """Cost of all calls over successes; by a run, the cost of a call over the share of right ones.

    The two are then independent: the draws of calls and of cases know nothing of each other.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        points = np.where(quality.points > 0, per_call.points / quality.points, np.nan)
        # By calls, both are of the same draws of sessions.
        drawn = np.where(quality.drawn > 0, per_call.drawn / quality.drawn, np.nan)
    drawn[:, np.isnan(points)] = np.nan
    intervals = []
    for at, point in enumerate(points):
        mine = _mine(found, at)
        if found.quality.source == "calls":
            seen = cost_per_success(
                np.nan_to_num(found.calls.numbers("cost_usd"))[mine],
                found.calls.succeeded[mine],
                found.calls.clusters[mine].tolist(),
            ).interval
        else:
            groups = found.groups[at]
            value = None if np.isnan(point) else float(point)
            seen = NOTHING if groups is None else bootstrap_interval(value, drawn[:, at], groups)
        intervals.append(_cost_interval(found, at, float(point), seen))
    return Measure(points, tuple(intervals), drawn)


def _quantile(found: Candidates, metric: str, *, draw: bool) -> Measure:
    column, at, name = QUANTILES[metric]
    values = found.calls.numbers(column) / 1e6
    codes, _ = found.blocks
    points, intervals = [], []
    for number, sums in enumerate(found.sums):
        known = _mine(found, number) & np.isfinite(values)
        point = sums[name]
        points.append(np.nan if point is None else int(point) / 1e6)
        if point is None or not known.any():
            intervals.append(NOTHING)
            continue
        both = (
            quantile(values[known], at, labels[known].tolist())
            for labels in (codes, found.calls.clusters)
        )
        intervals.append(around(points[-1], wider(*both)))
    drawn = np.full((drawing.REPLICATES, len(points)), np.nan)
    if draw:
        drawn = drawing.quantiles(codes, values, found.member, at)
    return Measure(np.asarray(points, np.float64), tuple(intervals), drawn)


def wider(one: Interval, other: Interval) -> Interval:
    """The outer bounds of two; None is not known, and so the outermost."""
    lows, highs = (one.low, other.low), (one.high, other.high)
    low = None if None in lows else min(each for each in lows if each is not None)
    high = None if None in highs else max(each for each in highs if each is not None)
    return Interval(one.value, low, high)


def around(value: float, seen: Interval) -> Interval:
    """The interval of a sample about the value of all calls."""
    if seen.low is None or seen.high is None:
        low = None if seen.low is None else min(seen.low, value)
        return Interval(value, low, None if seen.high is None else max(seen.high, value))
    return ordered(value, seen.low, seen.high)
