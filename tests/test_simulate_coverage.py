"""The simulator and its estimates in worlds whose truth is known."""

from typing import Any

import numpy as np
import pytest

from evaluation.history.turns import Traffic
from evaluation.whatif.estimates import estimates
from evaluation.whatif.policies import PROPOSED, Policies
from evaluation.whatif.prices import Prices
from evaluation.whatif.study import study
from proxy.gateway.options import GatewayOptions
from support.histories import LARGE, MINI, World, asked, book, route, true_mean_usd

EXPLORED = route((MINI, ""), (LARGE, ""), explore=0.5, version="1")
CHEAPER = route((MINI, "input_tokens < 2000"), (LARGE, ""), version="2")


def estimated(history: Traffic) -> Any:
    """What a call would cost, from all of a history."""
    turns = history.turns
    routes = dict.fromkeys(range(len(turns)), CHEAPER)
    policies = Policies(turns, routes, GatewayOptions(), Prices(turns, book()), book(), range(10))
    found: Any = estimates(policies, range(len(turns)))
    return found["policies"][PROPOSED]["usd_per_call"]


@pytest.mark.slow  # forty studies
@pytest.mark.parametrize("calls", [80, 300])
def test_the_simulator_passes_its_own_gate(calls: int) -> None:
    """However short a history is: p95 of few calls is not missed by chance."""
    histories = (World(EXPLORED, calls=calls, rate=3.0).traffic(seed) for seed in range(20))
    gates: list[Any] = [study(one, asked(CHEAPER, calls_max=calls))["gate"] for one in histories]
    assert sum(one["passed"] for one in gates) >= 19


@pytest.mark.slow  # two hundred worlds
def test_intervals_cover_the_truth() -> None:
    """In 93 % of worlds at least, the doubly robust interval has what the routes really cost."""
    truth = true_mean_usd(lambda given: MINI if given < 2000 else LARGE, 100_000, 7)
    found = [
        estimated(World(EXPLORED, calls=600).traffic(1000 + seed))["dr"] for seed in range(200)
    ]
    inside = sum(one["low"] <= truth <= one["high"] for one in found)
    assert inside >= 0.93 * 200


@pytest.mark.slow  # two hundred worlds: of sixty, five are outside as often as in one of five draws
def test_what_routes_cost_in_the_end_was_inside_their_interval() -> None:
    """The routes are put in force in the same world: 93 % of the runs at least are as foretold."""
    inside = 0
    for seed in range(200):
        one = estimated(World(EXPLORED, calls=600).traffic(seed))
        after = World(CHEAPER, calls=2000).traffic(5000 + seed).turns
        realised = float(np.mean([float(turn.usd or 0) for turn in after]))
        inside += one["dr"]["low"] <= realised <= one["dr"]["high"]
    assert inside >= 0.93 * 200
