"""A question about calls as a value: which calls, grouped how, in which stretches of time.

`proxy.query` makes one from words; `report_sql` makes a statement of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from exporters.clickhouse.dimensions import Bound, Value, known
from exporters.record import EPOCH
from pricing.window import Period, Window

BUCKETS = ("hour", "day", "week", "month")
ORDERS = ("cost", "list", "calls", "errors", "name")
MEASURES = ("successes", "cost_per_success")  # beyond those of every answer; from rows alone
ROWS_MAX = 10_000  # of an answer; groups beyond them are in the row of the others
BUCKETS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Calls with one of these values of a dimension, or `negated`, with none of them."""

    name: str
    values: tuple[Value, ...]
    negated: bool = False

    def sql(self, bind: Bound) -> str:
        """As a condition on a table `t`.  Raises ValueError for an unknown name."""
        condition = known(self.name).condition(self.values, bind)
        return f"NOT ({condition})" if self.negated else condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which calls, and how their sums are grouped: by `by`, and by `bucket` or `step` of time.

    The period is half-open, and open where a bound is None.  Days, weeks and months are those of
    `zone`; weeks begin on Monday.  `limit` is how many groups are named; the rest is one row more.
    """

    since: datetime | None = None
    until: datetime | None = None
    by: tuple[str, ...] = ()  # names of dimensions
    filters: tuple[Filter, ...] = ()
    bucket: str = ""  # one of BUCKETS
    zone: str = "UTC"
    step: timedelta | None = None  # instead of `bucket`: by `time`, in UTC
    limit: int | None = None
    order: str = "cost"  # one of ORDERS
    measures: tuple[str, ...] = ()  # of MEASURES
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def end(self) -> datetime:
        """Where the last bucket ends."""
        return self.until or self.now

    def windows(self) -> list[Window]:
        """The buckets that the period touches, in order, not cut at its ends; [] without `bucket`.

        Raises ValueError for more than BUCKETS_MAX.
        """
        if not self.bucket or self.since is None:
            return []
        period, found = Period(name=self.bucket, timezone=self.zone), list[Window]()
        at = self.since
        while at < self.end:
            window = period.window(at)
            found.append(window)
            if len(found) > BUCKETS_MAX:
                raise ValueError(f"more than {BUCKETS_MAX:,} of them, from {self.since:%Y-%m-%d}")
            at = window.end or self.end
        return found

    def label(self, window: Window) -> str:
        """A bucket as people write it: `2026-11`, `2026-11-29`; hours with their offset."""
        local = window.start.astimezone(ZoneInfo(self.zone))
        if self.bucket == "hour":
            return local.isoformat(timespec="minutes")
        return f"{local:%Y-%m}" if self.bucket == "month" else f"{local:%Y-%m-%d}"

    def spans(self) -> Iterator[tuple[Window, datetime, datetime]]:
        """Each bucket with its beginning and end, cut at those of the period."""
        windows = self.windows()
        for window, after in pairwise([*windows, None]):
            if window is not None:
                start = max(window.start, self.since or window.start)
                last = after is None
                yield window, start, self.end if last else window.end or self.end


def microseconds(instant: datetime) -> int:
    """Exact microseconds since the epoch.  Raises ValueError for an instant without a time zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return (instant - EPOCH) // timedelta(microseconds=1)


def bounds(
    since: datetime | None, until: datetime | None, bind: Bound, column: str = "t.ts"
) -> list[str]:
    """Conditions for a half-open period; adds its ends to `bind`."""
    conditions = []
    for name, sign, instant in (("since", ">=", since), ("until", "<", until)):
        if instant is not None:
            conditions.append(f"{column} {sign} fromUnixTimestamp64Micro({{{name}:Int64}}, 'UTC')")
            bind[name] = microseconds(instant)
    return conditions
