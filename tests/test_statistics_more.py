"""Judges, CUPED, pass@k, drift, sequences and off-policy estimates: rules, oracles and refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import statistics as ours
from support.oracles import sequential, stats

EXAMPLES = settings(max_examples=40)
counts = st.integers(0, 30)


def judged(good: int, cases: int) -> ours.Estimate:
    """A share of verdicts "good"."""
    return ours.share([1.0] * good + [0.0] * (cases - good))


def test_a_judge_who_is_always_right_changes_nothing() -> None:
    """Apart from what the small gold set leaves open."""
    found = ours.corrected_share(judged(140, 200), ours.Gold(400, 400, 400, 400))
    assert isinstance(found, ours.Interval)
    plain = judged(140, 200).interval
    assert found.value == plain.value == 0.7
    assert found.low == pytest.approx(plain.low, abs=0.01)


def test_a_judge_of_known_errors_is_corrected() -> None:
    """62 % judged good by one with 90 % and 80 % is 60 %; a smaller gold set widens it."""
    large = ours.corrected_share(judged(124, 200), ours.Gold(500, 450, 500, 400))
    small = ours.corrected_share(judged(124, 200), ours.Gold(50, 45, 50, 40))
    assert isinstance(large, ours.Interval)
    assert isinstance(small, ours.Interval)
    assert large.value == small.value == pytest.approx(0.6)
    assert (small.low or 0) < (large.low or 0) < 0.6 < (large.high or 0) < (small.high or 0)


@pytest.mark.parametrize(
    ("gold", "why"),
    [
        (ours.Gold(100, 60, 100, 50), "hardly tells good from bad: sensitivity 0.60"),
        (ours.Gold(100, 50, 100, 60), "specificity 0.60 is at most 1.1"),
        (ours.Gold(100, 90, 0, 0), "no gold set with both"),
    ],
)
def test_a_coin_is_no_judge(gold: ours.Gold, why: str) -> None:
    """Refused at sensitivity + specificity ≤ 1.1 and without labels of both kinds."""
    found = ours.corrected_share(judged(120, 200), gold)
    assert isinstance(found, ours.Refused)
    assert why in found.why


def test_predictions_help_as_much_as_they_are_right() -> None:
    """PPI++ narrows the interval of labels of a good judge, and a coin does no harm."""
    chance = np.random.default_rng(5)
    labels, others = (chance.random(n) < 0.7 for n in (150, 3000))
    alone = ours.mean(labels.astype(float)).interval

    def width(right: float) -> float:
        said, told = (np.where(chance.random(len(y)) < right, y, ~y) for y in (labels, others))
        found = ours.with_predictions(labels.astype(float), said.astype(float), told.astype(float))
        return (found.high or 0) - (found.low or 0)

    whole = (alone.high or 0) - (alone.low or 0)
    assert width(0.97) < 0.6 * whole
    assert width(0.5) < 1.05 * whole


@EXAMPLES
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=40))
def test_kappa_is_symmetric_and_1_for_agreement(pairs: list[tuple[int, int]]) -> None:
    """Names of verdicts do not matter."""
    first, second = ([pair[at] for pair in pairs] for at in (0, 1))
    here, there = ours.kappa(first, second), ours.kappa(second, [f"v{a}" for a in first])
    assert ours.kappa(first, first).value in (None, 1.0)
    assert here.value is None or -1 <= here.value <= 1
    same = ours.kappa(second, first)
    assert (here.value is None) == (same.value is None)
    if here.value is not None:
        assert same.value == pytest.approx(here.value)
        assert there.value is not None  # other names are disagreement, not an error


@EXAMPLES
@given(st.integers(0, 8), st.integers(0, 8), st.integers(1, 8))
def test_pass_at_k_is_a_draw_without_return(passed: int, failed: int, k: int) -> None:
    """1 - C(n-c, k)/C(n, k), which SciPy's hypergeometric distribution gives too."""
    n = passed + failed
    if n < k:
        with pytest.raises(ValueError, match="at least"):
            ours.pass_at_k([passed], [n], k)
        return
    expected = 1 - float(stats.hypergeom.pmf(0, n, passed, k))
    assert ours.pass_at_k([passed], [n], k).value == pytest.approx(expected, abs=1e-12)


@EXAMPLES
@given(st.lists(counts, min_size=1, max_size=25), st.lists(counts, min_size=1, max_size=25))
def test_energy_distances_agree(first: list[int], second: list[int]) -> None:
    """SciPy's energy distance is the square root; like batches have none."""
    found = ours.energy_distance(first, second, permutations=1)
    theirs = float(stats.energy_distance(first, second)) ** 2
    assert found.distance == pytest.approx(theirs, abs=1e-9)
    assert ours.energy_distance(first, first, permutations=1).distance == 0.0


def test_drift_is_seen_and_its_absence_too() -> None:
    """Lengths that moved by half a standard deviation, and lengths that did not."""
    chance = np.random.default_rng(1)
    before, same, moved = (
        chance.normal(0, 1, 200),
        chance.normal(0, 1, 200),
        chance.normal(0.5, 1, 200),
    )
    assert ours.energy_distance(before, moved).p < 0.01
    assert ours.energy_distance(before, same).p > 0.05


def test_cuped_takes_out_what_last_week_knew() -> None:
    """A covariate that explains 80 % of the variance leaves a fifth of it."""
    chance = np.random.default_rng(2)
    before = chance.normal(0, 2, 400)
    now = before + chance.normal(0, 1, 400)
    found = ours.cuped_mean(now, before, 0.0)
    plain = ours.mean(now).interval
    widths = [(each.high or 0) - (each.low or 0) for each in (found.interval, plain)]
    assert found.explained == pytest.approx(0.8, abs=0.05)
    assert (widths[0] / widths[1]) ** 2 == pytest.approx(1 - found.explained, abs=0.02)
    flat = ours.cuped_mean(now, np.ones(400), 1.0)
    assert (flat.explained, flat.interval) == (0.0, plain)


