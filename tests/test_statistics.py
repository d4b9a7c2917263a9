"""Means, shares, differences, power and cost per success: against other people's packages."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evaluation import statistics as ours
from evaluation.statistics import quantiles
from support.oracles import evalconfidence, mcnemar, mde, multiplicity, paired, power, stats

CLOSE = 1e-9
EXAMPLES = settings(max_examples=40)
counts = st.integers(0, 60)
finite = st.floats(-100, 100).map(lambda x: round(x, 3))
columns = st.lists(finite, min_size=3, max_size=40).filter(lambda xs: len(set(xs)) > 1)
flags = st.lists(st.integers(0, 1), min_size=2, max_size=60)


def near(found: float | None, expected: float) -> bool:
    """To nine digits."""
    return found is not None and math.isclose(found, expected, rel_tol=CLOSE, abs_tol=CLOSE)


def bounds(found: ours.Interval) -> tuple[float, float]:
    """Both of them, which are known here."""
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def labelled(values: list[float], sizes: int) -> list[str]:
    """A cluster for each so many cases, but the first is larger, so sizes are unequal."""
    return [f"c{max(at - sizes, 0) // sizes}" for at in range(len(values))]


@pytest.mark.thorough
@EXAMPLES
@given(st.floats(1e-6, 1 - 1e-6), st.floats(0.3, 20_000))
def test_student_quantiles_agree(probability: float, df: float) -> None:
    """With SciPy, in the tails and for fractions of degrees of freedom."""
    expected = float(stats.t.ppf(probability, df))
    assert math.isclose(quantiles.t_quantile(probability, df), expected, rel_tol=1e-8, abs_tol=1e-9)


@EXAMPLES
@given(st.floats(0, 1), st.floats(0.2, 5000), st.floats(0.2, 5000))
def test_beta_agrees(x: float, a: float, b: float) -> None:
    """With SciPy, for small and large parameters."""
    assert near(quantiles.beta_cdf(x, a, b), float(stats.beta.cdf(x, a, b)))


@EXAMPLES
@given(st.floats(0, 300), st.integers(1, 100))
def test_chi_squared_agrees(statistic: float, df: int) -> None:
    """With SciPy."""
    assert near(quantiles.chi2_tail(statistic, df), float(stats.chi2.sf(statistic, df)))


@EXAMPLES
@given(columns, st.integers(1, 5))
def test_clustered_errors_agree(values: list[float], size: int) -> None:
    """CR1 is evalconfidence's, for unequal clusters too; without clusters so is the interval."""
    labels = labelled(values, size)
    assume(1 < len(set(labels)) < len(values))
    items = [
        evalconfidence.ItemResult(item_id=f"i{at}", model_id="m", score=value, cluster_id=label)
        for at, (value, label) in enumerate(zip(values, labels, strict=True))
    ]
    theirs = evalconfidence.standard_error(items, cluster="cluster_id")
    assert near(ours.mean(values, labels).se, theirs.se_clustered or 0.0)
    plain = ours.mean(values)
    assert near(plain.se, theirs.se_naive)
    assert np.allclose(bounds(plain.interval), theirs.ci_naive, rtol=CLOSE, atol=CLOSE)


