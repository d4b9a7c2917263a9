"""A canary is judged by tests that hold at every look: simulated ones with a known truth.

The fast tests have few runs and wide limits; the slow ones are the 1,000 runs of the promise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from proxy.gateway.canary import (
    RUNNING,
    UNEVEN,
    UNITS_MIN,
    UNPRICED_MAX,
    WORSE,
    Arm,
    cost_bounds,
    evidence,
    judge,
)

ALPHA = 0.05
LOOKS, STEP = 100, 50  # looks, and sessions between two of them


@dataclass(frozen=True)
class Fate:
    """What becomes of the sessions of one arm."""

    errors: float = 0.02  # shares of them
    slow: float = 0.05
    refusals: float = 0.01
    usd: float = 0.01  # on average; lognormal, so a few are dear
    success: float = 0.95  # of each call; there are 1 to 9 in a session


def looks(canary: Fate, others: Fate, share: float, seed: int) -> Iterator[tuple[Arm, Arm]]:
    """The arms (canary, others) at each look."""
    chance = np.random.default_rng(seed)
    count = LOOKS * STEP
    mine = chance.random(count) < share

    def of(name: str) -> NDArray[np.float64]:
        return np.where(mine, float(getattr(canary, name)), float(getattr(others, name)))

    events = {name: chance.random(count) < of(name) for name in ("errors", "slow", "refusals")}
    turns = 1 + chance.binomial(8, 0.2, count)
    usd = of("usd") * turns * chance.lognormal(-0.5, 1.0, count)
    successes = chance.binomial(turns, of("success"))
    sums = {"units": np.ones(count), "priced": np.ones(count), **events, "usd": usd}
    sums |= {"successes": successes, "usd_usd": usd**2}
    sums |= {"successes_successes": successes**2, "usd_successes": usd * successes}
    run = {
        at: {name: np.cumsum(values * (mine == at)) for name, values in sums.items()}
        for at in (True, False)
    }
    for end in range(STEP - 1, count, STEP):
        yield tuple(_arm({name: values[end] for name, values in run[at].items()}) for at in run)  # type: ignore[misc]


def _arm(sums: dict[str, float]) -> Arm:
    kinds = {one.name: one.type for one in msgspec.structs.fields(Arm)}
    return Arm(**{name: kinds[name](float(value)) for name, value in sums.items()})


def stops(canary: Fate, others: Fate, share: float, runs: int) -> list[int | None]:
    """After how many sessions each of the runs was called worse; None: never."""
    found: list[int | None] = []
    for seed in range(runs):
        at = enumerate(looks(canary, others, share, seed), 1)
        worse = (n * STEP for n, (a, b) in at if judge(a, b, share, ALPHA).state == WORSE)
        found.append(next(worse, None))
    return found


WORLDS = {
    "usual": Fate(),
    "everything is rare": Fate(errors=0.002, slow=0.001, refusals=0.001, success=0.995),
    "nothing works": Fate(errors=0.5, slow=0.5, refusals=0.3, success=0.3),
}


@pytest.mark.slow  # 1,000 runs of 100 looks
@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("world", WORLDS)
def test_a_canary_that_is_no_worse_stays(world: str, share: float) -> None:
    """At most 5 % of 1,000 are called worse, by any test at any look."""
    alarms = [one for one in stops(WORLDS[world], WORLDS[world], share, 1000) if one]
    assert len(alarms) <= ALPHA * 1000


def test_a_canary_that_is_no_worse_seldom_stops() -> None:
    """The same by 20 runs, within chance."""
    assert len([one for one in stops(Fate(), Fate(), 0.5, 20) if one]) <= 4


@pytest.mark.parametrize(
    ("worse", "share", "sessions"),
    [
        (Fate(errors=0.06), 0.1, 5_000),
        (Fate(errors=0.06), 0.5, 2_500),
        (Fate(refusals=0.05), 0.5, 2_500),
        (Fate(usd=0.02), 0.1, 5_000),
        (Fate(usd=0.015), 0.5, 3_000),
        (Fate(success=0.5), 0.5, 3_000),
    ],
)
def test_a_canary_that_is_worse_is_found(worse: Fate, share: float, sessions: int) -> None:
    """Most of 16 are stopped after this many sessions of both arms together."""
    taken = [one or math.inf for one in stops(worse, Fate(), share, 16)]
    assert float(np.median(taken)) <= sessions


def test_evidence_is_a_fair_game() -> None:
    """The expected E-value is 1 at any number of events if the arms are alike."""
    for events in (1, 5, 40):
        expected = sum(
            math.comb(events, s) * 0.1**s * 0.9 ** (events - s) * math.exp(evidence(s, events, 0.1))
            for s in range(events + 1)
        )
        assert math.isclose(expected, 1.0, rel_tol=1e-9)


@pytest.mark.parametrize(("canary", "both", "share"), [(2, 1, 0.5), (-1, 1, 0.5), (0, 0, 1.0)])
def test_impossible_counts(canary: int, both: int, share: float) -> None:
    """They are refused, as every number made of them would be wrong."""
    with pytest.raises(ValueError, match="events at a share"):
        evidence(canary, both, share)


def arm(units: int = 1_000, **more: object) -> Arm:
    """An arm of sessions of one call, each 0.01 USD and successful."""
    usual = {
        **{"units": units, "priced": units, "successes": units, "usd": Decimal(units) / 100},
        **{"usd_usd": units / 1e4, "successes_successes": float(units)},
        "usd_successes": units / 100,
    }
    return Arm(**{**usual, **more})  # type: ignore[arg-type]


@given(
    st.integers(UNITS_MIN, 100_000),
    st.floats(1e-6, 10),
    st.floats(0, 3),
    st.floats(0.05, 1),
    st.sampled_from([0.001, 0.05, 0.2]),
)
def test_bounds_of_a_cost(n: int, usd: float, spread: float, success: float, alpha: float) -> None:
    """They have the cost of a success between them, and are narrower where less is certain."""
    successes = int(n * success) or 1
    made = Arm(
        units=n,
        priced=n,
        usd=Decimal(usd) * n,
        successes=successes,
        usd_usd=n * usd**2 * (1 + spread**2),
        successes_successes=float(successes),
        usd_successes=usd * successes,
    )
    found = cost_bounds(made, alpha)
    if found is not None:
        assert found[0] <= usd * n / successes * (1 + 1e-9)
        assert found[1] >= usd * n / (successes + 1)
        wider = cost_bounds(made, alpha / 2)
        assert wider is None or wider[1] >= found[1] * (1 - 1e-9)


def test_costs_wait_until_they_are_known() -> None:
    """Below 300 sessions of each arm, and while more than 5 % of them have an unknown cost."""
    dear = arm(usd=Decimal(30), usd_usd=0.9, usd_successes=30.0)
    assert judge(dear, arm(), 0.5, ALPHA).worse == ("cost",)
    assert judge(dear, arm(), 0.5, ALPHA, dearer=2.5).state == RUNNING
    for few in (arm(UNITS_MIN - 1), arm(units=int(1_000 / (1 - UNPRICED_MAX)) + 2, priced=1_000)):
        assert cost_bounds(few, ALPHA) is None
    (cost,) = (one for one in judge(arm(10), arm(10), 0.5, ALPHA).findings if one.of == "cost")
    assert (cost.canary, cost.canary_bounds, cost.worse) == (0.01, None, False)


def test_an_arm_without_a_success() -> None:
    """Its success has no cost, and no bounds: nothing divides by zero."""
    none = arm(successes=0, successes_successes=0.0, usd_successes=0.0)
    assert cost_bounds(none, ALPHA) is None
    assert judge(none, arm(), 0.5, ALPHA).findings[-1].canary is None
    assert judge(Arm(), Arm(), 0.5, ALPHA).state == RUNNING


def test_a_better_canary_is_not_worse() -> None:
    """Much evidence in its favour stops nothing."""
    found = judge(arm(errors=1), arm(errors=200), 0.5, ALPHA)
    assert found.findings[0].evidence is not None
    assert found.findings[0].evidence > 1e6
    assert found.state == RUNNING


def test_arms_of_another_size_than_the_split_says() -> None:
    """Then no other finding can be trusted, as they may come from the same fault."""
    found = judge(arm(1_000, errors=100), arm(1_500, errors=1), 0.5, ALPHA)
    assert found.worse == ("errors",)
    assert found.state == UNEVEN
    assert judge(arm(1_000), arm(1_050), 0.5, ALPHA).state == RUNNING
