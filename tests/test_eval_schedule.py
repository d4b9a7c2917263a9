"""Weekly runs: when they are due, what is missed, and which drift is told."""

import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.reports.rows import Stored
from evaluation.schedules import book
from evaluation.schedules.book import Past, Progress, Schedule
from evaluation.schedules.drift import changes, served
from evaluation.schedules.due import LATE_MAX, due
from evaluation.schedules.told import (
    drift_notices,
    failed_notice,
    missed_notice,
    served_notices,
)
from evaluation.schedules.weekly import DAYS, weekly
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.settings.places import Places
from support.stored_runs import stored

WEEK = timedelta(days=7)
ADDED = datetime(2026, 11, 2, 12, tzinfo=UTC)  # a Monday
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
instants = st.integers(1_700_000_000, 1_900_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


def schedule(**more: Any) -> Schedule:
    """Mondays at three, UTC."""
    given: dict[str, Any] = {"weekly": "mon@03:00", "zone": "UTC", "added": ADDED}
    return Schedule(name="s", suite="starter", models="openai/x", **given | more)


@given(
    instants, st.sampled_from(DAYS), st.integers(0, 23), st.integers(0, 59), st.sampled_from(ZONES)
)
def test_an_instant_of_the_week_comes_once_a_week(
    now: datetime, day: str, hour: int, minute: int, zone: str
) -> None:
    """The last is not after now, the next is; between them lies a week, give or take the clocks."""
    when = weekly(f"{day}@{hour:02}:{minute:02}", zone)
    last, following = when.last(now), when.next(now)
    assert last <= now < following
    assert abs(following - last - WEEK) <= timedelta(hours=1)
    local = following.astimezone(ZoneInfo(zone))
    assert DAYS[local.weekday()] == day or hour == 23
    assert when.between(last, following) == [following]
    assert when.next(last) == following


def test_a_time_that_clocks_skip_comes_an_hour_later() -> None:
    """On 2026-03-29 in Berlin there is no 02:30; the run is not lost."""
    when = weekly("sun@02:30", "Europe/Berlin")
    assert when.next(datetime(2026, 3, 28, tzinfo=UTC)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert when.next(datetime(2026, 10, 24, tzinfo=UTC)) == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )


@pytest.mark.parametrize("text", ["mon@03:00", "Monday@3:00", " MON@03:00 "])
def test_days_are_written_as_people_do(text: str) -> None:
    """In short or in full."""
    assert weekly(text, "UTC") == weekly("mon@03:00", "UTC")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mno@03:00", "did you mean mon@03:00?"),
        ("thr@3:00", "did you mean thu@3:00?"),
        ("xyz@3:00", "DAY is one of mon"),
        ("mon@24:00", "no time of the day"),
        ("mon@03:60", "no time of the day"),
        ("mon 03:00", "expected DAY@HH:MM"),
        ("", "expected DAY@HH:MM"),
        ("mondays@03:00", "no day of the week"),
    ],
)
def test_other_times_are_refused(text: str, said: str) -> None:
    """With what was probably meant."""
    with pytest.raises(ValueError, match=re.escape(said)):
        weekly(text, "UTC")


def test_a_run_is_due_once() -> None:
    """From its instant on, until it is handled; the instants before it was added are nobody's."""
    first = datetime(2026, 11, 9, 3, tzinfo=UTC)
    assert due(schedule(), Progress(), first - timedelta(seconds=1)).run is None
    found = due(schedule(), Progress(), first)
    assert (found.run, found.resumed, found.missed) == (first, False, ())
    assert due(schedule(), Progress(handled=first), first + timedelta(days=6)).run is None
    assert due(schedule(), Progress(running=first), first + timedelta(hours=1)).resumed


def test_a_run_that_is_late_is_made_up_for_within_a_day() -> None:
    """Later it is missed, and the next one will do."""
    first = datetime(2026, 11, 9, 3, tzinfo=UTC)
    assert due(schedule(), Progress(), first + LATE_MAX).run == first
    late = due(schedule(), Progress(), first + LATE_MAX + timedelta(seconds=1))
    assert (late.run, late.missed) == (None, (first,))
    months = due(schedule(), Progress(), first + 5 * WEEK)
    assert (months.run, len(months.missed)) == (first + 5 * WEEK, 5)
    stale = due(schedule(), Progress(running=first), first + 2 * LATE_MAX)
    assert (stale.run, stale.missed) == (None, (first,))


