"""Forecasts and anomalies: medians by hour of the week, and silence where history is thin."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.anomaly import baseline, confirmed, find_anomaly
from pricing.forecast import DAY, HOUR, Forecast, History, exceeds, forecast
from pricing.window import Period, Window

NOW = datetime(2026, 11, 16, tzinfo=UTC)  # a Monday; half of November is over
MONTH = Period(name="month").window(NOW)
ONE = Decimal(1)


def history(days: int, amount: Callable[[datetime], object], end: datetime = NOW) -> History:
    """An amount for each hour of so many days."""
    start = end - days * DAY
    hours = [start + n * HOUR for n in range(days * 24)]
    return History(start, [Decimal(str(amount(at))) for at in hours])


def office(at: datetime) -> int:
    """Ten an hour while people work."""
    return 10 if at.weekday() < 5 and 8 <= at.hour < 18 else 0


def test_a_steady_pattern_is_met_exactly() -> None:
    """Weekends and nights included; the method made no errors, so its interval is a point."""
    found = forecast(history(84, office), MONTH, Decimal(1000), NOW)
    assert found is not None
    working_days = 11  # 16 to 30 November 2026
    assert found.amount == 1000 + working_days * 100
    assert (found.low, found.high, found.method) == (found.amount, found.amount, "hour_of_week")
    assert not found.little_history


def test_the_level_follows_the_last_week() -> None:
    """Twice as much in the last seven days doubles what is expected, at most four times."""
    for factor, expected in ((2, 2), (100, 4), (0, Decimal("0.25"))):
        grown = history(56, lambda at, f=factor: f if at >= NOW - 7 * DAY else 1)  # type: ignore[misc]  # bound now
        found = forecast(grown, MONTH, Decimal(0), NOW)
        assert found is not None
        assert found.amount == expected * 15 * 24


def test_one_wild_day_does_not_move_the_medians() -> None:
    """A spike weeks ago is no pattern."""
    wild = history(56, lambda at: 1000 if at.date() == (NOW - 20 * DAY).date() else 1)
    found = forecast(wild, MONTH, Decimal(0), NOW)
    assert found is not None
    assert found.amount == 15 * 24


def test_the_interval_holds_what_it_says() -> None:
    """With random spend, about 80 of 100 months end within it."""
    inside = 0
    dice = random.Random(7)  # fixed: a test must not depend on luck
    for _ in range(40):
        amounts = [Decimal(str(round(dice.expovariate(1), 3))) for _ in range(70 * 24)]
        known = History(NOW - 56 * DAY, amounts)
        week = Window(NOW - DAY, NOW + 6 * DAY)
        found = forecast(known, week, Decimal(0), NOW)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        actual = sum(amounts[56 * 24 : 62 * 24], Decimal(0))
        inside += found.low <= actual <= found.high
    assert 0.6 <= inside / 40 <= 0.97


@pytest.mark.parametrize(
    ("days", "method"), [(2, None), (3, "daily_rate"), (13, "daily_rate"), (14, "hour_of_week")]
)
def test_little_history(days: int, method: str | None) -> None:
    """Under three days there is none, under fourteen it is the daily rate and says so."""
    found = forecast(history(days, lambda _: 1), MONTH, Decimal(5), NOW)
    if method is None:
        assert found is None
        return
    assert found is not None
    assert (found.method, found.amount) == (method, Decimal(5 + 15 * 24))
    assert found.low is None
    assert found.little_history is (method == "daily_rate")


def test_no_forecast() -> None:
    """At the beginning of a window, outside of it, and where it never ends."""
    known = history(60, lambda _: 1)
    early = datetime(2026, 11, 2, tzinfo=UTC)
    assert forecast(known, MONTH, ONE, early) is None
    assert forecast(known, MONTH, ONE, datetime(2026, 12, 1, tzinfo=UTC)) is None
    assert forecast(known, Window(NOW, None), ONE, NOW) is None
    assert forecast(History(NOW, []), MONTH, ONE, NOW) is None


def test_rare_hours_are_not_overlooked() -> None:
    """Spend in hours whose median is 0, and nowhere else, goes by the daily rate of a week."""
    rare = history(56, lambda at: 24 if at.hour == at.toordinal() % 24 else 0)
    found = forecast(rare, MONTH, Decimal(0), NOW)
    assert found is not None
    assert found.amount == 15 * 24


def test_the_future_is_not_looked_at() -> None:
    """Hours after the instant change nothing."""
    known = history(56, office)
    longer = History(known.start, [*known.amounts, *[Decimal(99)] * 48])
    assert forecast(longer, MONTH, ONE, NOW) == forecast(known, MONTH, ONE, NOW)


@given(st.integers(0, 60), st.integers(1, 59), st.integers(0, 1000))
def test_bounds(days: int, minutes: int, amount: int) -> None:
    """Never below what is spent, and the bounds are in order, at any minute."""
    now = NOW + timedelta(minutes=minutes)
    known = history(days, lambda at: (at.day * amount) % 17)
    found = forecast(known, MONTH, Decimal(3), now, "Asia/Kolkata")
    if found is None:
        return
    assert found.amount >= 3
    if found.low is not None and found.high is not None:
        assert 3 <= found.low <= found.high


def test_when_a_forecast_is_told() -> None:
    """If its lower bound exceeds the limit, or two forecasts an hour apart do."""
    base = Forecast(
        at=NOW, window=MONTH, amount=Decimal(120), low=Decimal(90), high=None, method="daily_rate"
    )
    earlier = replace(base, at=NOW - HOUR)
    limit = Decimal(100)
    assert exceeds(limit, replace(base, low=Decimal(101)), None)
    assert not exceeds(limit, base, None)
    assert exceeds(limit, base, earlier)
    assert not exceeds(limit, base, replace(earlier, at=NOW - HOUR / 2))
    assert not exceeds(limit, base, replace(earlier, amount=limit))
    assert not exceeds(limit, base, replace(earlier, window=Window(NOW, None)))
    assert not exceeds(limit, replace(base, amount=limit), earlier)


def test_history_is_by_whole_hours() -> None:
    """A start within an hour would shift every hour of the week."""
    with pytest.raises(ValueError, match="not the beginning of a UTC hour"):
        History(NOW + timedelta(minutes=15), [])


def weekly(*amounts: object) -> History:
    """The hour of NOW cost this in the last weeks, the newest last; other hours nothing."""
    by_week = {NOW - (len(amounts) - n) * 7 * DAY: each for n, each in enumerate(amounts)}
    return history(7 * len(amounts), lambda at: by_week.get(at, 0))


def test_an_unusual_hour() -> None:
    """It carries value, median, weeks and the three who contributed most."""
    spent = {"b": Decimal(30), "a": Decimal(30), "c": Decimal(5), "d": Decimal(25)}
    known = weekly(10, 11, 9, 10, 10)
    found = find_anomaly(known, NOW, Decimal(90), spent, floor=Decimal(20))
    assert found is not None
    assert (found.amount, found.usual, found.weeks) == (Decimal(90), Decimal(10), 5)
    assert [name for name, _ in found.contributors] == ["a", "b", "d"]
    assert found.score is not None
    assert found.score > 5
    assert find_anomaly(known, NOW, Decimal(90), spent, floor=Decimal(90)) is None


@pytest.mark.parametrize(
    ("amount", "past", "unusual"),
    [
        (15, (10, 10, 10), False),  # not more than 1.5 times
        ("15.01", (10, 10, 10), True),  # no deviation: 5 % of the median is usual
        (30, (2, 10, 18, 4, 16), False),  # it varies that much
        (60, (2, 10, 18, 4, 16), True),
        (1, (0, 0, 0), True),  # usually free
        (50, (10, 10), False),  # too few weeks
    ],
)
def test_what_is_unusual(amount: object, past: tuple[int, ...], unusual: bool) -> None:
    """More than five deviations and more than 1.5 times the median, with three weeks or more."""
    found = find_anomaly(weekly(*past), NOW, Decimal(str(amount)), {}, floor=Decimal("0.5"))
    assert (found is not None) is unusual


def test_the_absolute_trigger() -> None:
    """It works where history is too short, and only there."""
    few, enough = weekly(10), weekly(60, 60, 60)
    hour, limit = Decimal(70), Decimal(50)
    found = find_anomaly(few, NOW, hour, {}, floor=ONE, absolute=limit)
    assert found is not None
    assert (found.usual, found.score, found.weeks) == (None, None, 1)
    assert find_anomaly(few, NOW, limit, {}, floor=ONE, absolute=limit) is None
    assert find_anomaly(enough, NOW, hour, {}, floor=ONE, absolute=limit) is None


def test_today_is_not_in_its_own_baseline() -> None:
    """The same hour of the last eight weeks is, and nothing older."""
    known = history(70, lambda at: 7 if at.date() == NOW.date() else 1, NOW + DAY)
    assert baseline(known, NOW) == [ONE] * 8


def test_two_looks_confirm() -> None:
    """At the same hour or at two neighbours, never one alone."""
    found = find_anomaly(weekly(1, 1, 1), NOW, Decimal(9), {}, floor=ONE)
    assert found is not None
    assert confirmed(found, found)
    assert confirmed(replace(found, hour=NOW + HOUR), found)
    assert not confirmed(replace(found, hour=NOW + 2 * HOUR), found)
    assert not confirmed(found, None)
    assert not confirmed(None, found)
