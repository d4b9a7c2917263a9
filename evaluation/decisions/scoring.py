"""Limits and scores of candidates, from their metrics and from each of their draws.  Pure."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.decisions.comparison import CriterionResult, LimitResult
from evaluation.decisions.measured import Measure
from evaluation.decisions.verdicts import Scores
from evaluation.decisions.wanted import Limit, Wanted, Weighted
from evaluation.frontier import Region, regions, score, swings
from evaluation.reports.bounds import NOTHING, Bounds, bounds
from evaluation.statistics.clusters import Clusters, Floats
from evaluation.statistics.interval import CONFIDENCE
from evaluation.statistics.quantiles import normal_quantile
from evaluation.statistics.resampling import bootstrap_interval

Measures = Mapping[str, Measure]


def usable(measured: Measures, wanted: Wanted) -> list[Weighted]:
    """The weights whose metric some candidate has."""
    return [one for one in wanted.weights if np.isfinite(measured[one.metric.name].points).any()]


def allowed(measured: Measures, limits: Sequence[Limit]) -> Scores:
    """1 within all limits, NaN beyond one or where it is unknown: points, and draws."""
    shape = next(iter(measured.values())).drawn.shape
    points, drawn = np.ones(shape[1]), np.ones(shape)
    for limit in limits:
        measure = measured[limit.metric.name]
        points = np.where(limit.meets(measure.points) == 1, points, np.nan)
        drawn = np.where(limit.meets(measure.drawn) == 1, drawn, np.nan)
    return points, drawn


def scores(measured: Measures, weights: Sequence[Weighted], within: Scores) -> Scores | None:
    """The score of each candidate: points, and draws; NaN beyond a limit.  None without weights."""
    if not any(one.weight for one in weights):
        return None
    criteria = [one.criterion for one in weights]
    points, drawn = (_stacked(measured, weights, drawn=each) for each in (False, True))
    return score(criteria, points) * within[0], score(criteria, drawn) * within[1]


def is_known(measured: Measures, wanted: Wanted, at: int) -> bool:
    """Whether a candidate has every metric that decides about it."""
    names = [one.metric.name for one in usable(measured, wanted)]
    names += [one.metric.name for one in wanted.limits]
    return all(np.isfinite(measured[name].points[at]) for name in names)


def doubts(measured: Measures, limits: Sequence[Limit], calls: Sequence[int]) -> list[int | None]:
    """How many more calls of each candidate would tell whether it meets the limits.

    0: that is clear already.  None: no number can be named, as it is on the limit or unknown.
    """
    found: list[int | None] = []
    for at, number in enumerate(calls):
        needed: list[int | None] = [0]
        for limit in limits:
            measure = measured[limit.metric.name]
            room = abs(float(measure.points[at]) - limit.value)
            half = normal_quantile((1 + CONFIDENCE) / 2) * float(np.std(measure.drawn[:, at]))
            if np.isnan(room) or np.isnan(half) or not room:
                needed.append(None)
            else:
                needed.append(max(math.ceil(number * ((half / room) ** 2 - 1)), 0))
        found.append(None if None in needed else max(each or 0 for each in needed))
    return found


def limit_result(limit: Limit, measured: Measures, at: int, *, known: bool) -> LimitResult:
    """A limit for one candidate; `known`: there are enough sessions for a probability."""
    measure = measured[limit.metric.name]
    value, met = float(measure.points[at]), limit.meets(measure.points)[at]
    unknown = bool(np.isnan(met))
    share = np.nan_to_num(limit.meets(measure.drawn[:, at])).mean()
    return LimitResult(
        limit=limit.text,
        metric=limit.metric.name,
        value=None if unknown else value,
        met=None if unknown else bool(met),
        probability=float(share) if known and not unknown else None,
    )


def score_bounds(found: Scores, at: int, groups: Clusters | None) -> Bounds:
    """By the draws within all limits; without bounds for too few sessions (`groups` of None)."""
    value, drawn = float(found[0][at]), found[1][:, at]
    if np.isnan(value):
        return NOTHING
    inside: Floats = drawn[np.isfinite(drawn)]
    if groups is None or len(inside) < 2:
        return Bounds(value, None, None)
    return bounds(bootstrap_interval(value, inside, groups))


def criteria(
    measured: Measures, wanted: Wanted, used: Sequence[Weighted], within: Floats
) -> list[CriterionResult]:
    """Each metric of the score: its share, its swing, and where the winner stays."""
    swing: Mapping[str, float] = {}
    region: Mapping[str, Region] = {}
    whole = sum(one.weight for one in used)
    if whole:
        points = _stacked(measured, used, drawn=False) * within[:, None]
        made = [one.criterion for one in used]
        swing, region = swings(made, points), regions(made, points)
    return [_criterion(one, used, whole, swing, region) for one in wanted.weights]


def _criterion(
    one: Weighted,
    used: Sequence[Weighted],
    whole: float,
    swing: Mapping[str, float],
    region: Mapping[str, Region],
) -> CriterionResult:
    name, stays = one.metric.name, region.get(one.metric.name)
    return CriterionResult(
        metric=name,
        weight=one.weight,
        share=one.weight / whole if one in used and whole else None,
        zero=one.anchors.zero,
        one=one.anchors.one,
        scale=one.anchors.scale,
        anchors="given" if one.given else "default",
        used=one in used,
        swing=float(swing[name]) if name in swing else None,
        low=None if stays is None else float(stays.low),
        high=None if stays is None else float(stays.high),
    )


def _stacked(measured: Measures, weights: Sequence[Weighted], *, drawn: bool) -> Floats:
    """(…, candidates, criteria)."""
    each = [measured[one.metric.name] for one in weights]
    return np.stack([one.drawn if drawn else one.points for one in each], axis=-1)
