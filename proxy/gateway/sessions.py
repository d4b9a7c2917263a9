"""Whether a session should leave the provider that has its prompt in its cache."""

from decimal import Decimal

from msgspec.structs import replace

from proxy.gateway.live import Kept, Rates

CACHE_S = 300.0  # how long providers keep a prompt that is not used again: 5 to 10 minutes


def after_turn(before: Kept | None, candidate: int, tokens: int, now: float) -> Kept:
    """A candidate has read a prompt of so many tokens.  What follows is taken to be as long as what
    was."""
    made = Kept(candidate=candidate, until=now + CACHE_S, cached_tokens=tokens)
    if before is None or before.candidate != candidate:
        return made
    new = max(0, tokens - before.cached_tokens)
    return replace(made, turns=before.turns + 1, new_tokens=new)


def stay_usd(kept: Kept, here: Rates) -> Decimal:
    """What the turns to come cost where the cache is: each reads it and writes what is new."""
    return sum(
        (
            _turn(here, kept.cached_tokens + turn * kept.new_tokens, kept)
            for turn in range(kept.turns)
        ),
        Decimal(0),
    )


def move_usd(kept: Kept, there: Rates) -> Decimal:
    """What they cost elsewhere: the first writes everything, the others read it."""
    first = there.write * (kept.cached_tokens + kept.new_tokens)
    later = sum(
        (
            _turn(there, kept.cached_tokens + turn * kept.new_tokens, kept)
            for turn in range(1, kept.turns)
        ),
        Decimal(0),
    )
    return first + there.output * kept.output_tokens + later


def should_move(kept: Kept, here: Rates | None, there: Rates | None) -> bool:
    """Whether the prices say so; a price that is not known says nothing."""
    if here is None or there is None:
        return False
    return move_usd(kept, there) < stay_usd(kept, here)


def _turn(rates: Rates, cached: int, kept: Kept) -> Decimal:
    new = rates.write * kept.new_tokens + rates.output * kept.output_tokens
    return rates.read * cached + new
