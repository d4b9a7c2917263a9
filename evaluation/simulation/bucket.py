"""Token buckets, as providers limit calls and tokens: refilled continuously, up to a burst."""

from dataclasses import dataclass
from math import inf
from typing import Literal

from evaluation.simulation.arrivals import Call

# tokens: input and output; uncached: input that is not read from a cache
Counted = Literal["calls", "input", "uncached", "output", "tokens"]
SLACK = 1e-9  # of a full bucket: rounding of a refill must not make a call wait again


@dataclass(frozen=True, slots=True)
class Limit:
    """So many per minute, of which `burst` may come at once; by default a minute's worth.

    Anthropic limits calls, uncached input and output apart; OpenAI calls and tokens.
    """

    counts: Counted
    per_minute: float
    burst: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.per_minute < inf or not (self.burst is None or 0 < self.burst < inf):
            raise ValueError(f"a limit is above 0: {self}")

    @property
    def most(self) -> float:
        """What a full bucket holds."""
        return self.per_minute if self.burst is None else self.burst

    def of(self, call: Call, *, cached: bool = False) -> float:
        """What a call takes; `cached` if its session is warm."""
        if self.counts == "calls":
            return 1.0
        if self.counts == "tokens":
            return call.input_tokens + call.output_tokens
        if self.counts == "uncached":
            return call.input_tokens - (call.cached_tokens if cached else 0)
        return call.input_tokens if self.counts == "input" else call.output_tokens


class Bucket:
    """The level of one limit, full at the beginning."""

    __slots__ = ("_at_s", "_level", "limit")

    def __init__(self, limit: Limit) -> None:
        """A full bucket at time 0."""
        self.limit = limit
        self._level, self._at_s = limit.most, 0.0

    def ready_at(self, amount: float, now_s: float) -> float:
        """When it will hold `amount`: now, later, or never (infinite) if that is more than fits."""
        if amount > self.limit.most:
            return inf
        self._refill(now_s)
        lacking = amount - self._level
        return (
            now_s
            if lacking <= SLACK * self.limit.most
            else now_s + lacking * 60 / self.limit.per_minute
        )

    def take(self, amount: float, now_s: float) -> None:
        """Take what `ready_at` promised."""
        self._refill(now_s)
        self._level = max(self._level - amount, 0.0)

    def _refill(self, now_s: float) -> None:
        gained = (now_s - self._at_s) * self.limit.per_minute / 60
        self._level = min(self._level + gained, self.limit.most)
        self._at_s = now_s
