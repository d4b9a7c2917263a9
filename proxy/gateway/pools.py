"""Pools of rate limits: whether calls may be sent, and when the next may.

A pool is what one limit is counted for: a provider, one of its keys and a class of models.  Its
states: open → (429) → closed until its reset → half open, where one probe at a time may be sent →
open again, or closed again.  Instants are seconds of one clock that never goes back.
"""

import msgspec
from msgspec.structs import replace

from proxy.gateway.limits import RESET_MAX_S, Room

PROBE_S = 60.0  # a probe that did not return by then is taken for lost
LOOK_S = 0.25  # between two looks at what a probe brought
CLOSED_FIRST_S = 1.0  # without any word of the provider; doubled for each closing in a row
CLOSED_MAX_S = 60.0  # likewise


class Pool(msgspec.Struct, frozen=True):
    """A state.  Each function below returns the next one; relays share the fields in this order."""

    closed_until: float = 0.0  # 0: open
    probing_until: float = 0.0
    closings: int = 0  # in a row
    credit: float = 0.0  # retries that it may have now
    credit_at: float = 0.0
    room: float = 0.0  # for requests, as of `room_at`; it grows by one each `refill_s`
    refill_s: float = 0.0
    room_at: float = 0.0  # 0: the provider has not told
    opened_at: float = 0.0  # when a probe opened it last


def opens_at(pool: Pool, now: float) -> float:
    """When a call may be sent; at most `now` if it may be sent now."""
    if not pool.closed_until:
        missing = 1 - _room(pool, now) if pool.room_at else 0.0
        return now + max(0.0, missing) * pool.refill_s
    if now < pool.closed_until:
        return pool.closed_until
    return max(now, min(pool.probing_until, now + LOOK_S))


def _room(pool: Pool, now: float) -> float:
    grown = (now - pool.room_at) / pool.refill_s if pool.refill_s else 1.0
    return pool.room + max(0.0, grown)


def sent(pool: Pool, now: float) -> Pool:
    """A call is sent; if the pool is half open, it is the probe."""
    if pool.room_at:
        pool = replace(pool, room=max(0.0, _room(pool, now) - 1), room_at=now)
    if not pool.closed_until:
        return pool
    return replace(pool, probing_until=now + PROBE_S)


def told(pool: Pool, now: float, room: Room | None) -> Pool:
    """An answer's headers say how many more requests there is room for, if anything."""
    if room is None:
        return pool
    return replace(pool, room=float(room.requests), refill_s=room.refill_s, room_at=now)


def merged(one: Pool, other: Pool) -> Pool:
    """Two states of one pool, each with something that the other has not seen: the stricter."""
    return replace(
        one,
        closed_until=max(one.closed_until, other.closed_until),
        closings=max(one.closings, other.closings),
        credit=min(one.credit, other.credit),
    )


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


def shut(pool: Pool, now: float) -> Pool:
    """What it stands for fails too often; the pause is doubled for each closing in a row."""
    pause_s = min(CLOSED_FIRST_S * 2 ** min(pool.closings, 16), CLOSED_MAX_S)
    return replace(pool, closed_until=now + pause_s, probing_until=0.0, closings=pool.closings + 1)


def failed(pool: Pool, now: float) -> Pool:
    """A call failed: while it is half open, that shuts it again."""
    return shut(pool, now) if pool.closed_until and pool.closed_until <= now else pool


def answered(pool: Pool, now: float) -> Pool:
    """Anything but a 429 came: a call of before the closing proves nothing."""
    if not pool.closed_until or now < pool.closed_until:
        return pool
    return replace(pool, closed_until=0.0, probing_until=0.0, closings=0, opened_at=now)


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
