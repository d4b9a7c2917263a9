"""How candidates did lately, by the size of the request: what the meter measures and relays read.

Only what says something of a candidate counts: not callers' mistakes, limits and keys, which have
states of their own.  Times are those of whole answers.  Instants are seconds since the epoch.
"""

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from math import ceil
from statistics import median
from typing import NamedTuple

import msgspec

from proxy.gateway.failures import What
from proxy.gateway.live import CALLS_MIN, Condition

WINDOW_S = 300.0
SIZES = (1_000, 8_000, 64_000)  # input tokens at which the next class of sizes begins
ANY_SIZE = -1  # all classes together, for requests whose tokens were not counted
SAMPLES_MAX = 1_000  # of a candidate and a class, the latest
PLACES_MAX = 500  # candidates times classes; the longest unheard are forgotten first
NO_WORD = frozenset(
    (What.LIMITED, What.CREDENTIAL, What.QUOTA, What.MISTAKE, What.TOO_LONG, What.REFUSED)
)


class Figures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one candidate (`provider/model`) and class of sizes; times in seconds."""

    candidate: str
    size: int  # a class of `size_class`, or ANY_SIZE
    calls: int
    error_share: float = 0.0
    failed_at: float = 0.0
    first_token_s: float | None = None  # medians: of streams
    total_s: float | None = None
    first_token_p95_s: float | None = None
    total_p95_s: float | None = None


def condition(every: Figures | None, sized: Figures | None) -> Condition:
    """As a decision reads it: the errors of requests of every size, as a failed one seldom says
    how long it was; the times of `sized` alone, if it has enough calls."""
    if every is None:
        return Condition()
    known = sized is not None and sized.calls >= CALLS_MIN
    return Condition(
        calls=every.calls,
        error_share=every.error_share,
        failed_at=every.failed_at,
        first_token_s=sized.first_token_s if sized and known else None,
        total_s=sized.total_s if sized and known else None,
    )


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What the meter tells the relays."""

    at: float
    figures: tuple[Figures, ...] = ()


class Sample(NamedTuple):
    """One attempt."""

    at: float  # its end
    end: What
    first_token_s: float | None
    total_s: float


def size_class(input_tokens: int) -> int:
    """0 for the smallest requests."""
    return bisect_right(SIZES, input_tokens)


class Measured:
    """The attempts of the last five minutes."""

    def __init__(self) -> None:
        self._samples: OrderedDict[tuple[str, int], deque[Sample]] = OrderedDict()

    def add(self, candidate: str, input_tokens: int | None, sample: Sample) -> None:
        """Count an attempt.  Unless it was counted what it read, it says nothing of a size."""
        if sample.end in NO_WORD:
            return
        sizes = [] if input_tokens is None else [size_class(input_tokens)]
        for size in (ANY_SIZE, *sizes):
            kept = self._samples.setdefault((candidate, size), deque(maxlen=SAMPLES_MAX))
            kept.append(sample)
            self._samples.move_to_end((candidate, size))
        while len(self._samples) > PLACES_MAX:
            self._samples.popitem(last=False)

    def published(self, now: float) -> Published:
        """The figures of now."""
        figures = sorted(self._figures(now), key=lambda one: (one.candidate, one.size))
        return Published(at=now, figures=tuple(figures))

    def _figures(self, now: float) -> Iterator[Figures]:
        for (candidate, size), samples in list(self._samples.items()):
            recent = [one for one in samples if now - WINDOW_S < one.at]
            if not recent:
                del self._samples[candidate, size]
                continue
            whole = [one for one in recent if one.end is What.ANSWERED]
            first = [one.first_token_s for one in whole if one.first_token_s is not None]
            total = [one.total_s for one in whole]
            yield Figures(
                candidate=candidate,
                size=size,
                calls=len(recent),
                error_share=sum(one.end.harm for one in recent) / len(recent),
                failed_at=max((one.at for one in recent if one.end.harm), default=0.0),
                first_token_s=median(first) if first else None,
                total_s=median(total) if total else None,
                first_token_p95_s=_p95(first),
                total_p95_s=_p95(total),
            )


def _p95(values: Sequence[float]) -> float | None:
    """By the nearest rank; None: there are none."""
    return sorted(values)[ceil(0.95 * len(values)) - 1] if values else None
