"""Every interval holds what it says: simulated runs with a known truth, clustered, K samples.

The fast tests have few runs and wide limits; the slow ones are the 1,000 runs of the promise.
"""

import numpy as np
import pytest

from evaluation import statistics as ours
from support import routed_worlds, worlds
from support.worlds import Run

RUNS, RUNS_FAST = 1000, 20
AT_LEAST, AT_MOST = 0.93, 0.97
ALPHA = 0.05
LOOKS = 200

INTERVALS: dict[str, Run] = {
    "share": worlds.share(0.8),
    "share, nearly all right": worlds.share(2.6),
    "share, nearly all wrong": worlds.share(-2.6),
    "share, 10 clusters": worlds.share(0.8, 10),
    "mean": worlds.mean,
    "difference": worlds.difference(ours.difference, (0.8, 0.6)),
    "share_difference": worlds.difference(ours.share_difference, (0.8, 0.6)),
    "share_difference, nearly all right": worlds.difference(ours.share_difference, (2.6, 2.4)),
    "cost_per_success": worlds.cost(0.8),
    "cost_per_success, few successes": worlds.cost(-1.8),
    "cost_per_success, ambiguous": worlds.cost(0.8, ambiguous=True),
    "cost_per_success, hardly any": worlds.no_success,
    "ratio": worlds.ratio,
    "wilson": worlds.wilson,
    "zero_events_bound": worlds.zero_events,
    "pass_at_k": worlds.pass_at_k,
    "corrected_share": worlds.judged(0.9, 0.8),
    "corrected_share, weak judge": worlds.judged(0.75, 0.7),
    "with_predictions": worlds.predicted,
    "kappa": worlds.kappa,
    "cuped_mean": worlds.cuped_mean,
    "cuped_change": worlds.cuped_change(0.6),
    "cuped_change, nearly all there": worlds.cuped_change(0.95),
    "cuped_difference": worlds.cuped_difference,
    "quantile, median": worlds.quantile(0.5),
    "quantile, p95": worlds.quantile(0.95),
    "standing, cost": routed_worlds.standing("cost"),
    "standing, quality": routed_worlds.standing("quality"),
    "APGR": routed_worlds.routed("apgr"),
    "CPT": routed_worlds.routed("cpt"),
    "PGR": routed_worlds.routed("pgr"),
    "IPS": routed_worlds.off_policy("ips"),
    "SNIPS": routed_worlds.off_policy("snips"),
    "DR": routed_worlds.off_policy("dr"),
    "reward_bounds": routed_worlds.off_policy("bounds"),
}
# Conservative by construction, and why.
CAUTIOUS = {
    "cost_per_success, ambiguous": "the range of what may have been billed is added",
    "cost_per_success, hardly any": "each cluster counts as one case where there is no success",
    "share_difference, nearly all right": "half a case is added to each kind of disagreement",
    "corrected_share, weak judge": "Lang and Reiczigel's adjustments for small gold sets",
    "reward_bounds": "what was not seen may all be the worst or the best",
}


def coverage(run: Run, runs: int) -> float:
    """The share of runs whose interval holds the truth; a refusal does not."""
    chance = np.random.default_rng(20261129)
    found = (run(chance) for _ in range(runs))
    held = sum(isinstance(each, ours.Interval) and truth in each for each, truth in found)
    return held / runs


@pytest.mark.parametrize("name", INTERVALS)
def test_intervals_hold_the_truth(name: str) -> None:
    """In few runs already no interval is far off."""
    assert coverage(INTERVALS[name], RUNS_FAST) >= 0.75


@pytest.mark.slow  # 1,000 runs of each
@pytest.mark.parametrize("name", INTERVALS)
def test_intervals_cover(name: str) -> None:
    """At least 93 % of 1,000 runs, and at most 97 % unless the method is meant to be cautious."""
    found = coverage(INTERVALS[name], RUNS)
    assert found >= AT_LEAST
    assert found <= AT_MOST or name in CAUTIOUS


def false_alarms_of_sequence(runs: int, rate: float, size: int) -> float:
    """How often a running mean excludes the truth at any of `LOOKS` looks."""
    chance = np.random.default_rng(11)
    alarms = 0
    for _ in range(runs):
        values = (chance.random(LOOKS * size) < rate).astype(np.float64)
        _, low, high = ours.running_bounds(values, start=2 * size, tight_at=LOOKS * size // 2)
        alarms += bool(np.any((low > rate)[size - 1 :: size] | (high < rate)[size - 1 :: size]))
    return alarms / runs


@pytest.mark.slow  # 1,000 runs of 200 looks
@pytest.mark.parametrize(("rate", "size"), [(0.5, 25), (0.1, 25), (0.02, 100)])
def test_confidence_sequences_keep_their_word(rate: float, size: int) -> None:
    """False alarms over 200 looks are at most α; for rare events it waits until it can."""
    assert false_alarms_of_sequence(RUNS, rate, size) <= ALPHA