@given(st.lists(st.integers(1, 400), max_size=30))
def test_every_instant_is_run_or_missed_and_never_both(waits: list[int]) -> None:
    """However often and however late somebody looks."""
    progress, now, handled = Progress(), ADDED, list[datetime]()
    for hours in waits:
        now += timedelta(hours=hours)
        found = due(schedule(), progress, now)
        done = [*found.missed, *filter(None, [found.run])]
        handled += done
        progress.handled = done[-1] if done else progress.handled
    assert handled == schedule().when.between(ADDED, now)


@pytest.mark.thorough
def test_weekly_looks_raise_few_false_alarms() -> None:
    """A model that stays as it is, looked at for half a year: below 5 % of such models alarm."""
    rng, alarms = random.Random(7), 0
    for _ in range(60):
        chances = [rng.random() for _ in range(80)]

        def week(chances: list[float] = chances) -> Stored:
            return stored("r", [float(rng.random() < chance) for chance in chances])

        first = week()
        alarms += any(
            change.drifted for look in range(1, 27) for change in changes(week(), first, look)
        )
    assert alarms <= 6


def test_a_model_that_lost_quality_is_told_once_until_it_is_back() -> None:
    """A notice that fires, with the numbers, and its end under the same id."""
    first = stored("r0", [1.0] * 80 + [0.0] * 20)
    worse = stored("r1", [1.0] * 45 + [0.0] * 55)
    progress = Progress()

    def told(now: Stored, look: int) -> list[Any]:
        found = changes(now, first, look)
        runs = (first.run.run_id, now.run.run_id)
        return [*drift_notices(schedule(), found, progress, runs, ADDED)]

    assert told(first, 1) == []
    (fires,) = told(worse, 2)
    assert fires.kind == "evaluation"
    assert "-35.0 points" in fires.text
    assert not fires.resolved
    assert told(worse, 3) == []
    (over,) = told(first, 4)
    assert (over.id, over.resolved) == (fires.id, True)
    assert told(first, 5) == []


def test_another_model_behind_a_name_is_told() -> None:
    """Providers move aliases; the rows say so for free."""
    before, after = served(stored("a", [1.0])), served(stored("b", [1.0], "x-2"))
    (notice,) = served_notices(schedule(), before, after, ADDED)
    assert "x-2 answers for openai/x" in notice.text
    assert [*served_notices(schedule(), before, before, ADDED)] == []
    assert [*served_notices(schedule(), {}, after, ADDED)] == []


def test_what_was_missed_or_failed_is_told() -> None:
    """With the instant in the id, so that it is told once."""
    missed = missed_notice(schedule(), [ADDED, ADDED + WEEK], ADDED)
    failed = failed_notice(schedule(), ADDED, "no key", ADDED)
    assert "2 runs of s" in missed.text
    assert failed.text.endswith("did not finish: no key")
    assert missed.id != failed.id


def test_schedules_survive_and_a_damaged_file_says_so(tmp_path: Path) -> None:
    """The command and the scheduler each have a file of their own."""
    places = Places(tmp_path)
    assert (book.schedules(places), book.progress(places)) == ([], {})
    book.save(places, [schedule(), schedule(notify=("ops",))])
    assert book.schedules(places) == [schedule(), schedule(notify=("ops",))]
    past = Progress(runs=[Past(due=ADDED, ended=ADDED, run_id="r", state="finished")])
    book.save_progress(places, {"s": past})
    assert book.progress(places) == {"s": past}
    places.schedules.write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        book.schedules(places)


def test_the_command_adds_lists_and_removes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is checked before anything is kept."""
    where = ["--data", str(tmp_path / "data")]
    add = ["eval", "schedule", "starter", "--models", "openai/gpt-5.4-mini", *where]
    assert main([*add, "--weekly", "mon@03:00", "--tz", "Europe/Berlin"]) == Exit.OK
    assert "next run Mon" in capsys.readouterr().out
    assert main(["eval", "schedule", "--list", *where]) == Exit.OK
    assert "--max-usd" in capsys.readouterr().out  # what a run can cost, as nothing else was said
    for wrong, said in (
        (["--weekly", "mon"], "expected DAY@HH:MM"),
        (["--weekly", "mon@03:00", "--tz", "Europe/Berln"], "did you mean Europe/Berlin?"),
        (["--weekly", "mon@03:00", "--notify", "ops"], "unknown target 'ops'"),
        (["--weekly", "mon@03:00", "--max-usd", "0.01"], "exceeds --max-usd"),
        ([], "give --weekly"),
    ):
        assert main([*add, *wrong]) == Exit.MISTAKE
        assert said in capsys.readouterr().err
    assert main(["eval", "schedule", "--remove", "start", *where]) == Exit.MISTAKE
    assert "there are: starter" in capsys.readouterr().err
    assert main(["eval", "schedule", "--remove", "starter", *where]) == Exit.OK
    assert book.schedules(Places(tmp_path / "data")) == []
