"""Success and cost under "always this candidate", from routes with recorded propensities.  Pure.

Success is that of the calls that somebody judged.  Without feedback there is only how calls ended,
which can tell against a candidate, and not for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.decisions.calls import Calls
from evaluation.decisions.change import CALLS_MIN, Rewards
from evaluation.history.rows import STAYED
from evaluation.statistics import OffPolicy, log_of, off_policy, weighted_ratio
from evaluation.statistics.clusters import Floats, clustered
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval, Refused
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
    confidence: float = CONFIDENCE

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
        value, z = then[1] - now[1], normal_quantile((1 + self.confidence) / 2)
        count = self.judged if self.rewards == "feedback" else self.calls
        below = math.hypot(then[1] - then[0], now[2] - now[1])
        above = math.hypot(then[2] - then[1], now[1] - now[0])
        interval = Interval(value, value - below, value + above)
        return Estimate(interval, (below + above) / 2 / z, z, count, count)

    @property
    def refused(self) -> Refused | None:
        """Why nothing is said, with coverage and bounds."""
        return next((one for one in (self.then, self.now) if isinstance(one, Refused)), None)


@dataclass(frozen=True, slots=True)
class Assigned:
    """First attempts of routes, with the candidate that each was assigned and how likely that was.

    `propensities` of None were not recorded for all.
    """

    rows: Sequence[int]
    arms: NDArray[np.object_]
    propensities: Floats | None


def assigned(calls: Calls, name: str, other: str) -> Assigned | None:
    """Those of routes that chose both; None if there are too few.

    A session is assigned once, by its first call, and its later calls stay: theirs is the
    propensity of the first.  Sessions whose beginning is missing are left out.
    """
    columns, first = calls.columns, dict[object, int]()
    of: dict[object, list[tuple[int, int]]] = {}
    for at, route in enumerate(columns["route"]):
        if not route or columns["attempt"][at] != 1:
            continue
        version = (route, columns["route_version"][at])
        session = (version, columns["cluster"][at])
        begun = at
        if columns["sticky"][at] in STAYED:
            if session not in first:
                continue
            begun = first[session]
        else:
            first[session] = at
        of.setdefault(version, []).append((at, begun))
    both = [
        pairs
        for pairs in of.values()
        if {name, other} <= set(calls.candidates[[begun for _, begun in pairs]].tolist())
    ]
    found = sorted(pair for pairs in both for pair in pairs)
    if len(found) < CALLS_MIN:
        return None
    firsts = [begun for _, begun in found]
    propensities = calls.numbers("propensity")[firsts]
    recorded = bool(np.all(propensities > 0))  # one that was not leaves nothing to weigh by
    return Assigned(
        [at for at, _ in found], calls.candidates[firsts], propensities if recorded else None
    )


def by_routes(
    calls: Calls, name: str, other: str, *, confidence: float = CONFIDENCE
) -> Routed | None:
    """The calls of routes that chose both; None if there are too few."""
    found = assigned(calls, name, other)
    if found is None:
        return None
    rows, arms = found.rows, sorted(set(found.arms.tolist()))
    actions = np.asarray([arms.index(each) for each in found.arms])
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
            None if found.propensities is None else found.propensities[used],
            target,
            sessions=sessions[used].tolist(),
        )
        return off_policy(log, confidence=confidence)

    costs = np.nan_to_num(calls.numbers("cost_usd"))
    whole = costs[calls.candidates == name].sum()
    part = float(costs[rows][calls.candidates[rows] == name].sum() / whole) if whole else 0.0
    billed = _billed(calls, found, (other, name), confidence)
    return Routed(len(rows), judged, part, always(name), always(other), billed, confidence)


def _billed(calls: Calls, found: Assigned, arms: tuple[str, str], confidence: float) -> Interval:
    """The cost of a client call under "always the first" of two arms over that of the second."""
    if found.propensities is None:
        return Interval(None, None, None)
    paid = _paid(calls, found.rows)
    above, below = ((found.arms == arm) / found.propensities for arm in arms)
    if bool(np.any(np.isnan(paid[(above > 0) | (below > 0)]))):
        return Interval(None, None, None)
    groups = clustered(len(paid), calls.clusters[found.rows].tolist())
    return weighted_ratio(np.nan_to_num(paid), above, below, groups, confidence=confidence)


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


def _sides(found: Interval) -> tuple[float, float, float]:
    """(low, value, high): an estimate that was not refused has all of them."""
    assert found.low is not None
    assert found.value is not None
    assert found.high is not None
    return found.low, found.value, found.high
