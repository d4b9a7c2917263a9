"""Ratios of skewed sums: Hall's transformation by its own equation, and what is not known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import statistics as ours
from evaluation.statistics.skewed import log_interval


def costs(count: int, deviation: float, seed: int = 3) -> list[float]:
    """Lognormal."""
    found: list[float] = np.random.default_rng(seed).lognormal(-5, deviation, count).tolist()
    return found


@pytest.mark.parametrize("deviation", [0.2, 0.5, 1.0])
def test_the_upper_bound_solves_halls_equation(deviation: float) -> None:
    """With T as log(θ̂/θ) over its error, T + sT²/3 + s²T³/27 + a/6 is the critical value.

    a is the skewness of the mean, of a lognormal at least, and s what the logarithm leaves of it.
    """
    values = np.asarray(costs(200, deviation))
    count, mean = len(values), float(values.mean())
    groups = ours.clustered(count)
    found = ours.ratio(values, np.ones(count))
    error = float(values.std(ddof=1)) / math.sqrt(count) / mean
    moment = float(np.mean((values - mean) ** 3)) / float(values.std()) ** 3
    skewness = moment * math.sqrt(count * (count - 1)) / (count - 2) / math.sqrt(count)
    a = max(skewness, 3 * error)
    s, t = a - 1.5 * error, math.log(mean / (found.high or 0)) / error
    bent = t + s * t**2 / 3 + s**2 * t**3 / 27 + a / 6
    assert bent == pytest.approx(-groups.critical(0.95), rel=0.01)


@given(st.integers(1, 10_000))
def test_the_ratio_the_other_way_round_has_the_same_interval(seed: int) -> None:
    """Numerators and denominators have equal rights."""
    chance = np.random.default_rng(seed)
    one, other = (chance.lognormal(0, 0.5, 60) for _ in range(2))
    groups = ours.clustered(60)
    there = log_interval(2.0, one / one.mean() - 1, other / other.mean() - 1, groups, 2.0)
    back = log_interval(0.5, other / other.mean() - 1, one / one.mean() - 1, groups, 2.0)
    assert there.high == pytest.approx(1 / (back.low or math.nan))
    assert there.low == pytest.approx(1 / (back.high or math.nan))


def test_equal_costs_have_no_error_and_skewed_ones_reach_farther_up() -> None:
    """The half interval above is the longer one on the logarithm too; never shorter than plain."""
    assert ours.ratio([2.0] * 30, [1.0] * 30) == ours.Interval(2.0, 2.0, 2.0)
    found = ours.ratio(costs(60, 1.0), [1.0] * 60)
    assert found.value is not None
    up, down = (found.high or 0) / found.value, found.value / (found.low or math.inf)
    assert up > down > 1


def test_where_one_session_has_nearly_all_of_the_spend_the_most_is_far_away() -> None:
    """Few sessions hardly tell how large the largest can be: a bound a hundred times higher."""
    found = ours.cost_per_success([0.001] * 9 + [1.0], [1.0] * 10).interval
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.value / 100
    assert found.high > found.value * 100


def test_intervals_that_hold_together_are_wider() -> None:
    """One alone has the usual confidence; ten have 99.5 % each."""
    assert ours.together(0) == ours.together(1) == ours.CONFIDENCE
    assert ours.together(10) == pytest.approx(0.995)
