"""Synthetic worlds whose truth is known: cases in clusters, models, judges, routers, weeks.

A case is hard on the probit scale; models find hard what others find hard.  So the share of right
answers over all cases there could be is known exactly, and every interval can be held against it.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from evaluation import statistics as ours
from evaluation.statistics.quantiles import normal_cdf, normal_quantile

Floats = NDArray[np.float64]
Run = Callable[[Generator], tuple[ours.Interval | ours.Refused, float]]
CLUSTERS, CASES, SAMPLES = 40, 240, 3
BETWEEN, WITHIN = 0.6, 0.8  # standard deviations of clusters and of cases within them
SPREAD = math.sqrt(1 + BETWEEN**2 + WITHIN**2)
cdf = np.vectorize(normal_cdf, otypes=[np.float64])  # by element


class World:
    """A sample of cases in clusters of unequal size."""

    def __init__(self, chance: Generator, clusters: int = CLUSTERS, cases: int = CASES) -> None:
        """Draw clusters and cases."""
        self.chance = chance
        sizes = chance.multinomial(cases - clusters, chance.dirichlet([4.0] * clusters)) + 1
        self.labels = np.repeat(np.arange(clusters), sizes).tolist()
        self.hard = chance.normal(0, BETWEEN, clusters)[self.labels]
        self.hard = self.hard + chance.normal(0, WITHIN, cases)

    def answers(self, skill: float, samples: int = SAMPLES) -> Floats:
        """(cases, samples) of right (1) and wrong (0)."""
        rate = cdf(skill - self.hard)
        right = self.chance.random((len(rate), samples)) < rate[:, None]
        return np.asarray(right, np.float64)

    def once(self, skill: float) -> Floats:
        """One answer to each case."""
        return self.answers(skill, 1)[:, 0]


def truth(skill: float) -> float:
    """The share of right answers over all cases there could be."""
    return normal_cdf(skill / SPREAD)


def share(skill: float, clusters: int = CLUSTERS) -> Run:
    """One model's accuracy."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance, clusters)
        return ours.share(world.answers(skill), world.labels).interval, truth(skill)

    return run


def mean(chance: Generator) -> tuple[ours.Interval, float]:
    """Seconds, skewed."""
    world = World(chance)
    seconds = np.exp(0.5 * world.hard[:, None] + chance.normal(0, 0.3, (CASES, SAMPLES)))
    expected = math.exp((0.25 * (BETWEEN**2 + WITHIN**2) + 0.09) / 2)
    return ours.mean(seconds, world.labels).interval, expected


def difference(function: Callable[..., ours.Estimate], skills: tuple[float, float]) -> Run:
    """Two models on the same cases."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance)
        first, second = (world.answers(skill) for skill in skills)
        expected = truth(skills[0]) - truth(skills[1])
        return function(first, second, world.labels).interval, expected

    return run


def cost(skill: float, *, ambiguous: bool = False) -> Run:
    """Harder cases cost more; where it is ambiguous, half of what is not known was billed."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance)
        answers = world.answers(skill)
        costs = 0.01 * np.exp(0.4 * world.hard[:, None] + chance.normal(0, 0.2, answers.shape))
        expected = 0.01 * math.exp((0.16 * (BETWEEN**2 + WITHIN**2) + 0.04) / 2) / truth(skill)
        unsure = costs * (chance.random(costs.shape) < 0.2) if ambiguous else np.zeros_like(costs)
        billed = unsure * (chance.random(costs.shape) < 0.5)
        found = ours.cost_per_success(
            costs - billed, answers, world.labels, ambiguous=unsure if ambiguous else None
        )
        return found.interval, expected

    return run


def no_success(chance: Generator) -> tuple[ours.Interval, float]:
    """The lower bound where successes are so rare that there often is none."""
    world = World(chance)
    answers = (chance.random(CASES) < 0.01).astype(np.float64)
    found = ours.cost_per_success(np.full(CASES, 0.01), answers, world.labels)
    return found.interval, 1.0


def ratio(chance: Generator) -> tuple[ours.Interval, float]:
    """Seconds per success."""
    world = World(chance)
    seconds = np.exp(0.5 * world.hard + chance.normal(0, 0.3, CASES))
    expected = math.exp((0.25 * (BETWEEN**2 + WITHIN**2) + 0.09) / 2) / truth(0.8)
    return ours.ratio(seconds, world.answers(0.8), world.labels), expected


def wilson(chance: Generator) -> tuple[ours.Interval, float]:
    """Independent trials."""
    return ours.wilson(int(chance.binomial(150, 0.08)), 150), 0.08


