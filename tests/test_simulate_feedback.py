"""Success of other routes, by what somebody said about calls; nothing without it."""

from typing import Any

import numpy as np
import pytest

from evaluation.commands import simulate_words
from evaluation.history.turns import Traffic
from evaluation.whatif import page
from evaluation.whatif.estimates import estimates
from evaluation.whatif.policies import PROPOSED, Policies
from evaluation.whatif.prices import Prices
from evaluation.whatif.study import study
from proxy.gateway.options import GatewayOptions
from support.histories import LARGE, MINI, World, asked, book, route, success_rate

EXPLORED = route((MINI, ""), (LARGE, ""), explore=0.5, version="1")
CHEAPER = route((MINI, "input_tokens < 2000"), (LARGE, ""), version="2")
SMALLER = route((MINI, ""), version="2")
TRUTH = (success_rate(MINI, 200) + success_rate(LARGE, 4000)) / 2
SMALLER_TRUTH = (success_rate(MINI, 200) + success_rate(MINI, 4000)) / 2


def success_of(history: Traffic, proposed: Any = CHEAPER) -> Any:
    """The estimate of success, from all of a history."""
    turns = history.turns
    routes = dict.fromkeys(range(len(turns)), proposed)
    policies = Policies(turns, routes, GatewayOptions(), Prices(turns, book()), book(), range(10))
    found: Any = estimates(policies, range(len(turns)))
    return found["policies"][PROPOSED]["success_share"]


def test_success_rests_on_feedback(capsys: pytest.CaptureFixture[str]) -> None:
    """With its share, its interval, and what the calls that nobody judged could make of it."""
    history = World(EXPLORED, calls=800, judged=(0.8, 0.8)).traffic(1)
    found: Any = study(history, asked(CHEAPER, calls_max=40))
    off_policy = found["off_policy"]
    assert off_policy["quality"]["rests_on"] == "feedback"
    judged = off_policy["quality"]["judged"]
    assert 0.7 * off_policy["calls"] < judged < 0.9 * off_policy["calls"]
    one = off_policy["policies"][PROPOSED]["success_share"]
    assert (one["calls"], one["unknown"]) == (judged, off_policy["calls"] - judged)
    assert one["dr"]["low"] <= TRUTH <= one["dr"]["high"]
    wide = one["whatever_unsaid"]
    assert wide["low"] < one["dr"]["low"] < one["dr"]["high"] < wide["high"]
    simulate_words.show(found)
    said = capsys.readouterr().out
    for text in (said, page.page(found)):
        words = " ".join(text.split())
        assert f"success rests on feedback about {judged:,} of them" in words
        assert "whatever calls without feedback were" in words


def test_without_feedback_nothing_is_said_about_success(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """How calls ended is no word about their answers: cost, time and failures only."""
    found: Any = study(World(EXPLORED, calls=800).traffic(1), asked(CHEAPER, calls_max=40))
    off_policy = found["off_policy"]
    assert off_policy["quality"] == {"rests_on": "none", "judged": 0}
    for rewards in off_policy["policies"].values():
        assert "dr" not in rewards["success_share"]
    assert "dr" in off_policy["policies"][PROPOSED]["usd_per_call"]
    simulate_words.show(found)
    said = " ".join(capsys.readouterr().out.split())
    assert "nobody gave feedback about them, so cost, time and failures only" in said
    assert "success: refused" not in said


def test_success_without_exception_is_not_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many calls succeeded, one in some may not: the bound is that of their number."""
    monkeypatch.setattr("support.histories.success_rate", lambda *_: 1.0)
    one = success_of(World(EXPLORED, calls=800, judged=(1.0, 1.0)).traffic(1))
    assert (one["dr"]["value"], one["dr"]["high"]) == (1.0, 1.0)
    assert 0.97 < one["dr"]["low"] < 1 - 2.9 / one["calls"]


def test_words_about_one_candidate_are_no_estimate() -> None:
    """If only successes are reported, the better model has more of them: the weights show it."""
    one = success_of(World(EXPLORED, calls=800, judged=(0.0, 1.0)).traffic(1))
    assert "actions are missing from the rows" in one["refused"]


def test_few_words_are_no_estimate() -> None:
    """Judged calls need overlap of their own."""
    one = success_of(World(EXPLORED, calls=800, judged=(0.1, 0.1)).traffic(1))
    assert "independent ones" in one["refused"]
    assert one["bounds"]["low"] < one["bounds"]["high"]


@pytest.mark.slow  # two hundred worlds
@pytest.mark.parametrize(("sessions", "share"), [(0, 1.0), (0, 0.6), (4, 0.6)])
def test_intervals_cover_the_true_success(sessions: int, share: float) -> None:
    """In 93 % of worlds at least, with all calls judged or some, alone or in sessions."""
    world = World(EXPLORED, calls=800, sessions=sessions, judged=(share, share))
    found = [success_of(world.traffic(1000 + seed))["dr"] for seed in range(200)]
    assert np.mean([one["low"] <= TRUTH <= one["high"] for one in found]) >= 0.93


@pytest.mark.slow  # a hundred worlds
def test_bounds_cover_it_though_only_the_angry_speak() -> None:
    """Estimates from their words alone are far too low; what others could make of it holds."""
    world = World(EXPLORED, calls=800, judged=(0.9, 0.3))
    found = [success_of(world.traffic(seed), SMALLER) for seed in range(100)]
    assert np.mean([one["dr"]["high"] < SMALLER_TRUTH for one in found]) > 0.9
    wide = [one["whatever_unsaid"] for one in found]
    assert np.mean([one["low"] <= SMALLER_TRUTH <= one["high"] for one in wide]) >= 0.93


@pytest.mark.slow
def test_the_success_of_routes_in_force_was_inside_their_interval() -> None:
    """The routes are put in force in the same world: 93 % of the runs at least are as foretold."""
    inside = 0
    for seed in range(60):
        one = success_of(World(EXPLORED, calls=800, judged=(1.0, 1.0)).traffic(seed))
        after = World(CHEAPER, calls=20_000, judged=(1.0, 1.0)).traffic(5000 + seed // 20).turns
        realised = float(np.mean([float(turn.judged or 0) for turn in after]))
        inside += one["dr"]["low"] <= realised <= one["dr"]["high"]
    assert inside >= 0.93 * 60
