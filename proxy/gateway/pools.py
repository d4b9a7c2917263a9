"""Pools of rate limits: whether calls may be sent, and when the next may.

A pool is what one limit is counted for: a provider, one of its keys and a class of models.  Its
states: open → (429) → closed until its reset → half open, where one probe at a time may be sent →
open again, or closed again.  Instants are seconds of one clock that never goes back.
"""

from dataclasses import dataclass, replace

PROBE_S = 60.0  # a probe that did not return by then is taken for lost
LOOK_S = 0.25  # between two looks at what a probe brought
CLOSED_FIRST_S = 1.0  # without any word of the provider; doubled for each closing in a row
CLOSED_MAX_S = 60.0  # likewise
RESET_MAX_S = 86_400.0  # a provider's word beyond this is a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A state.  Each function below returns the next one."""

    closed_until: float = 0.0  # 0: open
    probing_until: float = 0.0
    closings: int = 0  # in a row
    credit: float = 0.0  # retries that it may have now
    credit_at: float = 0.0


def opens_at(pool: Pool, now: float) -> float:
    """When a call may be sent; at most `now` if it may be sent now."""
    if not pool.closed_until:
        return now
    if now < pool.closed_until:
        return pool.closed_until
    return max(now, min(pool.probing_until, now + LOOK_S))


def sent(pool: Pool, now: float) -> Pool:
    """A call is sent; if the pool is half open, it is the probe."""
    if not pool.closed_until:
        return pool
    return replace(pool, probing_until=now + PROBE_S)


def limited(pool: Pool, now: float, reset_s: float | None, draw: float) -> Pool:
    """A 429 came, with the seconds until its limit is reset, if it says so.

    A shorter closing never shortens a longer one.
    """
    if reset_s is None:
        most = min(CLOSED_FIRST_S * 2 ** min(pool.closings, 16), CLOSED_MAX_S)
        reset_s = max(CLOSED_FIRST_S, draw * most)
    until = now + min(max(reset_s, 0.001), RESET_MAX_S)
    return replace(
        pool,
        closed_until=max(pool.closed_until, until),
        probing_until=0.0,
        closings=pool.closings + 1,
    )


def answered(pool: Pool, now: float) -> Pool:
    """Anything but a 429 came: a call of before the closing proves nothing."""
    if not pool.closed_until or now < pool.closed_until:
        return pool
    return replace(pool, closed_until=0.0, probing_until=0.0, closings=0)


def dropped(pool: Pool) -> Pool:
    """Nothing came; if that was the probe, another may be sent."""
    return replace(pool, probing_until=0.0)


def called(pool: Pool, now: float, *, share: float, least: int, retry: bool) -> tuple[Pool, bool]:
    """Take from the budget of retries, and whether there was one left.

    It grows by `share` of a retry with each call, and by `least` a minute; what is not used is
    kept for a minute.
    """
    grown = pool.credit + (now - pool.credit_at) * least / 60 if pool.credit_at else float(least)
    room = max(float(least), 1.0) + share * 60
    credit = min(grown + (0.0 if retry else share), room)
    if retry and credit < 1:
        return replace(pool, credit=credit, credit_at=now), False
    return replace(pool, credit=credit - retry, credit_at=now), True
