"""Success under "always this candidate", from calls of routes with recorded propensities.  Pure."""

from dataclasses import dataclass

import numpy as np

from evaluation.decisions.calls import Calls
from evaluation.decisions.change import CALLS_MIN
from evaluation.statistics.clusters import Floats
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval, Refused
from evaluation.statistics.off_policy import OffPolicy, log_of, off_policy
from evaluation.statistics.quantiles import normal_quantile


@dataclass(frozen=True, slots=True)
class Routed:
    """Two candidates by the same routes; `part` is the share of the cost of the first in them."""

    calls: int
    part: float
    now: OffPolicy | Refused
    then: OffPolicy | Refused

    @property
    def difference(self) -> Estimate | None:
        """`then` less `now`, doubly robust; None where either was refused.

        Both rest on different calls of the same routes; their errors are added as if independent.
        """
        if isinstance(self.now, Refused) or isinstance(self.then, Refused):
            return None
        now, then = self.now.dr, self.then.dr
        assert now.value is not None  # an estimate has a value
        assert then.value is not None
        value, z = then.value - now.value, normal_quantile((1 + CONFIDENCE) / 2)
        if None in (now.low, now.high, then.low, then.high):
            return Estimate(Interval(value, None, None), None, np.inf, self.calls, 1)
        half = float(np.hypot(_half(now), _half(then)))
        interval = Interval(value, value - half, value + half)
        return Estimate(interval, half / z, z, self.calls, self.calls)

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
    actions = [arms.index(each) for each in served]
    propensities: Floats | None = calls.numbers("propensity")[rows]
    if propensities is not None and not bool(np.all(propensities > 0)):
        propensities = None  # one that was not recorded leaves nothing to weigh by
    rewards: Floats = calls.succeeded[rows]
    sessions = calls.clusters[rows].tolist()

    def always(arm: str) -> OffPolicy | Refused:
        target = np.zeros((len(rows), len(arms)))
        target[:, arms.index(arm)] = 1.0
        return off_policy(log_of(actions, rewards, propensities, target, sessions=sessions))

    costs = np.nan_to_num(calls.numbers("cost_usd"))
    whole = costs[calls.candidates == name].sum()
    part = float(costs[rows][served == name].sum() / whole) if whole else 0.0
    return Routed(len(rows), part, always(name), always(other))


def _rows(calls: Calls, name: str, other: str) -> list[int]:
    """First attempts in versions of routes that chose both."""
    columns = calls.columns
    of: dict[object, list[int]] = {}
    for at, route in enumerate(columns["route"]):
        if route and columns["attempt"][at] == 1:
            of.setdefault((route, columns["route_version"][at]), []).append(at)
    both = [rows for rows in of.values() if {name, other} <= set(calls.candidates[rows].tolist())]
    return sorted(row for rows in both for row in rows)


def _half(found: Interval) -> float:
    assert found.low is not None
    assert found.high is not None
    return (found.high - found.low) / 2
