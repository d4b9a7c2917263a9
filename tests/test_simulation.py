"""Queues: what comes in goes out, no limit is exceeded, and M/M/c is met."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from heapq import heapreplace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator

from evaluation.benchmarks.tables import read_table
from evaluation.simulation import (
    Call,
    Limit,
    Pool,
    Served,
    Simulation,
    Started,
    View,
    compare,
    figures,
    poisson,
    recorded,
    replicate,
    scaled,
)

EXAMPLES = settings(max_examples=60)
FOLDER = Path(__file__).parents[1].parent / "shared" / "data" / "routing"
beside = pytest.mark.skipif(not FOLDER.is_dir(), reason="the arrivals lie beside the checkout")
ONE = np.random.default_rng


def first(_call: Call, view: View) -> str:
    """Everything to the pool that was named first."""
    return next(iter(view.in_flight))


def one_second(_started: Started) -> float:
    """However large."""
    return 1.0


def exponential(mean_s: float) -> Callable[[Started], float]:
    """A service time drawn by the call's own luck."""
    return lambda started: -mean_s * math.log1p(-started.luck)


def run(calls: Sequence[Call], pool: Pool) -> list[Served]:
    """Through a single pool."""
    return Simulation(calls, [pool], first, ONE(1)).run()


def test_calls_wait_for_a_place() -> None:
    """Three at once with room for two: the third starts when the first ends."""
    served = run([Call(0.0)] * 3, Pool("a", one_second, concurrency=2))
    assert [each.started_s for each in served] == [0.0, 0.0, 1.0]
    assert [each.wait_s for each in served] == [0.0, 0.0, 1.0]


def test_calls_wait_for_tokens() -> None:
    """600 tokens a minute, a burst of 100: calls of 50 come at once twice, then every 5 s."""
    limit = Limit("tokens", per_minute=600, burst=100)
    served = run([Call(0.0, 40, 10)] * 4, Pool("a", one_second, limits=(limit,)))
    assert [each.started_s for each in served] == pytest.approx([0, 0, 5, 10])


def test_patience_ends() -> None:
    """Refused when it is over, at once if there is none; what fits no bucket is refused too."""
    pool = Pool("a", one_second, concurrency=1, patience_s=0.5)
    served = run([Call(0.0), Call(0.2), Call(0.8)], pool)
    assert [each.outcome for each in served] == ["done", "refused", "done"]
    assert served[1].ended_s == pytest.approx(0.7)
    at_once = run([Call(0.0), Call(0.2)], Pool("a", one_second, concurrency=1, patience_s=0))
    assert (at_once[1].outcome, at_once[1].ended_s) == ("refused", 0.2)
    large = Pool("a", one_second, limits=(Limit("input", 60, burst=10),))
    assert [each.outcome for each in run([Call(0.0, 11), Call(0.0, 10)], large)] == [
        "too_large",
        "done",
    ]


def test_a_cache_lives_for_a_while() -> None:
    """A session's prefix is warm until its lifetime after the last call is over."""
    pool = Pool("a", one_second, cache_ttl_s=10)
    calls = [Call(at, session=name) for at, name in ((0, "x"), (5, "y"), (9, "x"), (30, "x"))]
    assert [each.cached for each in run(calls, pool)] == [False, False, True, False]


def test_a_routing_sees_the_queues() -> None:
    """The shorter queue of two, as a gateway would choose."""
    pools = [Pool(name, one_second, concurrency=1) for name in ("a", "b")]

    def shorter(_call: Call, view: View) -> str:
        return min(view.in_flight, key=lambda name: view.in_flight[name] + view.waiting[name])

    served = Simulation([Call(0.0)] * 4, pools, shorter, ONE(1)).run()
    assert [each.pool for each in served] == ["a", "b", "a", "b"]
    with pytest.raises(ValueError, match="the routing chose 'c'"):
        Simulation([Call(0.0)], pools, lambda call, view: "c", ONE(1)).run()


calls_of = st.lists(
    st.builds(
        Call,
        st.integers(0, 400).map(lambda tenths: tenths / 10),
        st.integers(0, 60),
        st.integers(0, 60),
    ),
    max_size=60,
)


@EXAMPLES
@given(
    calls_of,
    st.integers(1, 4),
    st.integers(30, 600),
    st.integers(60, 200),
    st.sampled_from([0.0, 2.5, math.inf]),
)
def test_every_call_ends_once_and_no_limit_is_exceeded(
    calls: list[Call], places: int, per_minute: int, burst: int, patience_s: float
) -> None:
    """First come first served; in any stretch of time no more tokens than burst and refill."""
    limit = Limit("tokens", per_minute, burst)
    pool = Pool("a", lambda s: 0.2 + 2 * s.luck, places, (limit,), patience_s)
    served = run(calls, pool)
    assert [each.call for each in served] == list(calls)
    done = [each for each in served if each.outcome == "done"]
    assert patience_s < math.inf or len(done) == len([c for c in calls if limit.of(c) <= burst])
    for each in served:
        assert -1e-9 <= each.wait_s <= patience_s + 1e-9
    # Those that start at the same time, in the order of their coming: it is not that of the list.
    order = sorted(done, key=lambda each: (each.started_s or 0.0, each.call.at_s))
    assert all(a.call.at_s <= b.call.at_s + 1e-9 for a, b in pairwise(order))
    for at, each in enumerate(order):
        now_s = each.started_s or 0.0
        assert sum((o.started_s or 0.0) <= now_s < o.ended_s for o in done) <= places
        for length in range(1, len(order) - at):
            part = order[at : at + length + 1]
            span_s = (part[-1].started_s or 0.0) - now_s
            taken = sum(limit.of(other.call) for other in part)
            assert taken <= burst + span_s * per_minute / 60 + 1e-6