@EXAMPLES
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=60).filter(lambda x: np.std(x) > 0.01))
def test_confidence_sequences_agree(values: list[float]) -> None:
    """With evalsig, which writes 1/ρ for ρ."""
    tight = 50
    found = ours.confidence_sequence(values, start=2, tight_at=tight)
    log = -2 * math.log(0.05)
    rho = math.sqrt((log + math.log(log) + 1) / tight)
    theirs = sequential.confidence_sequence(np.asarray(values), rho=1 / rho)
    assert found.low == pytest.approx(theirs.ci[0], abs=1e-9)
    assert found.high == pytest.approx(theirs.ci[1], abs=1e-9)


def test_rare_events_have_no_sequence_yet() -> None:
    """Until there were 40 of each kind the bounds are unknown."""
    values = [1.0 if at % 50 == 0 else 0.0 for at in range(2500)]
    before = ours.confidence_sequence(values[:1950], start=100, tight_at=1000)
    assert before == ours.Interval(before.value, None, None)
    after = ours.confidence_sequence(values[:1951], start=100, tight_at=1000)
    assert after.low is not None
    _, low, high = ours.running_bounds(values, start=100, tight_at=1000)
    assert bool(np.all(np.isnan(low[:1950]) & np.isnan(high[:1950])))
    assert low[1950] == after.low
    with pytest.raises(ValueError, match="2 ≤ start"):
        ours.running_bounds(values, start=1, tight_at=1000)


def test_an_extreme_quantile_of_few_cases_has_no_bound() -> None:
    """The 0.95 of 20 values may be beyond all of them; that of 2,000 is between two of them."""
    few = ours.quantile(list(range(1, 21)), 0.95)
    assert (few.value, few.high) == (19.0, None)
    many = ours.quantile(list(range(1, 2001)), 0.95)
    assert many.value == 1900
    assert 1870 < (many.low or 0) < 1900 < (many.high or 0) < 1930
    assert ours.quantile([1.0, 2.0], 0.5, ["a", "a"]) == ours.Interval(1.0, None, None)
    assert ours.quantile([3.0] * 50, 0.5).value == 3.0
    for wrong in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            ours.quantile([1.0], wrong)
    with pytest.raises(ValueError, match="one row"):
        ours.quantile([[1.0, 2.0]], 0.5)


# -- another routing by rows of the one in force ---------------------------------------------------


def log(n: int = 800, strong: float = 0.5, target: float = 0.8, **more: object) -> ours.Log:
    """Rows of a routing that sends `strong` of the calls to model 1; the other sends `target`."""
    chance = np.random.default_rng(4)
    actions = (chance.random(n) < strong).astype(int)
    rewards = (chance.random(n) < 0.5 + 0.3 * actions).astype(float)
    given: dict[str, object] = {
        "propensities": np.where(actions, strong, 1 - strong),
        "target": [[1 - target, target]] * n,
    }
    return ours.log_of(actions, rewards, **(given | more))  # type: ignore[arg-type]  # by name


def test_the_routing_in_force_is_its_own_estimate() -> None:
    """All weights are 1: three estimators give the mean reward, and nothing is lost."""
    rows = log(target=0.5)
    found = ours.off_policy(rows)
    assert isinstance(found, ours.OffPolicy)
    assert found.ess == pytest.approx(800)
    mean = float(rows.rewards.mean())
    assert found.ips.value == found.snips.value == pytest.approx(mean)
    assert found.dr.value == pytest.approx(mean, abs=0.03)


def test_another_routing_is_estimated() -> None:
    """80 % to a model that is right in 80 % instead of 50 %: 74 %, inside each interval."""
    found = ours.off_policy(log())
    assert isinstance(found, ours.OffPolicy)
    assert all(0.74 in each for each in (found.ips, found.snips, found.dr))
    assert 0.45 < found.coverage < 0.55


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (log(propensities=None), "no propensities were recorded"),
        (log(n=60), "independent ones"),
        (log(strong=0.0, propensities=np.ones(800), target=0.8), "are missing"),
        (log(strong=0.0, propensities=np.ones(800), target=1.0), "worth 0"),
        (log(sessions=["one"] * 800), "of one session"),
        (log(n=2000, propensities=np.r_[0.001, np.full(1999, 0.5)]), "of the weight|worth"),
    ],
)
def test_what_the_rows_do_not_carry_is_refused(rows: ours.Log, why: str) -> None:
    """With the coverage, and bounds that hold whatever was not seen."""
    found = ours.off_policy(rows)
    assert isinstance(found, ours.Refused)
    assert any(each in found.why for each in why.split("|")), found.why
    assert found.coverage is not None
    assert found.bounds is not None
    assert found.bounds.value is None
    assert 0 <= (found.bounds.low or 0) <= (found.bounds.high or 0) <= 1


def test_without_overlap_anything_may_be() -> None:
    """All calls went to model 0, and the other routing would send all to model 1."""
    rows = log(strong=0.0, propensities=np.ones(800), target=1.0)
    assert ours.reward_bounds(rows) == ours.Interval(None, 0.0, 1.0)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"propensities": np.zeros(800)}, "above 0 and at most 1"),
        ({"target": 1.2}, "add up to 1"),
        ({"reward_range": (0.0, 0.5)}, "rewards are from 0.0 to 0.5"),
    ],
)
def test_mistakes_in_a_log_are_named(more: dict[str, object], why: str) -> None:
    """ValueError says which array is wrong."""
    with pytest.raises(ValueError, match=why):
        log(**more)  # type: ignore[arg-type]  # by name
