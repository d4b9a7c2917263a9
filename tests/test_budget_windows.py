"""Windows of budgets: a partition of time in every time zone, cut at quarters of an hour."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.window import BUCKET, CALENDAR, EPOCH, Period, Window, bucket, zones

NOW = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
INSTANTS = st.integers(631_152_000, 4_102_444_800).map(lambda s: datetime.fromtimestamp(s, UTC))
WEEK = timedelta(days=7)
TICK = timedelta(microseconds=1)
PARTS = 2  # one core each


@cache
def distinct() -> list[str]:
    """One name for each set of rules that are in force from now on: most zones share theirs.

    The last line of a zone's file has its rules for good (RFC 9636, 3.3); the offsets of each week
    tell those apart that have a table for the next years instead, as Morocco does.
    """
    found: dict[object, str] = {}
    for name in sorted(zones()):
        zone = ZoneInfo(name)
        files = (Path(folder) / name for folder in TZPATH)
        file = next((path for path in files if path.is_file()), None)
        rules = file.read_bytes().rsplit(b"\n", 2)[-2] if file else name
        offsets = tuple((NOW + n * WEEK).astimezone(zone).utcoffset() for n in range(120))
        found.setdefault((rules, offsets), name)
    return sorted(found.values())


@pytest.mark.parametrize("part", range(PARTS))
def test_every_zone_s_next_midnights(part: int) -> None:
    """400 days follow on each other, begin with their date, and are cut at quarters of an hour."""
    for name in distinct()[part::PARTS]:
        zone, period = ZoneInfo(name), Period(name="day", timezone=name)
        window = period.window(NOW)
        for _ in range(400):
            assert window.end is not None
            following = period.window(window.end)
            assert following.start == window.end == bucket(window.end), name
            assert period.window(window.end - TICK) == window, name
            local, before = (at.astimezone(zone) for at in (window.end, window.end - TICK))
            assert local.date() > before.date(), name
            assert timedelta(hours=22) <= window.end - window.start <= timedelta(hours=26), name
            window = following


@pytest.mark.parametrize("part", range(PARTS))
def test_every_zone_s_next_month_ends(part: int) -> None:
    """Months, quarters and years begin on the anchored day, or the last one of a shorter month."""
    for name in distinct()[part::PARTS]:
        zone = ZoneInfo(name)
        for kind, anchor, most in (("month", 31, 26), ("month", 1, 26), ("quarter", 30, 9)):
            period = Period(name=kind, timezone=name, anchor_day=anchor)
            window = period.window(NOW)
            for _ in range(most):
                assert window.end is not None
                begins = window.end.astimezone(zone).date()
                last = (begins + timedelta(days=1)).month != begins.month
                assert begins.day == anchor or (last and begins.day < anchor), (name, begins)
                assert period.window(window.end).start == window.end
                window = period.window(window.end)


@given(
    st.sampled_from(sorted(zones())),
    st.sampled_from(CALENDAR),
    INSTANTS,
    st.tuples(st.integers(1, 31), st.integers(1, 12)),
    st.sampled_from(["monday", "sunday", "wednesday"]),
)
def test_each_instant_is_in_exactly_one_window(
    zone: str, kind: str, at: datetime, anchor: tuple[int, int], week: str
) -> None:
    """Whatever the period: the window contains its instant, and its neighbours adjoin it."""
    period = Period(
        name=kind, timezone=zone, anchor_day=anchor[0], anchor_month=anchor[1], week_start=week
    )
    window = period.window(at)
    assert window.end is not None
    assert at in window
    assert period.window(window.start) == period.window(window.end - TICK) == window
    assert period.window(window.end).start == window.end
    assert period.window(window.start - TICK).end == window.start


def window(kind: str, at: str, zone: str = "UTC", **more: object) -> tuple[str, str]:
    """Start and end in local time."""
    period = Period(name=kind, timezone=zone, **more)  # type: ignore[arg-type]  # as written below
    found = period.window(datetime.fromisoformat(at))
    assert found.end is not None
    local = (instant.astimezone(ZoneInfo(zone)) for instant in (found.start, found.end))
    first, last = (f"{instant:%Y-%m-%d %H:%M%z}" for instant in local)
    return first, last


def test_the_clocks_change() -> None:
    """Days of 23 and 25 hours; a day without midnight; a day whose midnight comes twice."""
    berlin = "Europe/Berlin"
    spring = ("2026-03-29 00:00+0100", "2026-03-30 00:00+0200")
    assert window("day", "2026-03-29T12:00Z", berlin) == spring
    autumn = ("2026-10-25 00:00+0200", "2026-10-26 00:00+0100")
    assert window("day", "2026-10-25T23:00+02:00", berlin) == autumn
    cairo = ("2026-04-24 01:00+0300", "2026-04-25 00:00+0300")
    assert window("day", "2026-04-24T10:00Z", "Africa/Cairo") == cairo
    havana = ("2026-11-01 00:00-0400", "2026-11-02 00:00-0500")
    assert window("day", "2026-11-01T05:30Z", "America/Havana") == havana


def test_a_day_that_was_skipped() -> None:
    """Samoa had no 30 December 2011: the 29th ends where the 31st begins."""
    first, last = window("day", "2011-12-29T20:00-10:00", "Pacific/Apia")
    assert (first, last) == ("2011-12-29 00:00-1000", "2011-12-31 00:00+1400")


def test_clocks_that_change_around_midnight() -> None:
    """Back over midnight, the day that has begun goes on; forward, it begins with the change."""
    st_johns = ("2010-11-07 00:00-0230", "2010-11-08 00:00-0330")
    for at in ("2010-11-07T02:30Z", "2010-11-07T03:00Z", "2010-11-07T12:00Z"):
        assert window("day", at, "America/St_Johns") == st_johns  # 00:01 became 23:01
    toronto = ("1919-03-31 00:30-0400", "1919-04-01 00:00-0400")
    assert window("day", "1919-03-31T12:00Z", "America/Toronto") == toronto
    amsterdam = Period(name="hour", timezone="Europe/Amsterdam")  # then 19:32 before UTC
    start = datetime(1930, 1, 1, 5, tzinfo=UTC)
    assert amsterdam.window(start + BUCKET / 2) == Window(start, start + timedelta(hours=1))


def test_hours_of_zones_off_the_hour() -> None:
    """Kathmandu's hours begin at :15 UTC; Lord Howe repeats half an hour and has one of 90 min."""
    start = Period(name="hour", timezone="Asia/Kathmandu").window(NOW).start
    assert start == datetime(2026, 11, 29, 1, 15, tzinfo=UTC)
    long = Period(name="hour", timezone="Australia/Lord_Howe").window(
        datetime(2026, 4, 4, 15, 10, tzinfo=UTC)
    )
    assert long.end is not None
    assert long.end - long.start == timedelta(minutes=90)