@EXAMPLES
@given(calls_of, st.sampled_from([0.3, 1.0, 2.0, 5.0]))
def test_scaling_adds_whole_copies(calls: list[Call], factor: float) -> None:
    """The recording stays in it, sizes keep their mix, and the time is the same."""
    found = scaled(calls, factor, ONE(3))
    assert [call.at_s for call in found] == sorted(call.at_s for call in found)
    if factor >= 1:
        assert len(found) == factor * len(calls)
        assert set(calls) <= set(found)
        tokens = sum(call.input_tokens for call in calls)
        assert sum(call.input_tokens for call in found) == factor * tokens
    if calls and found:
        assert max(c.at_s for c in found) <= max(c.at_s for c in calls) + 1e-9
        assert min(c.at_s for c in found) >= min(c.at_s for c in calls) - 1e-9


@pytest.mark.thorough
def test_the_same_luck_meets_both_routings() -> None:
    """One place more among two cuts waits for sure, and a routing against itself differs by 0."""

    def simulated(places: int) -> Callable[[Generator], dict[str, float]]:
        def once(chance: Generator) -> dict[str, float]:
            pool = Pool("a", exponential(1.0), concurrency=places)
            return figures(Simulation(poisson(1.5, 400, chance), [pool], first, chance).run())

        return once

    found = compare(simulated(2), simulated(3))
    assert (found["mean_wait_s"].low or 0) > 0
    same = compare(simulated(2), simulated(2))["mean_wait_s"]
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="at least 20 replications"):
        replicate(simulated(2), replications=5)


def erlang_c(places: int, load: float) -> float:
    """The share of calls that wait in M/M/c at an offered load in Erlang."""
    last = load**places / math.factorial(places) * places / (places - load)
    return last / (sum(load**k / math.factorial(k) for k in range(places)) + last)


def waits_of(places: int, arrivals: Sequence[float], services: Sequence[float]) -> list[float]:
    """The same queue by nothing but its definition: the next call takes the first place free."""
    free = [0.0] * places
    waits = []
    for at_s, taken_s in zip(arrivals, services, strict=True):
        start_s = max(at_s, free[0])
        waits.append(start_s - at_s)
        heapreplace(free, start_s + taken_s)
    return waits


def expected(places: int, rate: float) -> dict[str, float]:
    """What M/M/c says for a mean service time of 1 s."""
    waits = erlang_c(places, rate)
    mean_wait_s = waits / (places - rate)
    return {"waited": waits, "mean_wait_s": mean_wait_s, "mean_total_s": 1 + mean_wait_s}


QUEUES = pytest.mark.parametrize(("places", "busy"), [(1, 0.5), (3, 0.7), (10, 0.8)])


@QUEUES
def test_queues_are_what_their_definition_says(places: int, busy: float) -> None:
    """Call by call, and what the definition says is within 2 % of M/M/c over 400,000 calls."""
    rate, chance = places * busy, ONE(places)
    calls = poisson(rate, 3_000, chance)
    luck = deepcopy(chance).random(len(calls))  # what the simulation will draw
    pool = Pool("a", exponential(1.0), concurrency=places)
    served = Simulation(calls, [pool], first, chance).run()
    services = -np.log1p(-luck)
    alone = waits_of(places, [call.at_s for call in calls], services.tolist())
    assert [each.wait_s for each in served] == pytest.approx(alone, abs=1e-9)

    gaps, services = chance.exponential(1 / rate, 400_000), chance.exponential(1.0, 400_000)
    waits = np.asarray(waits_of(places, np.cumsum(gaps).tolist(), services.tolist()))
    found = {
        "waited": np.mean(waits > 0),
        "mean_wait_s": waits.mean(),
        "mean_total_s": (waits + services).mean(),
    }
    for name, value in expected(places, rate).items():
        assert found[name] == pytest.approx(value, rel=0.02), name


@pytest.mark.slow  # two million calls
@QUEUES
def test_queues_agree_with_the_formula(places: int, busy: float) -> None:
    """Mean wait, share that waits and time in the system are within 2 % of M/M/c."""
    rate, calls = places * busy, 40_000

    def once(chance: Generator) -> dict[str, float]:
        pool = Pool("a", exponential(1.0), concurrency=places)
        served = Simulation(poisson(rate, calls, chance), [pool], first, chance).run()
        return figures(served, warm_up_s=calls / rate / 20)

    found = replicate(once)
    for name, value in expected(places, rate).items():
        assert found[name].value == pytest.approx(value, rel=0.02), name


@pytest.mark.thorough
@beside
@pytest.mark.parametrize(
    ("name", "factor"), [("azure_2023_code.csv", 1), ("azure_2023_code.csv", 5)]
)
def test_recorded_arrivals_are_replayed(name: str, factor: int) -> None:
    """As they came and five times as dense: all end, tokens stay within the limit, waits grow."""
    table = read_table(FOLDER / "azure_2023_code.csv")
    assert table is not None
    calls = scaled(recorded(table), factor, ONE(1))
    assert len(calls) == 8819 * factor
    limit = Limit("input", per_minute=1_000_000)
    pool = Pool("a", lambda s: 0.2 + s.call.output_tokens / 50, 64, (limit,))
    served = run(calls, pool)
    found = figures(served)
    assert (found["calls"], found["refused"]) == (8819 * factor, 0.0)
    span_s = max(each.started_s or 0.0 for each in served)
    tokens = sum(call.input_tokens for call in calls)
    assert tokens <= 1_000_000 + span_s * 1_000_000 / 60 + 1
    assert (found["mean_wait_s"] > 60) == (factor == 5)
