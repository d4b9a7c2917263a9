"""Whether a session should leave the provider that has its prompt in its cache."""

from decimal import Decimal

from proxy.gateway.live import Kept, Rates


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
