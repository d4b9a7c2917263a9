"""Success and cost under "always this candidate", from routes with recorded propensities.  Pure.

Success is that of the calls that somebody judged.  Without feedback there is only how calls ended,
which can tell against a candidate, and not for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.decisions.calls import Calls
from evaluation.decisions.change import CALLS_MIN, Rewards
from evaluation.statistics.clusters import Clusters, Floats, clustered
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval, Refused, ordered
from evaluation.statistics.off_policy import OffPolicy, log_of, off_policy
from evaluation.statistics.quantiles import normal_quantile


@dataclass(frozen=True, slots=True)
class Routed:
    """Two candidates by the same routes; `part` is the share of the cost of the first in them.

    `now` and `then` are over the `judged` calls, or if these are too few, over all, by how they
    ended.
    `costs` is the ratio of the cost of a client call, all attempts of it, under "always the other"
    to that under "always the first"; without a value if a cost is unknown.
    """

    calls: int
    judged: int
    part: float
    now: OffPolicy | Refused
    then: OffPolicy | Refused
    costs: Interval

    @property
    def rewards(self) -> Rewards:
        """What `now` and `then` rest on."""
        return "feedback" if self.judged >= CALLS_MIN else "none"

    @property
    def difference(self) -> Estimate | None:
        """`then` less `now`, doubly robust; None where either was refused.

        Both rest on different calls of the same routes, so their errors are taken as independent,
        and those of each side are put together (MOVER: Zou and Donner 2008).
        """
        if isinstance(self.now, Refused) or isinstance(self.then, Refused):
            return None
        now, then = _sides(self.now.dr), _sides(self.then.dr)
        value, z = then[1] - now[1], normal_quantile((1 + CONFIDENCE) / 2)
        count = self.judged if self.rewards == "feedback" else self.calls
        below = math.hypot(then[1] - then[0], now[2] - now[1])
        above = math.hypot(then[2] - then[1], now[1] - now[0])
        interval = Interval(value, value - below, value + above)
        return Estimate(interval, (below + above) / 2 / z, z, count, count)

    @property
    def refused(self) -> Refused | None:
        """Why nothing is said, with coverage and bounds."""
        return next((one for one in (self.then, self.now) if isinstance(one, Refused)), None)


def by_routes(calls: Calls, name: str, other: str) -> Routed | None:
    """The calls of routes that chose both; None if there are too few."""
    rows = _rows(calls, name, other)
    if len(rows) < CALLS_MIN:
        return None
    served = calls.candidates[rows]
    arms = sorted(set(served.tolist()))
    actions = np.asarray([arms.index(each) for each in served])
    propensities: Floats | None = calls.numbers("propensity")[rows]
    if propensities is not None and not bool(np.all(propensities > 0)):
        propensities = None  # one that was not recorded leaves nothing to weigh by
    said = calls.judged[rows] > 0
    judged = int(said.sum())
    used = np.flatnonzero(said) if judged >= CALLS_MIN else np.arange(len(rows))
    rewards: Floats = calls.succeeded[rows]
    sessions = calls.clusters[rows]

    def always(arm: str) -> OffPolicy | Refused:
        target = np.zeros((len(used), len(arms)))
        target[:, arms.index(arm)] = 1.0
        log = log_of(
            actions[used],
            rewards[used],
            None if propensities is None else propensities[used],
            target,
            sessions=sessions[used].tolist(),
        )
        return off_policy(log)

    costs = np.nan_to_num(calls.numbers("cost_usd"))
    whole = costs[calls.candidates == name].sum()
    part = float(costs[rows][served == name].sum() / whole) if whole else 0.0
    ratio = Interval(None, None, None)
    if propensities is not None:
        paid = _paid(calls, rows)
        arms_of = [(served == arm) / propensities for arm in (name, other)]
        ratio = _ratio(paid, arms_of[0], arms_of[1], clustered(len(rows), sessions.tolist()))
    return Routed(len(rows), judged, part, always(name), always(other), ratio)


def _paid(calls: Calls, rows: Sequence[int]) -> Floats:
    """USD of each client call with all its attempts; NaN if one of them is unknown."""
    costs = calls.numbers("cost_usd")
    costs[np.asarray([each == "partial" for each in calls.columns["cost_status"]])] = np.nan
    whole: dict[object, float] = {}
    for at, request in enumerate(calls.columns["request_id"]):
        if request:
            whole[request] = whole.get(request, 0.0) + float(costs[at])
    requests = [calls.columns["request_id"][row] for row in rows]
    return np.asarray(
        [whole.get(request, costs[row]) for row, request in zip(rows, requests, strict=True)],
        np.float64,
    )


def _ratio(paid: Floats, now: Floats, then: Floats, groups: Clusters) -> Interval:
    """Of two self-normalised means (Hájek), by the delta method on the logarithm, clustered."""
    if bool(np.any(np.isnan(paid[(now > 0) | (then > 0)]))):
        return Interval(None, None, None)
    paid = np.nan_to_num(paid)
    means = [float(weights @ paid / weights.sum()) for weights in (now, then)]
    if min(means) <= 0:
        return Interval(None, None, None)
    influence = [
        weights * (paid - mean) / (weights.mean() * mean)
        for weights, mean in zip((now, then), means, strict=True)
    ]
    value = means[1] / means[0]
    se, critical = groups.se(influence[1] - influence[0]), groups.critical(CONFIDENCE)
    if se is None or math.isinf(critical):
        return Interval(value, None, None)
    factor = math.exp(min(critical * se, 700.0))  # e^710 is too much for a float
    return ordered(value, value / factor, value * factor)


def _rows(calls: Calls, name: str, other: str) -> list[int]:
    """First attempts in versions of routes that chose both."""
    columns = calls.columns
    of: dict[object, list[int]] = {}
    for at, route in enumerate(columns["route"]):
        if route and columns["attempt"][at] == 1:
            of.setdefault((route, columns["route_version"][at]), []).append(at)
    both = [rows for rows in of.values() if {name, other} <= set(calls.candidates[rows].tolist())]
    return sorted(row for rows in both for row in rows)


def _sides(found: Interval) -> tuple[float, float, float]:
    """(low, value, high): an estimate that was not refused has all of them."""
    assert found.low is not None
    assert found.value is not None
    assert found.high is not None
    return found.low, found.value, found.high
