"""Synthetic worlds of routings: candidates beside each other, routers, rows of a routing in force.

The cases are those of `worlds`, so the truth is known here too, or found by many prompts.
"""

import math

import numpy as np
from numpy.random import Generator

from evaluation import statistics as ours
from evaluation.benchmarks.curve import pgr_intervals, router_metrics
from evaluation.frontier import Axis, standings
from evaluation.statistics.quantiles import normal_cdf
from support.worlds import BETWEEN, CASES, WITHIN, Run, World, cdf, truth

REPLICATES = 300  # of a bootstrap, in each of 1,000 runs


def standing(axis: str) -> Run:
    """A candidate's measure where cases are drawn jointly for all."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance)
        right = np.stack([world.once(skill) for skill in (0.8, 0.6)], axis=1)
        costs = 0.01 * np.exp(0.4 * world.hard[:, None] + chance.normal(0, 0.2, right.shape))
        axes = [Axis("cost", "low", costs, per=right), Axis("quality", "high", right)]
        groups = ours.clustered(CASES, world.labels)
        found = standings(["a", "b"], axes, groups, replicates=REPLICATES)["a"]
        mean_cost = 0.01 * math.exp((0.16 * (BETWEEN**2 + WITHIN**2) + 0.04) / 2)
        expected = {"cost": mean_cost / truth(0.8), "quality": truth(0.8)}
        return found.measures[axis], expected[axis]

    return run


def routed(which: str) -> Run:
    """A router's APGR, CPT(50 %) or PGR at a threshold; the truth by 400,000 prompts."""

    def run(chance: Generator) -> tuple[ours.Interval, float]:
        world = World(chance, 40, 300)
        found = _router(world)[which]
        return found, _router_truth(which)

    return run


def _router(world: World) -> dict[str, ours.Interval]:
    strong, weak = world.once(1.2), world.once(0.2)
    rank = world.hard + world.chance.normal(0, 0.8, len(world.hard))
    groups = ours.clustered(len(rank), world.labels)
    metrics = router_metrics(strong, weak, rank, groups, replicates=REPLICATES)
    reached = np.where(rank > 0, strong, weak)
    (gap,) = pgr_intervals([reached], strong, weak, groups, replicates=REPLICATES)
    return {"apgr": metrics.apgr, "cpt": metrics.cpt[0], "pgr": gap}


def _router_truth(which: str) -> float:
    if not _ROUTER:
        chance = np.random.default_rng(2)
        hard = chance.normal(0, math.hypot(BETWEEN, WITHIN), 400_000)
        rank = hard + chance.normal(0, 0.8, len(hard))
        order = np.argsort(-rank)
        gains = np.cumsum((cdf(1.2 - hard) - cdf(0.2 - hard))[order])
        curve = gains / gains[-1]
        _ROUTER["apgr"] = float(curve.mean())
        _ROUTER["cpt"] = float(np.argmax(curve >= 0.5) / len(curve))
        _ROUTER["pgr"] = float(curve[int(np.sum(rank > 0)) - 1])
    return _ROUTER[which]


_ROUTER: dict[str, float] = {}


def off_policy(estimator: str) -> Run:
    """Sessions of calls, an adaptive routing in force, and another that is judged by its rows."""

    def run(chance: Generator) -> tuple[ours.Interval | ours.Refused, float]:
        sessions, calls = 150, 4
        labels = np.repeat(np.arange(sessions), calls)
        kind = chance.integers(0, 2, sessions)[labels]  # easy or hard, for the whole session
        logged = np.where(kind, 0.7, 0.3)  # how often hard ones go to the strong model
        actions = (chance.random(len(labels)) < logged).astype(np.int64)
        mood = chance.normal(0, 0.5, sessions)[labels]
        rate = cdf(0.3 + 0.9 * actions - 0.8 * kind + mood)
        rewards = (chance.random(len(labels)) < rate).astype(np.float64)
        strong = np.where(kind, 0.9, 0.2)
        log = ours.log_of(
            actions,
            rewards,
            np.where(actions, logged, 1 - logged),
            np.stack([1 - strong, strong], axis=1),
            strata=kind.tolist(),
            sessions=labels.tolist(),
        )
        means = {
            (k, a): normal_cdf((0.3 + 0.9 * a - 0.8 * k) / math.sqrt(1.25))
            for k in (0, 1)
            for a in (0, 1)
        }
        easy = 0.8 * means[0, 0] + 0.2 * means[0, 1]
        tough = 0.1 * means[1, 0] + 0.9 * means[1, 1]
        expected = (easy + tough) / 2
        if estimator == "bounds":
            return ours.reward_bounds(log), expected
        found = ours.off_policy(log)
        if isinstance(found, ours.Refused):
            return found, expected
        return getattr(found, estimator), expected

    return run
