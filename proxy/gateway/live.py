"""What is known of a route's candidates while a call is decided: values, made by whoever measures.

Instants are seconds of one clock, which the decision is given too.
"""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

STALE_S = 30.0  # older than this the conditions say nothing, and the listed order decides
CALLS_MIN = 30  # fewer within the window prove nothing: then the others' median is assumed
FAILING_SHARE = 0.5  # of the calls, callers' own mistakes not counted


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """USD a token that a session costs.  `write` is the price of input where nothing else is."""

    read: Decimal
    write: Decimal
    output: Decimal


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate, for requests of this size, over the last five minutes."""

    calls: int = 0
    error_share: float = 0.0
    failed_at: float = 0.0  # the last time, in seconds since the epoch
    first_token_s: float | None = None  # medians
    total_s: float | None = None
    closed_until: float = 0.0  # all of its pools are closed until then
    shut: bool = False  # it failed too often, and nobody may try now whether it still does
    rolled_back: bool = False  # as the canary that it was
    usd: Decimal | None = None  # of this request; None: no price is known
    rates: Rates | None = None

    @property
    def failing(self) -> bool:
        """Whether enough calls prove that it fails."""
        return self.calls >= CALLS_MIN and self.error_share >= FAILING_SHARE


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Where the prompt of a session is cached, and what is to come of the session."""

    candidate: int
    until: float  # when the provider's cache forgets it
    cached_tokens: int = 0
    turns: int = 1  # to come, this one included
    new_tokens: int = 0  # a turn
    output_tokens: int = 0


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions of all candidates in the route's order; () if there are none yet."""

    at: float = 0.0  # when they were measured
    conditions: tuple[Condition, ...] = ()
    leader: int | None = None  # the best one so far, which another must clearly beat
    kept: Kept | None = None  # of this request's session

    def condition(self, candidate: int, now: float) -> Condition:
        """What is known of a candidate.  What was not measured does not age."""
        if candidate >= len(self.conditions):
            return Condition()
        found = self.conditions[candidate]
        if now - self.at <= STALE_S:
            return found
        return replace(found, calls=0, error_share=0.0, first_token_s=None, total_s=None)
