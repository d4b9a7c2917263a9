"""Frontier, hull and score: nobody is best by accident, and a newcomer reverses nothing."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.frontier import (
    Axis,
    Criterion,
    aiq,
    dominated,
    hull,
    hypervolume,
    regions,
    score,
    standings,
    swings,
)
from evaluation.statistics import clustered, cost_per_success

EXAMPLES = settings(max_examples=60)
unit = st.integers(0, 20).map(lambda twentieths: twentieths / 20)
point = st.tuples(unit, unit)
points = st.lists(point, min_size=1, max_size=8)


@EXAMPLES
@given(st.lists(st.tuples(unit, unit, unit), min_size=1, max_size=7))
def test_dominance_is_an_order(rows: list[tuple[float, float, float]]) -> None:
    """Nobody dominates itself or its dominator, some stay undominated, equal ones both."""
    names = [str(at) for at in range(len(rows))]
    found = dominated(names, np.asarray(rows), ["low", "low", "high"])
    for name, others in found.items():
        assert name not in others
        for other in others:
            assert name not in found[other]
            assert set(found[other]) < set(others)
    assert any(not others for others in found.values())


def sample(cases: int = 200) -> tuple[list[str], list[Axis], np.ndarray]:
    """Three models: cheap and good, dear and a little better, dear and bad."""
    chance = np.random.default_rng(8)
    hard = chance.random((cases, 1))
    right = (hard < np.asarray([0.8, 0.85, 0.5])).astype(float)
    costs = np.asarray([0.001, 0.01, 0.012]) * (1 + hard)
    seconds = np.asarray([1.0, 2.0, 2.0]) * (1 + chance.exponential(1, (cases, 3)))
    axes = [
        Axis("cost_per_success", "low", costs, per=right),
        Axis("quality", "high", right),
        Axis("p95_s", "low", seconds, quantile=0.95),
    ]
    return ["cheap", "good", "bad"], axes, right


def test_standings_say_who_is_dominated_and_how_sure_that_is() -> None:
    """The bad one by both, in every replicate; the others by nobody."""
    names, axes, right = sample()
    criteria = [
        Criterion("cost_per_success", 3, zero=0.02, one=0.002, scale="log"),
        Criterion("quality", 4, zero=0.5, one=1.0),
        Criterion("p95_s", 1, zero=10, one=1),
    ]
    found = standings(names, axes, clustered(200), lambda measures: score(criteria, measures))
    assert "cheap" in found["bad"].dominated_by
    assert found["cheap"].dominated_by == ()
    assert found["bad"].on_frontier == 0.0
    assert found["cheap"].on_frontier == 1.0
    assert found["good"].on_frontier > 0.9
    assert found["cheap"].best == 1.0
    assert sum(each.best or 0 for each in found.values()) == pytest.approx(1.0)
    alone = cost_per_success(axes[0].values[:, 0], right[:, 0]).interval
    drawn = found["cheap"].measures["cost_per_success"]
    assert drawn.value == pytest.approx(alone.value)
    assert drawn.low == pytest.approx(alone.low, rel=0.03)


def test_who_never_succeeds_is_on_no_frontier() -> None:
    """Its cost per success is unknown, however cheap it is."""
    right = np.asarray([[1.0, 0.0]] * 30)
    axes = [Axis("cost", "low", np.asarray([[0.01, 0.0001]] * 30), per=right)]
    found = standings(["a", "b"], axes, clustered(30))
    assert found["b"].on_frontier == 0.0
    assert found["b"].measures["cost"].value is None
    assert found["b"].best is None
    assert found["b"].dominated_by == ("a",)


def test_a_quantile_is_the_one_of_the_drawn_cases() -> None:
    """With weights of 1 the least value that 95 % do not exceed."""
    values = np.arange(1.0, 101.0)[:, None]
    axis = Axis("p95", "low", values, quantile=0.95)
    assert axis.measure(np.ones((1, 100)))[0, 0] == 95.0
    twice = np.ones((1, 100))
    twice[0, 99] = 1000
    assert axis.measure(twice)[0, 0] == 100.0


@EXAMPLES
@given(points)
def test_the_hull_rises_and_bends_down(found: list[tuple[float, float]]) -> None:
    """Every step is dearer, better and less worth its money; no point is above it."""
    corners = hull(found)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(corners)]
    assert all(slope > 0 for slope in slopes)
    assert slopes == sorted(slopes, reverse=True)
    for cost, quality in found:
        left = [each for each in corners if each[0] <= cost]
        assert left
        if quality > left[-1][1]:
            right = corners[len(left)]
            share = (cost - left[-1][0]) / (right[0] - left[-1][0])
            assert quality <= left[-1][1] + share * (right[1] - left[-1][1]) + 1e-9


def test_aiq_is_the_mean_quality_over_cost() -> None:
    """A straight line from 0.4 to 0.8 has 0.6; a cheap perfect model 1; one cost has none."""
    assert aiq([(1, 0.4), (3, 0.8)]) == pytest.approx(0.6)
    assert aiq([(1, 1.0), (3, 0.2)]) == pytest.approx(1.0)
    assert aiq([(1, 0.4), (3, 0.8)], cost_max=2) == pytest.approx(0.5)
    assert aiq([(1, 0.4), (1, 0.8)]) is None
    assert aiq([]) is None


@EXAMPLES
@given(st.lists(st.tuples(unit, unit, unit), max_size=6))
def test_hypervolume_counts_the_cells_that_are_dominated(
    rows: list[tuple[float, float, float]],
) -> None:
    """As counting the cells of a grid does; dominated points add nothing."""
    grid = (np.arange(20) + 0.5) / 20
    x, y, z = np.meshgrid(grid, grid, grid)
    inside = np.zeros(x.shape, bool)
    for a, b, c in rows:
        inside |= (x > a) & (y > b) & (z > c)
    assert hypervolume(rows, (1, 1, 1)) == pytest.approx(inside.mean(), abs=1e-9)


CRITERIA = (
    Criterion("quality", 4, zero=0.2, one=0.9),
    Criterion("cost", 3, zero=0.02, one=0.002, scale="log", limit=0.05),
    Criterion("latency", 2, zero=5, one=0.5),
)
candidate = st.tuples(unit, st.floats(0.0001, 0.1), st.floats(0.1, 10))


@EXAMPLES
@given(st.lists(candidate, min_size=2, max_size=6), candidate)
def test_a_newcomer_reverses_nobody(rows: list[tuple[float, ...]], late: tuple[float, ...]) -> None:
    """The scores of the others are what they were, to the last digit."""
    before = score(CRITERIA, np.asarray(rows))
    after = score(CRITERIA, np.asarray([*rows, late]))
    assert np.array_equal(before, after[:-1], equal_nan=True)
    for row, found in zip(rows, before, strict=True):
        assert math.isnan(found) == (row[1] > 0.05)
        assert math.isnan(found) or 0 <= found <= 1


@EXAMPLES
@given(st.lists(candidate, min_size=2, max_size=6))
def test_the_winner_stays_in_its_region_and_not_beyond(rows: list[tuple[float, ...]]) -> None:
    """At its bounds it still wins; a little outside somebody else does."""
    measures = np.asarray(rows)
    found = regions(CRITERIA, measures)
    scores = score(CRITERIA, measures)
    if not np.any(np.isfinite(scores)):
        assert found == {}
        return
    winner = int(np.nanargmax(scores))

    def lead(at: int, weight: float) -> float:
        rest = sum(each.weight for k, each in enumerate(CRITERIA) if k != at)
        moved = [
            Criterion(
                each.name,
                weight if k == at else each.weight / rest * (1 - weight),
                each.zero,
                each.one,
                each.scale,
                each.limit,
            )
            for k, each in enumerate(CRITERIA)
        ]
        again = score(moved, measures)
        return float(again[winner] - np.nanmax(again))

    for at, each in enumerate(CRITERIA):
        region = found[each.name]
        assert region.low <= region.weight <= region.high
        for inside in (region.low, region.high):
            assert lead(at, inside) >= -1e-9
        if region.high < 0.99:
            assert lead(at, region.high + 0.01) < 0
        if region.low > 0.01:
            assert lead(at, region.low - 0.01) < 0


def test_swings_show_what_decides() -> None:
    """A heavy weight on what all have alike decides nothing."""
    measures = np.asarray([[0.5, 0.002, 1.0], [0.5, 0.02, 1.0]])
    assert swings(CRITERIA, measures) == {"quality": 0.0, "cost": 1.0, "latency": 0.0}
    assert set(swings(CRITERIA, measures[:1]).values()) == {0.0}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"zero": 1, "one": 1}, "must differ"),
        ({"zero": 0, "one": 1, "scale": "log"}, "above 0"),
        ({"zero": 0, "one": 1, "weight": -1}, "0 or more"),
    ],
)
def test_criteria_that_say_nothing_are_refused(wrong: dict[str, object], why: str) -> None:
    """Equal anchors, a log of 0, a negative weight."""
    with pytest.raises(ValueError, match=why):
        Criterion(**{"name": "cost", "weight": 1} | wrong)  # type: ignore[arg-type]  # by name
    with pytest.raises(ValueError, match="at least one weight"):
        score([Criterion("cost", 0, 1, 2)], np.ones((1, 1)))
