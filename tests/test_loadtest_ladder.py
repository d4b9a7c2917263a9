"""Ladders of a load test: the knee of rates, and of requests in flight."""

import heapq
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from evaluation.loadtest import ladder, page, sentences
from evaluation.loadtest.outcomes import Outcome
from evaluation.loadtest.slo import slos
from proxy.settings import sources
from proxy.settings.config import Config
from support.loads import document_of

ONE = np.random.default_rng


@pytest.fixture(scope="module")
def config() -> Config:
    """The packaged settings."""
    return sources.load(None, {"HOME": "/nowhere"})


def step_of(load: float, share: float, seconds: float, count: int = 100) -> ladder.Step:
    """A second for each ten requests; so many are good, and take so long."""
    return ladder.Step(
        load,
        [
            Outcome(due_s=at / 10, kind="ok", ended_s=seconds,
                    ttft_s=seconds if at % 10 < round(share * 10) else 9.0)
            for at in range(count)
        ],
    )  # fmt: skip


def test_the_knee_is_the_last_rate_that_was_served() -> None:
    """By goodput where there is an SLO, else by answers and by p95; or there is none."""
    limits = slos(["p95_ttft<1s"])
    steps = [step_of(5, 1.0, 0.5), step_of(10, 1.0, 0.6), step_of(20, 0.5, 0.9)]
    found = ladder.knee(steps, limits, closed=False)
    assert (found["value"], found["low"], found["high"]) == (10, 10, 20)
    assert found["why"] == "50.0% of the requests meet the SLO"
    assert ladder.knee(steps, (), closed=False)["overloaded_at"] == 20
    assert sentences.knee(found).startswith("Knee at 10/s (95% sure: above 10/s and below 20/s)")
    none = ladder.knee(steps[:2], limits, closed=False)
    assert (none["value"], none["overloaded_at"], none["up_to"]) == (None, None, 10)
    assert sentences.knee(none).startswith("No knee up to 10/s")
    every = ladder.knee(steps[2:], limits, closed=False)
    assert (every["value"], every["low"], every["high"]) == (None, None, 20)
    assert sentences.knee(every).startswith("Overloaded at the lowest load already")
    alone = ladder.knee([step_of(5, 1.0, 0.5, count=9)] * 2, limits, closed=False)
    assert (alone["low"], alone["high"]) == (None, None)  # all of one second say nothing
    assert ladder.rates(40, 4) == [5, 10, 20, 40]


def closed_queue(servers: int, in_flight: int, rounds: int, chance: Any) -> ladder.Step:
    """Exponential services of a mean of 1 s, and so many callers that never wait."""
    free, ready = [0.0] * servers, [0.0] * in_flight
    outcomes = []
    for service in chance.exponential(1.0, in_flight * rounds):
        due = heapq.heappop(ready)
        ended = max(heapq.heappop(free), due) + float(service)
        heapq.heappush(free, ended)
        heapq.heappush(ready, ended)
        outcomes.append(Outcome(due_s=due, kind="ok", ended_s=ended - due))
    return ladder.Step(in_flight, outcomes[in_flight:])


@pytest.mark.parametrize("seeds", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_the_knee_of_a_closed_queue_is_where_its_servers_are_busy(seeds: int) -> None:
    """Eight servers and exponential times: power is greatest at eight, and the interval has it."""
    inside, hits = 0, 0
    for seed in range(seeds):
        steps = [closed_queue(8, n, 20, ONE([seed, n])) for n in (1, 2, 4, 8, 16, 32)]
        found: Any = ladder.knee(steps, (), closed=True)
        low, high = found["low"] or 0, found["high"] or 64
        inside += low < 8 < high
        hits += found["value"] == 8
    assert inside >= 0.93 * seeds
    assert hits >= 0.75 * seeds


def test_a_closed_loop_keeps_so_many_in_flight(config: Config) -> None:
    """Each place sends when its answer has come; the first round is no result."""
    found = document_of(
        config, {"head-s": "0.05", "output-tokens": "2"}, loads=[1, 4], rounds=6, limits=()
    )
    assert (found["loop"], found["loads"], found["rounds"]) == ("closed", [1, 4], 6)
    assert [one["concurrency"] for one in found["steps"]] == [1, 4]
    for step in found["steps"]:
        assert (step["warm_up"], step["due"]) == (step["concurrency"], 5 * step["concurrency"])
        assert step["ok"] == step["due"]
        assert step["in_flight"] == pytest.approx(step["concurrency"])
        assert 0 < step["ok_per_s"] <= step["concurrency"] / 0.05
    knee = found["knee"]
    assert (knee["of"], knee["up_to"]) == ("concurrency", 4)
    assert "4 in flight" in page.page(found)
    assert "knee" in " ".join(sentences.ended(found)).lower()


def test_a_closed_loop_stops_at_its_limit_too(config: Config) -> None:
    """Of money; what could pass it is not sent, and counted."""
    found = document_of(config, {}, cap="0.0005", loads=[4], rounds=50)
    (step,) = found["steps"]
    assert step["capped"] > 0
    assert Decimal(found["spent_usd"]) <= Decimal("0.0005")
