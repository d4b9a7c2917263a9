"""When requests are due: an open loop, which sends whatever has or has not come back."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from evaluation.simulation import Call, scaled

SHAPES = ("poisson", "gamma", "trace")
CV = 3.0  # of the gaps of gamma arrivals: their deviation over their mean; Poisson has 1
COUNT_MAX = 50_000  # requests of one test
RATE_MAX = 5_000.0
_RATE = re.compile(r"([0-9]*\.?[0-9]+)\s*(?:/\s*(s|sec|second|m|min|minute|h|hour))?")
_PER = {"s": 1.0, "m": 60.0, "h": 3600.0}


def rate_of(text: str) -> float:
    """Requests a second of `20/s`, `90/m` or `20`.  Raises ValueError."""
    found = _RATE.fullmatch(text.strip())
    rate = float(found[1]) / _PER[(found[2] or "s")[0]] if found else 0.0
    if not 0 < rate <= RATE_MAX:
        raise ValueError(f"no rate: {text!r}; write it as 20/s, at most {RATE_MAX:g}/s")
    return rate


def due(
    shape: str,
    rate: float,
    seconds: float,
    chance: Generator,
    *,
    cv: float = CV,
    trace_s: Sequence[float] = (),
) -> list[float]:
    """Seconds from the beginning, in order.  Raises ValueError for too many, and for no trace."""
    if rate * seconds > COUNT_MAX:
        raise ValueError(f"more than {COUNT_MAX:,} requests; lower --rate or --seconds")
    if shape == "trace":
        return _traced(trace_s, rate, seconds, chance)
    shape_of = 1.0 if shape == "poisson" else 1.0 / cv**2
    found: list[float] = []
    at = 0.0
    while at < seconds:
        gaps = chance.gamma(shape_of, 1.0 / (rate * shape_of), 1024)
        times = at + np.cumsum(gaps)
        found += times[times < seconds].tolist()
        at = float(times[-1])
    return found


def _traced(
    trace_s: Sequence[float], rate: float, seconds: float, chance: Generator
) -> list[float]:
    """Recorded arrivals, made denser by copies laid over each other; never by shorter gaps."""
    if len(trace_s) < 2 or trace_s[-1] <= trace_s[0]:
        raise ValueError("no recorded arrivals: take a mix such as 7d, or --arrivals FILE")
    span_s = trace_s[-1] - trace_s[0]
    factor = rate * span_s / len(trace_s)
    try:
        calls = scaled([Call(at - trace_s[0]) for at in trace_s], factor, chance)
    except ValueError:
        recorded = len(trace_s) / span_s
        raise ValueError(
            f"the record has {recorded:.3g} calls a second, too few to lay over each other up to"
            f" {rate:g}/s; take --shape gamma, or a lower --rate"
        ) from None
    return [call.at_s for call in calls if call.at_s < seconds]
