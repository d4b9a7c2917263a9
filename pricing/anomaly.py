"""Whether an hour's spend is unusual: by medians of the same hour of the week, not by averages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import median
from zoneinfo import ZoneInfo

from pricing.forecast import HOUR, WEEK, WEEKS_MAX, History, hour_of_week
from pricing.window import EPOCH

WEEKS_MIN = 3  # with fewer only the absolute trigger works
SCORE_MIN = Decimal(5)
# 1.4826 * MAD estimates the standard deviation of a normal distribution.
MAD_SCALE = Decimal("1.4826")
MAD_SHARE = Decimal("0.05")  # of the median: the least deviation that counts as usual
RATIO_MIN = Decimal("1.5")  # times the median
CONTRIBUTORS_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """An unusual hour: what it cost, what is usual, and who contributed most."""

    hour: datetime
    amount: Decimal
    usual: Decimal | None  # the median; None: too few weeks, the absolute trigger fired
    score: Decimal | None  # deviations from the median; None: as above, or nothing is usual
    weeks: int
    contributors: tuple[tuple[str, Decimal], ...]  # the most first


def find_anomaly(
    history: History,
    hour: datetime,
    amount: Decimal,
    contributors: Mapping[str, Decimal],
    *,
    floor: Decimal,
    absolute: Decimal | None = None,
    timezone: str = "UTC",
) -> Anomaly | None:
    """Whether `amount` in the UTC hour that begins at `hour` is unusual.

    It may still be running.  An hour is usual unless it costs more than `floor`; with fewer than 3
    weeks of history, only one above `absolute` is unusual.
    """
    usable = baseline(history, hour, timezone)
    found: tuple[Decimal | None, Decimal | None] | None
    if len(usable) < WEEKS_MIN:
        found = (None, None) if absolute is not None and amount > absolute else None
    else:
        found = _deviation(usable, amount)
    if found is None or amount <= floor:
        return None
    most = sorted(contributors.items(), key=lambda one: (-one[1], one[0]))
    usual, score = found
    return Anomaly(
        hour=hour,
        amount=amount,
        usual=usual,
        score=score,
        weeks=len(usable),
        contributors=tuple(most[:CONTRIBUTORS_MAX]),
    )


def confirmed(current: Anomaly | None, earlier: Anomaly | None) -> bool:
    """Whether to tell: two looks in a row, at the same hour or at two neighbours, found one."""
    if current is None or earlier is None:
        return False
    return current.hour - earlier.hour in (0 * HOUR, HOUR)


def baseline(history: History, hour: datetime, timezone: str = "UTC") -> Sequence[Decimal]:
    """What the same hour of the week cost in the last 8 weeks, the day of `hour` excluded."""
    zone = ZoneInfo(timezone)
    today = hour.astimezone(zone).date()
    past = history.between(hour - WEEKS_MAX * WEEK, hour)
    wanted = hour_of_week((hour - EPOCH) // HOUR, timezone)
    return [
        amount
        for number, amount in enumerate(past.amounts, past.first)
        if hour_of_week(number, timezone) == wanted
        and (EPOCH + number * HOUR).astimezone(zone).date() != today
    ]


def _deviation(usable: Sequence[Decimal], amount: Decimal) -> tuple[Decimal, Decimal | None] | None:
    """(median, score) if `amount` is unusual beside `usable`."""
    usual = median(usable)
    mad = max(median(abs(one - usual) for one in usable), usual * MAD_SHARE)
    if amount <= usual * RATIO_MIN:
        return None
    if not mad:  # the hour is usually free: there is nothing to measure by
        return usual, None
    score = (amount - usual) / (MAD_SCALE * mad)
    return (usual, score) if score > SCORE_MIN else None
