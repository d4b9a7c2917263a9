"""The knee of a ladder: up to where more load is served as well as little load was.

A ladder has rates (open loop) or numbers of requests in flight (closed loop).  With an SLO a step
is overloaded if less than 95 % of its requests are good; without one if so many are not answered,
or if more load makes it worse.  For rates that is p95 above twice that of the lowest step.  For
numbers in flight it is what lies beyond the most power, which is answers per second over the time
of one: below that point servers wait for requests, beyond it requests wait for servers (Kleinrock
1979, "Power and deterministic rules of thumb for probabilistic problems in computer
communications").  The interval is a bootstrap of each step by what is slow together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.loadtest.outcomes import WINDOW_S, Outcome, good
from evaluation.loadtest.slo import Slo
from evaluation.statistics import CONFIDENCE, Clusters, clustered, replicate_weights
from evaluation.statistics.clusters import Floats
from evaluation.statistics.percentiles import weighted_quantile
from evaluation.statistics.resampling import SEED, tail_of

SERVED_MIN = 0.95  # of what is offered
SLOWER_MAX = 2.0  # times p95 of the lowest rate
STEPS = 5
STEPS_MAX = 12
RATE, IN_FLIGHT = "rate_per_s", "concurrency"  # what the loads of a ladder are


@dataclass(frozen=True, slots=True)
class Step:
    """One load, and what became of its requests, at least one."""

    load: float
    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Figures of a step: as measured, then those of each replicate."""

    good: Floats
    answered: Floats
    p95: Floats  # NaN if nothing was timed
    per_s: Floats  # answers, of a closed loop
    mean_s: Floats  # that an answer took


def rates(highest: float, steps: int) -> list[float]:
    """From the lowest to the highest, each twice the one before."""
    return [highest / 2 ** (steps - 1 - at) for at in range(steps)]


def knee(steps: Sequence[Step], limits: Sequence[Slo], *, closed: bool) -> dict[str, object]:
    """The highest load before the first that is overloaded, with its interval, and why.

    `value` is None if no load is overloaded, or each is.  The knee itself is between two loads, so
    the bounds are loads below and above it; None where the ladder has none.
    """
    has_slo = any(one.at is not None for one in limits)
    groups = [_together(step, closed) for step in steps]
    metric = _metric(steps)
    drawn = [
        _drawn(step, each, limits, metric, SEED + at)
        for at, (step, each) in enumerate(zip(steps, groups, strict=True))
    ]
    by_power = closed and not has_slo
    overloaded = _overloaded(drawn, has_slo=has_slo, by_power=by_power)
    last = np.where(overloaded.any(axis=0), overloaded.argmax(axis=0), len(steps)) - 1
    loads = [step.load for step in steps]
    fewest = min(groups, key=lambda each: each.count)
    bounds = (-1, len(loads)) if fewest.count < 2 else _bounds(last[1:], fewest)
    at = int(last[0])
    found: dict[str, object] = {
        "of": IN_FLIGHT if closed else RATE,
        "value": loads[at] if 0 <= at < len(loads) - 1 else None,
        "low": _load(loads, bounds[0] - by_power),  # the most power may be just below its load
        "high": _load(loads, bounds[1] + 1),
        "confidence": CONFIDENCE,
        "overloaded_at": _load(loads, at + 1),
        "up_to": loads[-1],
    }
    return found | {"why": _why(drawn, at, has_slo=has_slo, by_power=by_power)}


def _bounds(last: NDArray[np.int64], groups: Clusters) -> tuple[int, int]:
    tail = tail_of(groups, CONFIDENCE)
    return (
        int(np.quantile(last, tail, method="lower")),
        int(np.quantile(last, 1 - tail, method="higher")),
    )


def _load(loads: Sequence[float], at: int) -> float | None:
    return loads[at] if 0 <= at < len(loads) else None


def _together(step: Step, closed: bool) -> Clusters:
    """Requests of one second, or those that were in flight together."""
    labels = [
        at // int(step.load) if closed else int(one.due_s / WINDOW_S)
        for at, one in enumerate(step.outcomes)
    ]
    return clustered(len(labels), labels)


def _metric(steps: Sequence[Step]) -> str:
    """First tokens if each step has some, else whole answers."""
    streamed = all(any(one.timed("ttft") is not None for one in step.outcomes) for step in steps)
    return "ttft" if streamed else "total"


def _drawn(step: Step, groups: Clusters, limits: Sequence[Slo], metric: str, seed: int) -> _Drawn:
    outcomes = step.outcomes
    fine = np.asarray([good(one, limits) for one in outcomes], np.float64)
    ok = np.asarray([one.kind == "ok" for one in outcomes], np.float64)
    took = np.asarray([one.ended_s if one.sent else 0.0 for one in outcomes])
    times = np.asarray([math.nan if (t := one.timed(metric)) is None else t for one in outcomes])
    known = np.isfinite(times)

    def of(weights: Floats) -> Floats:
        due, answers = weights.sum(axis=1), weights @ ok
        p95 = np.full(len(weights), math.nan)
        if known.any():
            p95 = weighted_quantile(weights[:, known], times[known], 0.95)
        return np.stack(
            [
                weights @ fine / due,
                answers / due,
                p95,
                _over(step.load * answers, weights @ took),
                _over(weights @ (took * ok), answers),
            ]
        )

    every = [of(groups.weights[None, :])]
    every += [of(weights) for weights in replicate_weights(groups, seed=seed)]
    return _Drawn(*np.concatenate(every, axis=1))


def _over(part: Floats, whole: Floats) -> Floats:
    """Their ratio, 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _overloaded(drawn: Sequence[_Drawn], *, has_slo: bool, by_power: bool) -> NDArray[np.bool_]:
    """(steps, replicates)."""
    served = np.stack([each.good if has_slo else each.answered for each in drawn])
    found: NDArray[np.bool_] = served < SERVED_MIN
    if by_power:
        power = np.stack([_over(each.per_s, each.mean_s) for each in drawn])
        found |= np.arange(len(drawn))[:, None] > power.argmax(axis=0)
    elif not has_slo:
        found |= np.stack([each.p95 > SLOWER_MAX * drawn[0].p95 for each in drawn])
    return found


def _why(drawn: Sequence[_Drawn], at: int, *, has_slo: bool, by_power: bool) -> str:
    """Of the first overloaded step, "" if there is none."""
    if at + 1 == len(drawn):
        return ""
    here = drawn[at + 1]
    if has_slo:
        return f"{here.good[0]:.1%} of the requests meet the SLO"
    if here.answered[0] < SERVED_MIN:
        return f"{here.answered[0]:.1%} of the requests are answered"
    if by_power:
        before = drawn[at]
        more, slower = here.per_s[0] / before.per_s[0], here.mean_s[0] / before.mean_s[0]
        return f"answers per second grow {more:.2f}-fold and their time {slower:.2f}-fold"
    return f"p95 is {here.p95[0] / drawn[0].p95[0]:.1f} times that of the lowest rate"
