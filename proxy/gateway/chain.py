"""One call's attempts: what to send next, or what to answer when nothing is left.

A pure function of what was tried.  There is one loop, one deadline and one budget of retries: the
SDKs of callers are told not to repeat what was repeated here (`should_retry`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from proxy.gateway.failures import Again, What

ATTEMPTS_MAX = 6  # of one call, whatever its route lists
PAUSE_FIRST_S = 0.5  # before the same candidate is tried again; doubled each time
PAUSE_MAX_S = 8.0


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate with one of its keys; `pool` names the limits that hold for both."""

    candidate: int
    key: str
    pool: str


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt and how it ended."""

    target: Target
    what: What


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a call's route allows; `room` are the candidates known to have it for the prompt."""

    until: float  # the deadline of the call
    retry_ambiguous: bool = False
    room: Collection[int] = ()


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Send to `target`, after a pause if `wait_s` is above 0."""

    target: Target
    wait_s: float = 0.0


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Answer.  `retry_after_s`: with a 429 of ours that says so; None: with the last answer there
    was, and a word that repeating it is no use."""

    retry_after_s: float | None = None


Opens = Callable[[str], float]  # when a pool opens; in the past if it is open


def next_step(
    plan: Sequence[Target],
    tried: Sequence[Tried],
    terms: Terms,
    opens: Opens,
    *,
    now: float,
    draw: float,
) -> Send | Stop:
    """What follows.  `plan` is in the order of the decision; `draw` is uniform in [0, 1)."""
    left = [target for target in plan if target not in {one.target for one in tried}]
    if tried:
        left = _after(tried, left, terms)
    open_now = next((target for target in left if opens(target.pool) <= now), None)
    if len(tried) >= ATTEMPTS_MAX or now >= terms.until:
        return _stop(plan, tried, opens, now)
    if open_now is not None:
        return Send(target=open_now)
    if tried and (again := _same(tried, opens, now, draw)) and now + again.wait_s < terms.until:
        return again
    waiting = [*left, *(one.target for one in tried if one.what is What.LIMITED)]
    if waiting and (not tried or tried[-1].what.again in _OPEN_ENDED):
        first = min(waiting, key=lambda target: opens(target.pool))
        wait_s = max(0.0, opens(first.pool) - now)
        if now + wait_s < terms.until:
            return Send(target=first, wait_s=wait_s)
    return _stop(plan, tried, opens, now)


def closes(what: What, attempts: int, *, retry_ambiguous: bool) -> bool:
    """Whether a call ends with an attempt that ended so, whatever else its route lists."""
    if attempts >= ATTEMPTS_MAX or what.again is Again.NEVER:
        return True
    return what.again is Again.AMBIGUOUS and not retry_ambiguous


# After these another attempt of the same call is welcome at any time.
_OPEN_ENDED = frozenset((Again.POOL, Again.CANDIDATE, Again.ONCE, Again.KEY))


def _after(tried: Sequence[Tried], left: list[Target], terms: Terms) -> list[Target]:
    """Which of the targets that were not tried may be, after the last one's end."""
    last = tried[-1]
    useless = {one.target.key for one in tried if one.what.again is Again.KEY}
    left = [target for target in left if target.key not in useless]
    seen = {one.target.candidate for one in tried}
    others = [target for target in left if target.candidate not in seen]
    failed = sum(one.what is What.FAILED for one in tried)
    allowed: Mapping[Again, list[Target]] = {
        Again.NEVER: [],
        Again.CANDIDATE: others,
        Again.ONCE: others if failed < 2 else [],
        Again.POOL: [target for target in left if target.pool != last.target.pool],
        Again.KEY: left,
        Again.ROOM: [target for target in others if target.candidate in terms.room],
        Again.AMBIGUOUS: others if terms.retry_ambiguous else [],
    }
    return allowed[last.what.again]


def _same(tried: Sequence[Tried], opens: Opens, now: float, draw: float) -> Send | None:
    """The same candidate again after a pause, for want of another: full jitter."""
    last = tried[-1]
    if last.what.again not in (Again.CANDIDATE, Again.ONCE):
        return None
    if sum(one.what is What.FAILED for one in tried) > 1:
        return None
    pause_s = draw * min(PAUSE_FIRST_S * 2 ** (len(tried) - 1), PAUSE_MAX_S)
    return Send(target=last.target, wait_s=max(pause_s, opens(last.target.pool) - now))


def _stop(plan: Sequence[Target], tried: Sequence[Tried], opens: Opens, now: float) -> Stop:
    """A limit that ends is an answer of its own, if only limits and outages stood in the way."""
    limited = not tried or any(one.what is What.LIMITED for one in tried)
    if not limited or (tried and tried[-1].what.again not in _OPEN_ENDED):
        return Stop()
    soonest = min((opens(target.pool) for target in plan), default=now)
    return Stop(retry_after_s=max(0.0, soonest - now))
