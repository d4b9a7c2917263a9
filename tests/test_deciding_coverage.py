"""Intervals of `compare` and `recommend` have the truth of worlds that are known exactly."""

from collections import Counter

import numpy as np
import pytest

from evaluation.decisions.calls import Calls
from evaluation.decisions.compared import compare
from evaluation.decisions.recommended import recommend
from evaluation.decisions.wanted import wanted
from exporters.clickhouse.observed import COLUMNS
from exporters.record import Record
from support import deciding
from support.deciding import BOOK, CHEAP, GOOD, POOR, call, run_of

WORLDS = 300
LEAST = 0.93
BIG, SMALL = "openai/gpt-5.4", "openai/gpt-5.4-mini"
USE = {"input": 3000, "output": 400}


@pytest.mark.slow  # three hundred worlds
def test_intervals_of_a_comparison_cover() -> None:
    """Cost of a call and of a success, success rate and p95, of calls in sessions and hours."""
    inside: Counter[str] = Counter()
    known = (CHEAP, GOOD, POOR)
    for seed in range(WORLDS):
        sums, rows = deciding.observed(
            list(deciding.calls(np.random.default_rng(seed), known, count=900))
        )
        made = compare(sums, Calls.read(list(COLUMNS), rows), wanted((), (), ()))
        for each in made.candidates:
            of = next(one for one in known if one.model == each.model)
            truths = {
                "cost_per_call": of.cost_per_call,
                "cost_per_success": of.cost_per_success,
                "success_rate": of.success,
                "p95_total": of.p95_total,
            }
            for name, truth in truths.items():
                found = each.metrics[name]
                low, high = found.low, found.high
                inside[name] += (low is None or low <= truth) and (high is None or truth <= high)
    shares = {name: count / (WORLDS * len(known)) for name, count in inside.items()}
    assert min(shares.values()) >= LEAST, shares


def routed(seed: int, right: float) -> list[Record]:
    """A route that chose at random; the small model is right in so many calls, the big in 0.9."""
    chance = np.random.default_rng(seed)
    records = []
    for number in range(600):
        model = SMALL if chance.random() < 0.3 else BIG
        good = chance.random() < (right if model == SMALL else 0.9)
        usage = {"input": int(chance.integers(1000, 5000)), "output": int(chance.integers(50, 800))}
        records.append(
            call(number, model, usage, route="assistant", route_version="1", candidate=model,
                 propensity=0.3 if model == SMALL else 0.7, session_id=f"s{number // 3}",
                 tags={"success": str(good).lower()})
        )  # fmt: skip
    return records


@pytest.mark.slow  # three hundred worlds
def test_what_a_recommended_switch_saves_and_loses_is_inside_its_intervals() -> None:
    """By the bills and the feedback of a route's both arms: equal work, so the truth is known."""
    inside: Counter[str] = Counter()
    price = [float(one.cost_usd or 0) for one in (call(0, SMALL, USE), call(0, BIG, USE))]
    saved = 1 - price[0] / price[1]  # both prices of each have one ratio
    for seed in range(WORLDS):
        sums, rows = deciding.observed(routed(seed, 0.85))
        made = recommend(sums, Calls.read(list(COLUMNS), rows), BOOK)
        (one,) = (e for e in made.changes if e.kind == "model" and e.candidate == BIG)
        if one.evidence_kind == "repriced":  # refused, as by chance the weights are off
            continue
        assert one.rewards == "feedback"
        inside["estimated"] += 1
        lost = one.quality_difference
        assert lost is not None
        inside["saving"] += (one.saving_share.low or 0) <= saved <= (one.saving_share.high or 1)
        inside["quality"] += (lost.low or -1) <= -0.05 <= (lost.high or 1)
    estimated = inside.pop("estimated")
    assert estimated >= 0.97 * WORLDS
    shares = {name: count / estimated for name, count in inside.items()}
    assert min(shares.values()) >= LEAST, shares


@pytest.mark.slow  # three hundred worlds
def test_what_a_run_foretells_is_inside_its_intervals() -> None:
    """The same cases for both: the share of right answers that is lost, and the cost that is."""
    inside: Counter[str] = Counter()
    for seed in range(WORLDS):
        records = [call(n, model, USE) for model in (BIG, SMALL) for n in range(30)]
        run = run_of({BIG: 0.9, SMALL: 0.85}, {BIG: 0.01, SMALL: 0.002}, 400, seed=seed, noise=0.3)
        sums, rows = deciding.observed(records)
        made = recommend(sums, Calls.read(list(COLUMNS), rows), BOOK, run)
        (one,) = (e for e in made.changes if e.kind == "model" and e.candidate == BIG)
        lost = one.quality_difference
        assert lost is not None
        inside["saving"] += (one.saving_share.low or 0) <= 0.8 <= (one.saving_share.high or 1)
        inside["quality"] += (lost.low or -1) <= -0.05 <= (lost.high or 1)
    shares = {name: count / WORLDS for name, count in inside.items()}
    assert min(shares.values()) >= LEAST, shares
