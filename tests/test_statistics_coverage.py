"""Every interval holds what it says: simulated runs with a known truth, clustered, K samples.

The fast tests have few runs and wide limits; the slow ones are the 1,000 runs of the promise.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from evaluation import statistics as ours
from evaluation.statistics.quantiles import normal_cdf

Floats = NDArray[np.float64]
Run = Callable[[Generator], tuple[ours.Interval, float]]
RUNS, RUNS_FAST = 1000, 60
AT_LEAST, AT_MOST = 0.93, 0.97
CLUSTERS, CASES, SAMPLES = 40, 240, 3
BETWEEN, WITHIN = 0.6, 0.8  # standard deviations of clusters and cases on the probit scale


class World:
    """Cases in clusters of unequal size, and models that find hard what others find hard."""

    def __init__(self, chance: Generator, clusters: int = CLUSTERS, cases: int = CASES) -> None:
        """A new sample of clusters and cases."""
        self.chance = chance
        sizes = chance.multinomial(cases - clusters, chance.dirichlet([4.0] * clusters)) + 1
        self.labels = np.repeat(np.arange(clusters), sizes).tolist()
        self.hard = chance.normal(0, BETWEEN, clusters)[self.labels]
        self.hard = self.hard + chance.normal(0, WITHIN, cases)

    def rate(self, skill: float) -> Floats:
        """The probability that a model is right, by case."""
        return np.asarray([normal_cdf(skill - hard) for hard in self.hard])

    def answers(self, rate: Floats, samples: int = SAMPLES) -> Floats:
        """(cases, samples) of 0 and 1."""
        return (self.chance.random((len(rate), samples)) < rate[:, None]).astype(np.float64)

    @staticmethod
    def truth(skill: float) -> float:
        """The share of right answers over all cases there could be."""
        return normal_cdf(skill / math.sqrt(1 + BETWEEN**2 + WITHIN**2))


def share_run(skill: float, clusters: int = CLUSTERS) -> Run:
    """One model's accuracy."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance, clusters)
        answers = world.answers(world.rate(skill))
        return ours.share(answers, world.labels).interval, world.truth(skill)

    return run


def mean_run(chance: Generator) -> tuple[ours.Interval, float]:
    """Seconds, skewed."""
    world = World(chance)
    seconds = np.exp(0.5 * world.hard[:, None] + chance.normal(0, 0.3, (CASES, SAMPLES)))
    truth = math.exp((0.25 * (BETWEEN**2 + WITHIN**2) + 0.09) / 2)
    return ours.mean(seconds, world.labels).interval, truth


def difference_run(function: Callable[..., ours.Estimate], skills: tuple[float, float]) -> Run:
    """Two models on the same cases."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance)
        first, second = (world.answers(world.rate(skill)) for skill in skills)
        truth = world.truth(skills[0]) - world.truth(skills[1])
        return function(first, second, world.labels).interval, truth

    return run


def cost_run(skill: float) -> Run:
    """Harder cases cost more."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance)
        answers = world.answers(world.rate(skill))
        costs = 0.01 * np.exp(0.4 * world.hard[:, None] + chance.normal(0, 0.2, answers.shape))
        truth = 0.01 * math.exp((0.16 * (BETWEEN**2 + WITHIN**2) + 0.04) / 2) / world.truth(skill)
        return ours.cost_per_success(costs, answers, world.labels).interval, truth

    return run


def wilson_run(chance: Generator) -> tuple[ours.Interval, float]:
    """Independent trials."""
    return ours.wilson(int(chance.binomial(150, 0.08)), 150), 0.08


INTERVALS: dict[str, Run] = {
    "share": share_run(0.8),
    "share, nearly all right": share_run(2.6),
    "share, nearly all wrong": share_run(-2.6),
    "share, 10 clusters": share_run(0.8, 10),
    "mean": mean_run,
    "difference": difference_run(ours.difference, (0.8, 0.6)),
    "share_difference": difference_run(ours.share_difference, (0.8, 0.6)),
    "cost_per_success": cost_run(0.8),
    "cost_per_success, few successes": cost_run(-1.8),
    "wilson": wilson_run,
}
# Conservative by construction, and why.
CAUTIOUS: dict[str, str] = {}


def coverage(run: Run, runs: int) -> float:
    """The share of runs whose interval holds the truth."""
    chance = np.random.default_rng(20261129)
    return sum(truth in interval for interval, truth in (run(chance) for _ in range(runs))) / runs


@pytest.mark.parametrize("name", INTERVALS)
def test_intervals_hold_the_truth(name: str) -> None:
    """In few runs already no interval is far off."""
    assert coverage(INTERVALS[name], RUNS_FAST) >= 0.85


@pytest.mark.slow  # 1,000 runs of each
@pytest.mark.parametrize("name", INTERVALS)
def test_intervals_cover(name: str) -> None:
    """At least 93 % of 1,000 runs, and at most 97 % unless the method is meant to be cautious."""
    found = coverage(INTERVALS[name], RUNS)
    assert found >= AT_LEAST
    assert found <= AT_MOST or name in CAUTIOUS