def zero_events(chance: Generator) -> tuple[ours.Interval, float]:
    """A rate of exactly the bound lets an event happen in 95 % of samples."""
    bound = ours.zero_events_bound(150)
    happened = bool(chance.binomial(150, bound))
    return ours.Interval(None, 0.0, 1.0 if happened else bound * 0.999), bound


def pass_at_k(chance: Generator) -> tuple[ours.Interval, float]:
    """pass@2 of three samples; the truth by 200,000 cases."""
    world = World(chance)
    passed = [int(each) for each in world.answers(0.2).sum(axis=1)]
    return ours.pass_at_k(passed, [SAMPLES] * CASES, 2, world.labels).interval, _pass_at_2()


def _pass_at_2() -> float:
    if not _PASS:
        hard = np.random.default_rng(1).normal(0, math.hypot(BETWEEN, WITHIN), 200_000)
        _PASS.append(float(np.mean(1 - (1 - cdf(0.2 - hard)) ** 2)))
    return _PASS[0]


_PASS: list[float] = []


def judged(sensitivity: float, specificity: float, labelled: int = 60) -> Run:
    """A judge who errs, known from `labelled` good and as many bad answers."""

    def run(chance: Generator) -> tuple[ours.Interval | ours.Refused, float]:
        world = World(chance)
        good = world.answers(0.8)
        verdicts = np.where(
            good > 0,
            chance.random(good.shape) < sensitivity,
            chance.random(good.shape) >= specificity,
        )
        gold = ours.Gold(
            labelled,
            int(chance.binomial(labelled, sensitivity)),
            labelled,
            int(chance.binomial(labelled, specificity)),
        )
        return ours.corrected_share(ours.share(verdicts, world.labels), gold), truth(0.8)

    return run


def predicted(chance: Generator) -> tuple[ours.Interval, float]:
    """A few labelled cases and a judge's predictions of many others."""
    few, many = World(chance, 30, 120), World(chance, 120, 900)
    labels, unseen = few.once(0.8), many.once(0.8)
    said, told = (np.where(chance.random(len(y)) < 0.85, y, 1 - y) for y in (labels, unseen))
    return ours.with_predictions(labels, said, told, few.labels, many.labels), truth(0.8)


def kappa(chance: Generator) -> tuple[ours.Interval, float]:
    """Two judges of independent errors: 85 % and 90 % right on answers half of which are good."""
    good = chance.random(200) < 0.5
    first, second = (np.where(chance.random(200) < p, good, ~good) for p in (0.85, 0.9))
    agreed = 0.85 * 0.9 + 0.15 * 0.1
    return ours.kappa(first.tolist(), second.tolist()), (agreed - 0.5) / 0.5


def cuped_mean(chance: Generator) -> tuple[ours.Interval, float]:
    """This week's part of the cases, and last week's scores of all."""
    world = World(chance)
    before, now = (np.asarray(world.answers(0.8).mean(axis=1)) for _ in range(2))
    return ours.cuped_mean(now, before, truth(0.8), world.labels).interval, truth(0.8)


def cuped_change(share: float) -> Run:
    """A model now and in an earlier run of all cases, of which a share is answered now."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance, 60, 360)
        before, now = world.answers(0.8), world.answers(0.5)
        there = chance.random(360) < share
        labels = np.asarray(world.labels)
        found, _ = ours.cuped_change(
            now[there], before[there], [*labels[there]], before[~there], [*labels[~there]]
        )
        return found.interval, truth(0.5) - truth(0.8)

    return run


def cuped_difference(chance: Generator) -> tuple[ours.Interval, float]:
    """Two arms with other cases each."""
    arms = [World(chance), World(chance)]
    scores = [
        (np.asarray(arm.answers(skill).mean(axis=1)), np.asarray(arm.answers(0.7).mean(axis=1)))
        for arm, skill in zip(arms, (0.9, 0.6), strict=True)
    ]
    labels = arms[0].labels, arms[1].labels
    found = ours.cuped_difference(scores[0], scores[1], labels)
    return found.interval, truth(0.9) - truth(0.6)


def quantile(at: float) -> Run:
    """A high quantile of latencies that are slow together."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance, 60, 600)
        seconds = np.exp(0.5 * world.hard + chance.normal(0, 0.3, 600))
        deviation = math.sqrt(0.25 * (BETWEEN**2 + WITHIN**2) + 0.09)
        found = ours.quantile(seconds, at, world.labels)
        return found, math.exp(normal_quantile(at) * deviation)

    return run
