"""Runs week after week: intervals that hold at every look, and cases that are missing now."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evaluation import statistics as ours
from evaluation.reports import words
from evaluation.reports.page import page
from evaluation.reports.report import Report, report
from evaluation.reports.weeks import look_of
from evaluation.schedules.drift import changes
from support.stored_runs import stored
from support.worlds import World, truth

WEEKS, RUNS = 12, 1000
SHARES = st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 2), min_size=3, max_size=40)


# -- looks ----------------------------------------------------------------------------------------


def test_each_finished_run_since_then_is_a_look() -> None:
    """Of the same version of the suite and of the model; an unfinished one told nobody anything."""
    first, second, now = (stored(f"r{n}", [1.0], at=f"2026-11-0{n}").run for n in (1, 2, 3))
    assert look_of([], now, first) == 1
    assert look_of([now, second, first], now, first) == 2
    others = [
        replace(second, run_id="x", state="stopped"),
        replace(second, run_id="y", suite_version="w"),
        replace(second, run_id="z", models=["openai/other"]),
        replace(second, run_id="later", ts="2026-12-01"),
    ]
    assert look_of([now, first, *others], now, first) == 1


def test_all_looks_together_may_err_once_in_twenty() -> None:
    """The errors that looks are given add up to 5 %, of all models too."""
    errors = [1 - ours.look_confidence(look, 3) for look in range(1, 2000)]
    assert sum(errors) * 3 == pytest.approx(0.05, rel=1e-3)
    assert errors == sorted(errors, reverse=True)


def half(scores: Sequence[float | None]) -> list[float | None]:
    """The same in both halves, of which a report shows one."""
    return [score for score in scores for _ in range(2)]


def since(now: Sequence[float | None], before: Sequence[float | None], earlier: int = 0) -> Report:
    """The report on `now`, with so many looks at `before` already."""
    first, last = stored("r0", half(before), at="1"), stored("r9", half(now), at="9")
    between = [replace(first.run, run_id=f"b{n}", ts="5") for n in range(earlier)]
    return report(last, first, runs=[first.run, *between, last.run])


def test_what_one_look_shows_the_tenth_does_not() -> None:
    """9 points are shown by a single comparison, and are chance among ten."""
    before = [1.0] * 90 + [0.0] * 30
    now = [1.0] * 79 + [0.0] * 41
    once, tenth = since(now, before).since[0], since(now, before, 9).since[0]
    assert (once.look, tenth.look) == (1, 10)
    assert once.verdict == "worse"
    assert tenth.verdict.startswith("cannot tell")
    assert once.difference == tenth.difference
    wide, narrow = tenth.at_every_look, once.at_every_look
    assert wide.low is not None
    assert narrow.low is not None
    assert once.difference.low is not None
    assert wide.low < narrow.low < once.difference.low
    assert (tenth.detectable_difference or 0) > (once.detectable_difference or 1)
    assert words.since(tenth).startswith("-9.2 points (-14.")
    assert "over 10 looks; 120 cases): cannot tell" in words.since(tenth)


def test_a_page_shows_the_bounds_that_hold_at_every_look() -> None:
    """And says so."""
    shown = page(since([1.0] * 40, [1.0] * 30 + [0.0] * 10, 4))
    assert "Each run since then is a look" in shown
    assert "over 5 looks" in shown


# -- cases that are missing now -------------------------------------------------------------------


@given(SHARES)
def test_with_nothing_missing_it_is_the_paired_difference(pairs: list[tuple[float, float]]) -> None:
    """Value, error and interval: CUPED has nothing to add where both weeks ran the same cases."""
    now, before = zip(*pairs, strict=True)
    found, _ = ours.cuped_change(now, before, None, [])
    plain = ours.difference(now, before)
    assert found.value == pytest.approx(plain.value, abs=1e-12)
    assert found.se == pytest.approx(plain.se, abs=1e-12)


def test_missing_cases_are_made_up_for() -> None:
    """The hard cases were not reached: what they scored before stands in for them."""
    rng = np.random.default_rng(5)
    easy, hard = (rng.random(150) < rate for rate in (0.95, 0.3))
    before = [*map(float, easy), *map(float, hard)]
    rate = np.where(np.asarray(before) > 0, 0.97, 0.1)
    now: list[float | None] = [*map(float, rng.random(300) < rate)]
    now[200:] = [None] * 100
    found = since(now, before)
    (change,) = found.since
    assert (change.cases, change.missing_cases) == (200, 100)
    assert "100 missing ones made up for by their earlier scores" in words.since(change)
    (drift,) = changes(stored("r1", half(now)), stored("r0", half(before)), 1)
    assert (drift.cases, drift.missing) == (400, 200)


def test_a_changed_suite_has_no_missing_cases() -> None:
    """A case that was taken out of the suite is not one that went unanswered."""
    first, now = stored("r0", half([1.0, 0.0] * 30)), stored("r1", half([1.0, 0.0] * 20))
    now = replace(now, run=replace(now.run, suite_version="w"))
    assert report(now, first).since[0].missing_cases == 0
    assert changes(now, first, 1)[0].missing == 0


# -- coverage -------------------------------------------------------------------------------------


def holds(chance: np.random.Generator, weeks: int, share: float) -> bool:
    """Whether no week's bounds exclude the drift of a model; a `share` of cases is answered."""
    world = World(chance, 60, 240)
    first = stored("r0", [*world.once(0.8)], clusters=world.labels)
    for look in range(1, weeks + 1):
        skill = 0.8 - 0.02 * look
        there = chance.random(240) < share
        scores = [s if at else None for s, at in zip(world.once(skill), there, strict=True)]
        now = stored(f"r{look}", scores, clusters=world.labels)
        if truth(skill) - truth(0.8) not in changes(now, first, look)[0].accuracy:
            return False
    return True


def test_few_series_are_far_off() -> None:
    """Thirty series of four weeks, with cases missing: hardly any excludes the truth."""
    chance = np.random.default_rng(3)
    assert sum(holds(chance, 4, 0.7) for _ in range(30)) >= 28


@pytest.mark.slow  # 1,000 series of twelve weeks
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_bounds_hold_at_every_look(share: float) -> None:
    """In 95 % of series no week's bounds exclude the truth, with cases missing too."""
    chance = np.random.default_rng(20261130)
    assert sum(holds(chance, WEEKS, share) for _ in range(RUNS)) / RUNS >= 0.95
