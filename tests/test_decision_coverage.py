"""Decisions in a world whose truth is known: intervals hold it, and the best is found."""

import numpy as np
import pytest

from evaluation.decisions.calls import Calls
from evaluation.decisions.compared import compare
from evaluation.decisions.wanted import wanted
from exporters.clickhouse.evidence import COLUMNS
from support import deciding
from support.deciding import CHEAP, GOOD, POOR

KNOWN = (CHEAP, GOOD, POOR)
RUNS = 300  # of three candidates each: ± 1.4 points
AT_LEAST = 0.93
WEIGHTS = wanted((), ("quality=4,cost=3,latency=2",), ("cost=0.02:0,0.002:1", "latency=10s:0,1s:1"))


@pytest.mark.slow
def test_intervals_of_a_comparison_cover() -> None:
    """Costs and successes in sessions, times in hours: each in 93 % of the runs or more."""
    held: dict[str, list[bool]] = {}
    winners = []
    for seed in range(RUNS):
        records = list(deciding.calls(np.random.default_rng(seed), KNOWN, 900))
        sums, rows = deciding.evidence(records)
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
                bounds = one.metrics[name]
                above = bounds.low is None or bounds.low <= truth
                below = bounds.high is None or truth <= bounds.high
                held.setdefault(name, []).append(above and below)
    assert {name: np.mean(each) for name, each in held.items() if np.mean(each) < AT_LEAST} == {}
    assert set(winners) == {"openai/cheap"}
