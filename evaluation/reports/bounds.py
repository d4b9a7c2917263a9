"""An estimate as reports show it, and the accuracy of some cases."""

from collections.abc import Sequence

import msgspec

from evaluation.reports.rows import CaseRows
from evaluation.statistics import Estimate, Interval, share


class Bounds(msgspec.Struct, frozen=True):
    """An estimate with its 95 % interval; None is unknown."""

    value: float | None
    low: float | None
    high: float | None


def bounds(interval: Interval) -> Bounds:
    """The interval, for a report."""
    return Bounds(interval.value, interval.low, interval.high)


NOTHING = Bounds(None, None, None)


def accuracy(cases: Sequence[CaseRows]) -> Estimate | None:
    """The weighted share of right answers; None without any answer."""
    if not cases:
        return None
    return share(
        [case.scores for case in cases],
        [case.group for case in cases],
        weights=[case.weight for case in cases],
    )
