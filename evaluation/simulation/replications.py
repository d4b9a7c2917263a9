"""The same simulation many times over: means of its figures, and differences of two routings.

A single run is one draw.  Replications have seeds of their own; two routings share them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.random import Generator

from evaluation.simulation.served import Served
from evaluation.statistics import Interval, difference, mean

REPLICATIONS_MIN = 20

Figures = Mapping[str, float]
Run = Callable[[Generator], Figures]


def replicate(
    run: Run, *, replications: int = REPLICATIONS_MIN, seed: int = 1
) -> dict[str, Interval]:
    """The mean of each figure over runs with seeds of their own, with its 95 % interval."""
    found = [run(chance) for chance in _chances(replications, seed)]
    return {name: mean([each[name] for each in found]).interval for name in found[0]}


def compare(
    first: Run, second: Run, *, replications: int = REPLICATIONS_MIN, seed: int = 1
) -> dict[str, Interval]:
    """`first` minus `second` in each figure, run by run with the same luck."""
    pairs = [
        (first(one), second(other))
        for one, other in zip(
            _chances(replications, seed), _chances(replications, seed), strict=True
        )
    ]
    return {
        name: difference([a[name] for a, _ in pairs], [b[name] for _, b in pairs]).interval
        for name in pairs[0][0]
    }


def figures(served: Sequence[Served], *, warm_up_s: float = 0.0) -> dict[str, float]:
    """Waits and totals of the calls that arrived after the warm-up, and the share refused.

    Waits and totals are of calls that were served; 0 where there are none.
    """
    seen = [each for each in served if each.call.at_s >= warm_up_s]
    done = [each for each in seen if each.outcome == "done"]
    waits = np.asarray([each.wait_s for each in done] or [0.0])
    totals = np.asarray([each.total_s for each in done] or [0.0])
    return {
        "calls": float(len(seen)),
        "refused": 1 - len(done) / len(seen) if seen else 0.0,
        "waited": float(np.mean(waits > 0)),
        "mean_wait_s": float(waits.mean()),
        "p95_wait_s": float(np.quantile(waits, 0.95)),
        "mean_total_s": float(totals.mean()),
        "p95_total_s": float(np.quantile(totals, 0.95)),
    }


def _chances(replications: int, seed: int) -> list[Generator]:
    if replications < REPLICATIONS_MIN:
        raise ValueError(f"at least {REPLICATIONS_MIN} replications: {replications}")
    return [np.random.default_rng([seed, number]) for number in range(replications)]