def test_months_weeks_and_years() -> None:
    """Month ends, leap days, the first day of the week, fiscal quarters and years."""
    assert window("month", "2028-02-29T12:00Z") == (
        "2028-02-01 00:00+0000",
        "2028-03-01 00:00+0000",
    )
    clamped = ("2028-02-29 00:00+0000", "2028-03-31 00:00+0000")
    assert window("month", "2028-03-30T12:00Z", anchor_day=31) == clamped
    sunday = ("2026-11-29 00:00+0000", "2026-12-06 00:00+0000")
    assert window("week", "2026-11-29T02:00Z", week_start="sunday") == sunday
    monday = ("2026-11-23 00:00+0000", "2026-11-30 00:00+0000")
    assert window("week", "2026-11-29T02:00Z") == monday
    fiscal = ("2026-11-01 00:00+0000", "2027-02-01 00:00+0000")
    assert window("quarter", "2026-11-29T02:00Z", anchor_month=2) == fiscal
    year = ("2026-04-06 00:00+0000", "2027-04-06 00:00+0000")
    assert window("year", "2026-11-29T02:00Z", anchor_month=4, anchor_day=6) == year
    assert window("year", "2026-04-05T23:00Z", anchor_month=4, anchor_day=6)[1] == year[0]


@given(st.integers(1, 8784), INSTANTS)
def test_rolling_windows(hours: int, at: datetime) -> None:
    """They have their exact length and end with the quarter of an hour that is running."""
    found = Period(name=f"rolling {hours}h").window(at)
    assert found.end is not None
    assert found.end - found.start == timedelta(hours=hours)
    assert at < found.end <= at + BUCKET
    assert bucket(found.end) == found.end


def test_a_window_that_never_ends() -> None:
    """`total` counts from the epoch on; nothing of it is ever over."""
    found = Period(name="total").window(NOW)
    assert found == Window(EPOCH, None)
    assert (NOW in found, found.id, found.elapsed(NOW)) == (True, "total", 0.0)


def test_ids_and_shares() -> None:
    """An id is the same in every zone that has the same window."""
    first = Period(name="month").window(NOW)
    assert first.id == "2026-11-01T00:00Z/2026-12-01T00:00Z"
    assert first.elapsed(datetime(2026, 11, 16, tzinfo=UTC)) == 0.5
    assert first.elapsed(datetime(2027, 1, 1, tzinfo=UTC)) == 1.0
