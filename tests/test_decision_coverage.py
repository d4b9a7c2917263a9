"""Decisions in a world whose truth is known: intervals hold it, and the best is found."""

import math
from decimal import Decimal

import numpy as np
import pytest

from evaluation.decisions.calls import Calls
from evaluation.decisions.compared import compare
from evaluation.decisions.recommended import recommend
from evaluation.decisions.wanted import wanted
from evaluation.reports.bounds import Bounds
from exporters.clickhouse.observed import COLUMNS
from exporters.record import rounded
from support import deciding
from support.deciding import BOOK, CHEAP, GOOD, POOR, call, run_of

KNOWN = (CHEAP, GOOD, POOR)
RUNS = 300  # of three candidates each: ± 1.4 points
AT_LEAST = 0.93
WEIGHTS = wanted((), ("quality=4,cost=3,latency=2",), ("cost=0.02:0,0.002:1", "latency=10s:0,1s:1"))


def held(bounds: Bounds, truth: float) -> bool:
    """Whether neither bound excludes it."""
    above = bounds.low is None or bounds.low <= truth
    return above and (bounds.high is None or truth <= bounds.high)


@pytest.mark.slow
def test_intervals_of_a_comparison_cover() -> None:
    """Costs and successes in sessions, times in hours: each in 93 % of the runs or more."""
    seen: dict[str, list[bool]] = {}
    winners = []
    for seed in range(RUNS):
        records = list(deciding.calls(np.random.default_rng(seed), KNOWN, 900))
        sums, rows = deciding.observed(records)
        found = compare(sums, Calls.read(list(COLUMNS), rows), WEIGHTS)
        winners.append(found.verdict.winner)
        for known in KNOWN:
            (one,) = (each for each in found.candidates if each.model == known.model)
            for name, truth in (
                ("cost_per_call", known.cost_per_call),
                ("cost_per_success", known.cost_per_success),
                ("p95_total", known.p95_total),
                ("quality", known.success),
                ("error_rate", 1 - known.success),
            ):
                seen.setdefault(name, []).append(held(one.metrics[name], truth))
    assert {name: np.mean(each) for name, each in seen.items() if np.mean(each) < AT_LEAST} == {}
    assert set(winners) == {"openai/cheap"}


BIG, SMALL = "openai/gpt-5.4", "openai/gpt-5.4-mini"
USE = {"input": 3000, "output": 400}


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "most"), [(0.0, 1.0), (0.05, 0.05)])
def test_what_a_run_promises_comes_true(loss: float, most: float) -> None:
    """Saving and quality are inside their intervals, and a loss that matters is not recommended."""
    records = [call(at, model, USE) for model in (BIG, SMALL) for at in range(30)]
    sums, rows = deciding.observed(records)
    calls = Calls.read(list(COLUMNS), rows)
    saving, quality, recommended = [], [], []
    for seed in range(RUNS):
        right, costs = {BIG: 0.90, SMALL: 0.90 - loss}, {BIG: 0.010, SMALL: 0.003}
        run = run_of(right, costs, 600, seed=seed, noise=0.8)
        made = recommend(sums, calls, BOOK, run)
        (one,) = (e for e in made.changes if e.kind == "model" and e.candidate == BIG)
        assert one.quality_difference is not None
        saving.append(held(one.saving_share, 0.7))
        quality.append(held(one.quality_difference, -loss))
        recommended.append(one.conclusion == "recommended")
    assert np.mean(saving) >= AT_LEAST
    assert np.mean(quality) >= AT_LEAST
    assert np.mean(recommended) <= most


@pytest.mark.slow
def test_routed_calls_tell_the_truth_and_a_world_without_overlap_is_refused() -> None:
    """Success and bills of both arms of a split, in sessions; hardly any overlap is no evidence."""
    seen, saving = [], []
    for seed in range(RUNS):
        chance = np.random.default_rng(seed)
        records = []
        for session in range(300):
            model = SMALL if chance.random() < 0.3 else BIG
            long = chance.normal(0, 0.5)  # what the calls of a session share
            for turn in range(3):
                usd = (0.004 if model == SMALL else 0.010) * math.exp(long + chance.normal(0, 0.5))
                ok = chance.random() < (0.85 if model == SMALL else 0.9)
                records.append(
                    call(
                        session * 3 + turn, model, USE, session_id=f"s{session}", route="a",
                        propensity=0.3 if model == SMALL else 0.7, cost_usd=rounded(Decimal(usd)),
                        outcome="ok" if ok else "http_error",
                    )
                )  # fmt: skip
        sums, rows = deciding.observed(records)
        made = recommend(sums, Calls.read(list(COLUMNS), rows), BOOK)
        (one,) = (e for e in made.changes if e.kind == "model" and e.candidate == BIG)
        if one.quality_difference is not None:  # else the draw is 3 standard errors off
            seen.append(held(one.quality_difference, -0.05))
            saving.append(held(one.saving_share, 0.6))
    assert len(seen) >= 0.97 * RUNS
    for each in (seen, saving):
        assert np.mean(each) >= AT_LEAST - 0.01  # of one number in each run
    rare = [
        call(at, SMALL if at < 3 else BIG, USE, route="a", propensity=0.005 if at < 3 else 0.995)
        for at in range(600)
    ]
    sums, rows = deciding.observed(rare + [call(5000 + at, SMALL, USE) for at in range(30)])
    made = recommend(sums, Calls.read(list(COLUMNS), rows), BOOK)
    (one,) = (e for e in made.changes if e.kind == "model" and e.candidate == BIG)
    assert one.conclusion == "not enough evidence"
    assert "refused as evidence" in one.evidence
