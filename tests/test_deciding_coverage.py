"""Intervals of `compare` and `recommend` have the truth of worlds that are known exactly.

An interval that covers in 95 % of all worlds covers in 93 % of `SEEN` numbers or more in 998 of
1,000 draws: two points are three standard errors, √(0.95·0.05/1100) being 0.66 of a point.  Seeds
are fixed.  Of fewer worlds, `least` is as far below 95 %.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from evaluation.decisions.calls import Calls
from evaluation.decisions.change import Change
from evaluation.decisions.recommended import recommend
from evaluation.decisions.routed import by_routes
from evaluation.reports.bounds import Bounds
from evaluation.statistics import Interval, OffPolicy
from exporters.clickhouse.observed import COLUMNS
from support import deciding
from support.covering import Split, World
from support.deciding import BOOK, call, run_of

SEEN = 1100
LEAST = 0.93
Held = Iterator[tuple[str, bool]]  # a quantity, and whether its interval has the truth


def least(seen: int) -> float:
    """Three standard errors below 95 %: what `LEAST` is for `SEEN`."""
    return 0.95 - 3 * math.sqrt(0.95 * 0.05 / seen)


def has(found: Bounds | Interval, truth: float) -> bool:
    """Whether neither bound excludes it."""
    above = found.low is None or found.low <= truth
    return above and (found.high is None or truth <= found.high)


def covered(held: Held) -> Mapping[str, float]:
    """The share of intervals with the truth, by quantity."""
    inside, seen = Counter[str](), Counter[str]()
    for name, each in held:
        seen[name] += 1
        inside[name] += each
    return {name: inside[name] / count for name, count in seen.items()}


WORLDS = {
    "as usual": World(),
    "few calls": World(calls=150),
    "costs are very skewed": World(cost=1.2, session_cost=0.6),
    "few calls, costs are skewed": World(calls=300, cost=1.0, session_cost=0.5),
    "long sessions": World(size=12, varying=True, together=0.1, session_seconds=0.2),
}


@pytest.mark.slow  # 1,100 numbers of each kind
@pytest.mark.parametrize("name", WORLDS)
def test_intervals_of_a_comparison_cover(name: str) -> None:
    """Costs of a call and of a success, rates and quantiles, of calls in sessions and hours."""
    world = WORLDS[name]

    def held() -> Held:
        for seed in range(SEEN // len(world.known) + 1):
            measured = world.measured(seed)
            for at, one in enumerate(world.known):
                for metric, truth in world.truths(one).items():
                    yield metric, has(measured[metric].intervals[at], truth)

    assert {metric: each for metric, each in covered(held()).items() if each < LEAST} == {}


SPLITS = {
    "calls at random": Split(),
    "sessions at random": Split(by_session=True),
    "hardly any fail": Split(right=(0.98, 0.99)),
    "costs are skewed": Split(cost=1.0, session_cost=0.5),
}


@pytest.mark.slow  # 1,100 worlds of each
@pytest.mark.parametrize("name", SPLITS)
def test_intervals_of_what_a_route_tells_cover(name: str) -> None:
    """Success of both arms, its difference, and the ratio of costs; refused by chance in 1 %."""
    split, estimated = SPLITS[name], 0

    def held() -> Held:
        nonlocal estimated
        for seed in range(SEEN):
            found = by_routes(split.drawn(seed), "openai/big", "openai/small")
            assert found is not None
            if found.difference is None:
                continue
            estimated += 1
            assert isinstance(found.now, OffPolicy)
            assert isinstance(found.then, OffPolicy)
            yield "now", has(found.now.dr, split.right[1])
            yield "then", has(found.then.dr, split.right[0])
            yield "difference", has(found.difference.interval, split.right[0] - split.right[1])
            yield "costs", has(found.costs, split.usd[0] / split.usd[1])

    shares = covered(held())
    assert estimated >= 0.99 * SEEN
    assert {metric: each for metric, each in shares.items() if each < LEAST} == {}


BIG, SMALL = "openai/gpt-5.4", "openai/gpt-5.4-mini"
TINY, CLAUDE = "openai/gpt-5.4-nano", "anthropic/claude-sonnet-4-5"
RIGHT = {CLAUDE: 0.90, BIG: 0.90, SMALL: 0.88, TINY: 0.87}
COSTS = {CLAUDE: 0.012, BIG: 0.010, SMALL: 0.0035, TINY: 0.0015}
USE = {"input": 3000, "output": 400}
RUNS = 400


def recommended(seed: int) -> list[Change]:
    """The changes of models that a run of 300 cases suggests, the best first."""
    records = [
        call(1000 * at + number, model, USE)
        for at, model in enumerate(RIGHT)
        for number in range(20)
    ]
    sums, rows = deciding.observed(records)
    run = run_of(RIGHT, COSTS, 300, seed=seed, noise=0.8)
    made = recommend(sums, Calls.read(list(COLUMNS), rows), BOOK, run)
    return [each for each in made.changes if each.evidence_kind == "replay"]


@pytest.mark.slow  # four hundred runs
def test_what_is_recommended_comes_true() -> None:
    """Saving and loss of the change that is taken, the first of several, are inside both intervals;
    and all of them together in as many runs as one interval alone."""

    def true(one: Change) -> bool:
        assert one.quality_difference is not None
        lost = RIGHT[one.to] - RIGHT[one.candidate]
        saved = 1 - COSTS[one.to] / COSTS[one.candidate]
        return has(one.quality_difference, lost) and has(one.saving_share, saved)

    def held() -> Held:
        for seed in range(RUNS):
            changes = recommended(seed)
            assert len(changes) > 2
            yield "all", all(map(true, changes))
            yield "first", true(changes[0])
            if changes[0].conclusion == "recommended":
                yield "recommended", true(changes[0])

    shares = covered(held())
    assert {name: each for name, each in shares.items() if each < least(RUNS)} == {}


@pytest.mark.slow  # a hundred runs
@pytest.mark.parametrize(("loss", "most"), [(0.0, 1.0), (0.05, 0.05)])
def test_a_loss_that_matters_is_not_recommended(loss: float, most: float) -> None:
    """With the true loss at the limit, one in twenty runs recommends it at most."""
    records = [call(at, model, USE) for model in (BIG, SMALL) for at in range(30)]
    sums, rows = deciding.observed(records)
    calls, conclusions = Calls.read(list(COLUMNS), rows), Counter[str]()
    for seed in range(100):
        run = run_of({BIG: 0.90, SMALL: 0.90 - loss}, {BIG: 0.01, SMALL: 0.003}, 600, seed=seed)
        (one,) = (e for e in recommend(sums, calls, BOOK, run).changes if e.kind == "model")
        conclusions[one.conclusion] += 1
    assert conclusions["recommended"] / 100 <= most


def test_a_world_without_overlap_is_refused() -> None:
    """A route that hardly ever chose the other is no evidence: coverage and bounds, no number."""
    records = [
        call(at, SMALL if at < 3 else BIG, USE, route="a", propensity=0.005 if at < 3 else 0.995)
        for at in range(600)
    ]
    sums, rows = deciding.observed(records + [call(5000 + at, SMALL, USE) for at in range(30)])
    made = recommend(sums, Calls.read(list(COLUMNS), rows), BOOK)
    (one,) = (each for each in made.changes if each.kind == "model" and each.candidate == BIG)
    assert one.conclusion == "not enough evidence"
    assert "refused as evidence" in one.evidence
    assert "coverage" in one.evidence
