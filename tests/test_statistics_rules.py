"""Rules that the statistics keep: order and unit do not matter, and unknown is never a number."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.statistics import (
    Estimate,
    Interval,
    case_means,
    cost_per_success,
    difference,
    mean,
    ratio,
    share,
    share_difference,
    variance_of_difference,
    verdict,
    wilson,
    zero_events_bound,
)

EXAMPLES = settings(max_examples=50)
score = st.integers(0, 100).map(lambda hundredths: hundredths / 100)
cases = st.lists(
    st.tuples(score, score, st.integers(0, 6), st.integers(0, 50)), min_size=2, max_size=60
)
Cases = list[tuple[float, float, int, int]]


def close(found: Interval, expected: Interval, factor: float = 1.0) -> bool:
    """Whether two intervals are the same but for rounding, after multiplication."""
    return all(
        (a is None and b is None)
        or (a is not None and b is not None and math.isclose(a, b * factor, abs_tol=1e-9))
        for a, b in (
            (found.value, expected.value),
            (found.low, expected.low),
            (found.high, expected.high),
        )
    )


def every(rows: Cases) -> list[Interval]:
    """Each interval of this room, on the same cases."""
    first, second, clusters, costs = map(list, zip(*rows, strict=True))
    return [
        mean(first, clusters).interval,
        share(first, clusters).interval,
        difference(first, second, clusters).interval,
        share_difference(first, second, clusters).interval,
        cost_per_success(costs, second, clusters).interval,
        ratio(costs, first, clusters),
    ]


@EXAMPLES
@given(cases, st.randoms(use_true_random=False))
def test_order_does_not_matter(rows: Cases, chance: "object") -> None:
    """The same cases in another order, and clusters of other names, say the same."""
    turned = [(a, b, 6 - cluster, cost) for a, b, cluster, cost in reversed(rows)]
    assert all(map(close, every(turned), every(rows)))


@EXAMPLES
@given(cases)
def test_all_twice_in_the_same_clusters_says_the_same(rows: Cases) -> None:
    """A case that is repeated within its cluster is no new evidence: value and error stay."""
    first, _, clusters, _ = map(list, zip(*rows, strict=True))
    once, twice = mean(first, clusters), mean(first * 2, clusters * 2)
    assert math.isclose(once.value, twice.value, abs_tol=1e-12)
    assert close(once.interval, twice.interval)
    weighted = mean(first, clusters, weights=[2.0] * len(first))
    assert close(once.interval, weighted.interval)


@EXAMPLES
@given(cases, st.floats(0.001, 1000))
def test_units_do_not_matter(rows: Cases, factor: float) -> None:
    """Cents or dollars, ms or s: the interval is the same one in the other unit."""
    first, second, clusters, costs = map(list, zip(*rows, strict=True))
    other = [cost * factor for cost in costs]
    assert close(mean(other, clusters).interval, mean(costs, clusters).interval, factor)
    found = cost_per_success(other, second, clusters).interval
    assert close(found, cost_per_success(costs, second, clusters).interval, factor)
    swapped = difference(second, first, clusters).interval
    straight = difference(first, second, clusters).interval
    assert math.isclose(swapped.value or 0.0, -(straight.value or 0.0), abs_tol=1e-12)


@EXAMPLES
@given(cases)
def test_intervals_hold_their_value_and_their_scale(rows: Cases) -> None:
    """A share stays within 0 and 1, a difference of shares within -1 and 1, a cost above 0."""
    for found, least, most in zip(
        every(rows),
        (-math.inf, 0, -math.inf, -1, 0, 0),
        (math.inf, 1, math.inf, 1, *[math.inf] * 2),
        strict=True,
    ):
        assert found.value is None or found.value in found
        assert found.low is None or found.low >= least
        assert found.high is None or found.high <= most


def test_agreement_is_no_certainty() -> None:
    """200 right answers of 200 are not 100 %, and no disagreement of 200 is not none ever."""
    found = share([1] * 200).interval
    assert found.value == 1.0
    assert found.high == 1.0
    assert found.low is not None
    assert 0.97 < found.low < 0.99
    alike = share_difference([1] * 200, [1] * 200).interval
    assert alike.low is not None
    assert alike.value == 0.0
    assert -0.03 < alike.low < -0.01
    few = share([1] * 200, [at // 20 for at in range(200)]).interval
    assert few.low is not None
    assert few.low < found.low  # ten clusters count as ten cases
    assert math.isclose(zero_events_bound(300), 3 / 300, rel_tol=0.01)


def test_one_cluster_says_nothing() -> None:
    """All cases from one document: the bounds are unknown, and a share is anything."""
    assert mean([1.0, 2.0], ["a", "a"]).interval == Interval(1.5, None, None)
    assert share([0, 1], ["a", "a"]).interval == Interval(0.5, 0.0, 1.0)
    assert difference([0, 1], [1, 1], ["a", "a"]).interval == Interval(-0.5, None, None)
    assert cost_per_success([1, 2], [1, 1], ["a", "a"]).interval == Interval(1.5, None, None)
    assert str(verdict(mean([1.0]), 0.1)) == "cannot tell: cases from more clusters needed"


def test_a_case_without_a_cluster_is_its_own() -> None:
    """None is no name that cases share."""
    assert mean([1.0, 2.0, 4.0], [None, None, None]) == mean([1.0, 2.0, 4.0])
    assert mean([1.0, 2.0, 4.0, 5.0], ["a", "a", None, None]).clusters == 3


def test_samples_are_averaged_by_case() -> None:
    """K samples as columns or, where some failed, as rows of different lengths."""
    assert list(case_means([[1, 0], [1, 1]])) == [0.5, 1.0]
    assert list(case_means([[1, 0], [1]])) == [0.5, 1.0]
    assert mean([[1, 0], [1, 1], [0, 0]]).cases == 3


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda: mean([]), "no cases"),
        (lambda: mean([1.0, math.nan]), "not finite"),
        (lambda: mean([[1, 0], []]), "at least one score"),
        (lambda: mean([1.0], ["a", "b"]), "2 cluster labels for 1 cases"),
        (lambda: mean([1.0, 2.0], weights=[1, 0]), "above 0"),
        (lambda: share([2.0]), "from 0 to 1"),
        (lambda: difference([1.0], [1.0, 2.0]), "the same cases: 1 and 2"),
        (lambda: cost_per_success([-1], [1]), "not negative"),
        (lambda: wilson(3, 2), "3 successes of 2 trials"),
        (lambda: variance_of_difference(0.1, (0.1, 0.1), (0, 1)), "every case has a sample"),
        (lambda: Interval(1.0, 2.0, 3.0), "low ≤ value ≤ high"),
        (lambda: Interval(math.nan, None, None), "finite"),
    ],
)
def test_mistakes_are_named(wrong: "object", why: str) -> None:
    """ValueError says what is wrong with the input."""
    assert callable(wrong)
    with pytest.raises(ValueError, match=why):
        wrong()


def test_no_success_has_no_cost_but_a_bound() -> None:
    """$3 without a success in 300 cases: at least $1 each, as there may be 3 in as many again."""
    found = cost_per_success([0.01] * 300, [0] * 300)
    assert found.interval.value is None
    assert found.interval.high is None
    assert found.interval.low == pytest.approx(1.0, rel=0.01)
    clustered = cost_per_success([0.01] * 300, [0] * 300, [at // 30 for at in range(300)])
    assert clustered.interval.low is not None
    assert clustered.interval.low < 0.05


def test_ambiguous_costs_are_a_range() -> None:
    """What may have been billed widens the interval upwards alone."""
    costs, won = [0.01, 0.02, 0.03, 0.02] * 20, [1, 1, 0, 1] * 20
    sure = cost_per_success(costs, won)
    both = cost_per_success(costs, won, ambiguous=[0.01, 0, 0, 0] * 20)
    assert (sure.interval.value, sure.interval.low) == (both.interval.value, both.interval.low)
    assert sure.most == sure.interval.value == pytest.approx(0.08 / 3)
    assert both.most == pytest.approx(0.09 / 3)
    assert (both.interval.high or 0) > (sure.interval.high or 0)


def estimate(value: float, half: float, n: int = 300) -> Estimate:
    """A difference with so wide an interval."""
    return Estimate(Interval(value, value - half, value + half), half / 1.96, 1.96, n, n)


@pytest.mark.parametrize(
    ("value", "half", "said"),
    [
        (0.08, 0.05, "better"),
        (-0.08, 0.05, "worse"),
        (0.01, 0.03, "alike"),
        (0.03, 0.06, "cannot tell: 900 more cases needed"),
    ],
)
def test_verdicts(value: float, half: float, said: str) -> None:
    """Where nothing can be told the missing cases are named."""
    assert str(verdict(estimate(value, half), 0.05)) == said


@EXAMPLES
@given(st.floats(-0.3, 0.3), st.floats(0.001, 0.5), st.integers(2, 2000))
def test_an_open_verdict_always_asks_for_more(value: float, half: float, n: int) -> None:
    """And with so many more at the same variance, the same difference would be decided."""
    said = verdict(estimate(value, half, n), 0.05)
    if said.more is None:
        return
    assert said.more >= 1
    narrower = half * math.sqrt(n / (n + said.more))
    assert verdict(estimate(value, narrower * 0.999, n), 0.05).conclusion != "cannot tell"


def test_real_disagreement_gives_the_known_detectable_difference() -> None:
    """300 cases where two models disagree on 15 %: about 6 points at 80 % power."""
    first = np.zeros(300)
    second = np.zeros(300)
    first[:23], second[23:45] = 1, 1
    se = difference(first, second).se
    assert se is not None
    assert 2.80 * se == pytest.approx(0.063, abs=0.001)