@EXAMPLES
@given(st.integers(2, 12), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_intervals_of_equal_clusters_agree(count: int, size: int, seed: int) -> None:
    """Student's quantile with one degree of freedom less than there are clusters."""
    values = np.random.default_rng(seed).normal(size=count * size)
    labels = [f"c{at // size}" for at in range(len(values))]
    items = [
        evalconfidence.ItemResult(
            item_id=f"i{at}", model_id="m", score=float(value), cluster_id=labels[at]
        )
        for at, value in enumerate(values)
    ]
    theirs = evalconfidence.standard_error(items, cluster="cluster_id").ci_clustered
    assert theirs is not None
    found = bounds(ours.mean(values, labels).interval)
    assert np.allclose(found, theirs, rtol=1e-8, atol=CLOSE)


@EXAMPLES
@given(columns, st.randoms(use_true_random=False))
def test_paired_differences_agree(values: list[float], chance: object) -> None:
    """With evalsig's paired t-test and with evalconfidence's."""
    second = np.asarray(values) * 0.5 + np.arange(len(values)) % 3
    assume(np.std(np.asarray(values) - second) > 1e-6)
    found = bounds(ours.difference(values, second).interval)
    theirs = paired.paired_t_test(second, np.asarray(values))
    assert np.allclose(found, theirs.ci, rtol=1e-8, atol=CLOSE)
    items = [
        [evalconfidence.ItemResult(f"i{at}", name, float(x)) for at, x in enumerate(xs)]
        for name, xs in (("a", values), ("b", second))
    ]
    compared = evalconfidence.compare(items[0], items[1])
    if compared.method == "paired_t":
        assert np.allclose(found, compared.ci_diff, rtol=1e-8, atol=CLOSE)


@EXAMPLES
@given(flags, st.integers(0, 2**32 - 1))
def test_mcnemar_agrees(first: list[int], seed: int) -> None:
    """With evalsig's exact test, and with SciPy's binomial test beyond its limit."""
    second = np.random.default_rng(seed).integers(0, 2, len(first))
    found = ours.mcnemar(first, second)
    exact = mcnemar.mcnemar_test(np.asarray(first), second, exact_threshold=1000)
    assert (found.only_first, found.only_second) == (exact.b_wins, exact.c_wins)
    assert near(found.p, exact.p_value)


@EXAMPLES
@given(st.integers(0, 3000), st.integers(0, 3000))
def test_the_binomial_test_agrees(won: int, lost: int) -> None:
    """With SciPy, for thousands of trials."""
    assume(won + lost)
    found = quantiles.binomial_two_sided(won, won + lost)
    assert near(found, float(stats.binomtest(won, won + lost).pvalue))


@EXAMPLES
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_agrees(p_values: list[float]) -> None:
    """With evalsig, in the order given."""
    theirs = multiplicity.holm(np.asarray(p_values)).p_adjusted if p_values else []
    assert np.allclose(ours.holm(p_values), theirs, rtol=CLOSE, atol=CLOSE)


@EXAMPLES
@given(st.floats(0.01, 10), st.integers(2, 5000), st.floats(0.005, 1))
def test_power_agrees(sd: float, cases: int, delta: float) -> None:
    """Detectable difference, cases needed and power: evalsig and evalconfidence say the same."""
    se = sd / math.sqrt(cases)
    found = ours.detectable_difference(se)
    assert near(found, mde.mde(sd, cases).mde)
    assert near(found, evalconfidence.power(n=cases, baseline_var=sd**2).mde_detectable or 0.0)
    needed = ours.cases_needed(sd**2, delta)
    assert needed == max(mde.required_n(delta, sd), 2)
    assert near(ours.power_of(delta, se), power.power_for_delta(delta, sd, cases))


@EXAMPLES
@given(st.integers(1, 5000), st.data())
def test_wilson_agrees(trials: int, data: st.DataObject) -> None:
    """With SciPy."""
    successes = data.draw(st.integers(0, trials))
    theirs = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    found = bounds(ours.wilson(successes, trials))
    assert np.allclose(found, (theirs.low, theirs.high), rtol=1e-8, atol=CLOSE)


@EXAMPLES
@given(st.lists(st.integers(0, 500), min_size=2, max_size=5).filter(sum))
def test_the_sample_ratio_agrees(found: list[int]) -> None:
    """With SciPy's chi-squared test."""
    shares = list(range(1, len(found) + 1))
    expected = np.asarray(shares) * sum(found) / sum(shares)
    theirs = float(stats.chisquare(found, expected).pvalue)
    assert near(ours.sample_ratio_p(found, shares), theirs)
