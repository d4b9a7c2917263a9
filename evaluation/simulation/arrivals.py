"""When calls come, and how large they are: recorded ones, Poisson ones, and more of either.

A recording is scaled by superposing copies of it, each turned round by its own offset.  Bursts stay
bursts; shrinking the gaps would make every pause shorter too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf, isfinite

import numpy as np
from numpy.random import Generator

from evaluation.benchmarks.tables import ARRIVALS, REQUIRED, Table
from evaluation.statistics.clusters import Floats

COPIES_MAX = 1000


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it arrives.  `session` names a conversation whose prefix may be cached.

    Without one, calls of a `kind` share a prefix, as of one system prompt.
    """

    at_s: float  # since the beginning
    input_tokens: int = 0
    output_tokens: int = 0
    session: str = ""
    kind: str = ""  # class of prompt
    cached_tokens: int = 0  # of the input, read from the cache where its session is warm
    row: int = -1  # of the recording that it repeats

    @property
    def prefix(self) -> str:
        """What a cache knows it by; "" if nothing of it is shared."""
        return self.session or self.kind


def poisson(per_second: float, calls: int, chance: Generator) -> list[Call]:
    """So many calls at a constant rate.  Raises ValueError for a rate that is not above 0."""
    if not 0 < per_second < inf or calls < 0:
        raise ValueError(f"{calls} calls at {per_second} per second")
    return [Call(float(at)) for at in np.cumsum(chance.exponential(1 / per_second, calls))]


def recorded(table: Table) -> list[Call]:
    """The calls of a table of arrivals, in order of time from 0 s.  ValueError for others."""
    if table.kind != ARRIVALS:
        raise ValueError(f"{table.file} has no arrivals")
    columns = (table.columns[name] for name in REQUIRED[ARRIVALS])
    rows = [
        (at, prompt, output)
        for at, prompt, output in zip(*columns, strict=True)
        if isinstance(at, datetime) and isinstance(prompt, int) and isinstance(output, int)
    ]
    rows.sort()
    return [Call((at - rows[0][0]).total_seconds(), prompt, output) for at, prompt, output in rows]


def scaled(calls: Sequence[Call], factor: float, chance: Generator) -> list[Call]:
    """`factor` times as many calls in the same time, in order of time.

    The first copy is the recording itself; a fraction is a copy of which each call is kept with
    that probability.  Sessions of different copies are different ones.
    """
    if not isfinite(factor) or not 0 < factor <= COPIES_MAX:
        raise ValueError(f"scale by more than 0 and at most {COPIES_MAX}: {factor}")
    if not calls:
        return []
    start = min(call.at_s for call in calls)
    span_s = max(call.at_s for call in calls) - start
    found: list[Call] = []
    for copy in range(int(np.ceil(factor))):
        part = min(factor - copy, 1.0)
        offset = float(chance.random()) * span_s if copy else 0.0
        kept: Floats = chance.random(len(calls)) if part < 1 else np.zeros(len(calls))
        for call, luck in zip(calls, kept, strict=True):
            if luck < part:
                found.append(_shifted(call, copy, offset, start, span_s))
    return sorted(found, key=lambda call: call.at_s)


def _shifted(call: Call, copy: int, offset: float, start: float, span_s: float) -> Call:
    if not copy:
        return call
    at_s = start + (call.at_s - start + offset) % span_s if span_s else call.at_s
    session = f"{call.session}#{copy}" if call.session else ""
    return replace(call, at_s=at_s, session=session)
