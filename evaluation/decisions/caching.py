"""Caches: prefixes of conversations that were read again at full price, and how long to keep them.

In a session each call begins with what the one before it sent, as long as the prompt grows.  Those
tokens could have come from the cache, had their order been stable and the cache still alive.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.decisions.change import (
    CALLS_MIN,
    SESSIONS_MIN,
    Change,
    Collect,
    less,
    percent,
    saving,
)
from evaluation.decisions.prices import Quantities, at_of, quantities, tier_of
from evaluation.decisions.repriced import repriced
from evaluation.decisions.switching import Work
from evaluation.reports.bounds import Bounds
from evaluation.statistics import ratio
from pricing.usage import INPUT_METERS, Meter, Quantity

PREFIX_MIN = 1_024  # tokens; shorter prefixes are cached by none of the large providers
SHRINKS = 0.9  # a prompt below this share of the one before has another beginning
SHORT_S, LONG_S = 300, 3_600  # lifetimes of caches
WRITES = {SHORT_S: (Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE), LONG_S: (Meter.CACHE_WRITE_1H,)}
SAVING_MIN = 0.03  # share of the cost of these calls
UNREAD_MAX = 0.1  # share of input that came from a cache, below which prompts are worth a look


@dataclass(frozen=True, slots=True)
class Turn:
    """A call of a session and what of it the call before already had (tokens)."""

    row: int
    tokens: int
    prefix: int
    gap_s: float  # infinite for the first


def caches(work: Work, name: str, rows: Sequence[int]) -> Iterator[Change]:
    """A stable prefix, a longer lifetime, and prompts whose beginning nobody knows."""
    turns = _turns(work, rows)
    found = {lifetime: _saving(work, name, turns, lifetime) for lifetime in (SHORT_S, LONG_S)}
    short, long = found[SHORT_S], found[LONG_S]
    if short is not None and _worth(short[0]):
        yield _stable(name, turns, *short)
    longer = long is not None and _worth(long[0])
    if longer and long is not None and _value(long) > max(_value(short), 0.0) * 1.1:
        yield _longer(name, turns, *long)
    if not turns:
        yield from _unknown_prefix(work, name, rows)


def _turns(work: Work, rows: Sequence[int]) -> dict[int, list[Turn]]:
    """The calls of each session of two or more, in the order of time."""
    columns = work.calls.columns
    sessions: dict[int, list[int]] = {}
    for row in rows:
        known = columns["input_tokens_total"][row] is not None and columns["outcome"][row] == "ok"
        if columns["in_session"][row] and known:
            sessions.setdefault(int(work.calls.clusters[row]), []).append(row)
    found = {}
    for session, mine in sessions.items():
        mine.sort(key=lambda row: columns["ts_us"][row])
        turns, before = [], 0
        for at, row in enumerate(mine):
            tokens = int(columns["input_tokens_total"][row])
            grows = bool(at) and tokens >= SHRINKS * before and min(before, tokens) >= PREFIX_MIN
            gap = (columns["ts_us"][row] - columns["ts_us"][mine[at - 1]]) / 1e6 if at else np.inf
            turns.append(Turn(row, tokens, min(before, tokens) if grows else 0, gap))
            before = tokens
        if len(turns) > 1:
            found[session] = turns
    return found


def _saving(
    work: Work, name: str, turns: Mapping[int, list[Turn]], lifetime: int
) -> tuple[Bounds, float] | None:
    """The share that these calls would cost less with such a cache, and what they cost (USD)."""
    now, then, clusters = [], [], []
    for session, mine in turns.items():
        before, after = 0.0, 0.0
        for turn in mine:
            costs = _costs(work, name, turn, lifetime)
            if costs is None:
                return None
            before, after = before + costs[0], after + costs[1]
        now.append(before)
        then.append(after)
        clusters.append(session)
    if len(now) < SESSIONS_MIN or not sum(now):
        return None
    return less(ratio(then, now, clusters)), sum(now) / work.share


def _costs(work: Work, name: str, turn: Turn, lifetime: int) -> tuple[float, float] | None:
    """(now, with the cache) in USD, both by tariffs; None where something has no price."""
    columns, at = work.calls.columns, at_of(work.calls, turn.row)
    provider, _, model = name.partition("/")
    usage, tier = quantities(columns["usage"][turn.row]), tier_of(work.calls, turn.row)
    now = work.prices.usd(provider, model, usage, at, tier)
    if now is None:
        return None
    read = turn.prefix if turn.gap_s <= lifetime else 0
    rest = turn.tokens - read
    if turn.tokens < PREFIX_MIN:
        return now, now
    for meter in (*WRITES[lifetime], Meter.INPUT):
        if meter is Meter.INPUT and lifetime != SHORT_S:
            return None  # the provider sells no such lifetime
        other: dict[Meter, Quantity] = {**_made(usage), Meter.CACHE_READ: read, meter: rest}
        then = work.prices.usd(provider, model, other, at, tier)
        if then is not None:
            return now, then
    return None


def _worth(share: Bounds) -> bool:
    return share.value is not None and share.value >= SAVING_MIN


def _value(found: tuple[Bounds, float] | None) -> float:
    return (found[0].value or 0.0) * found[1] if found else 0.0


def _calls(turns: Mapping[int, list[Turn]]) -> int:
    return sum(map(len, turns.values()))


def _stable(name: str, turns: Mapping[int, list[Turn]], share: Bounds, spend: float) -> Change:
    sure = share.low is not None and share.low > 0
    return Change(
        kind="cache",
        title=f"keep the beginning of prompts of {name} the same, so that caches serve it",
        candidate=name,
        conclusion="try" if sure else "not enough evidence",
        **saving(share, spend),
        calls=_calls(turns),
        evidence=(
            f"{_calls(turns):,} calls in {len(turns):,} sessions; {percent(_covered(turns))} of"
            " their input was in the call before, within 5 minutes; all of it from the cache, at"
            " the prices of reading and writing it"
        ),
        evidence_kind="repriced",
        risk=(
            "growing prompts need not share their beginning: put what changes (time, user, search"
            " results) last; writing a cache that is not read again costs more than none"
        ),
        canary="reorder the prompt of one feature; cache_read_tokens must rise within a day",
        collect=None if sure else Collect(what="more sessions of two calls or more", number=None),
    )


def _longer(name: str, turns: Mapping[int, list[Turn]], share: Bounds, spend: float) -> Change:
    sure = share.low is not None and share.low > 0
    late = [t for mine in turns.values() for t in mine if SHORT_S < t.gap_s <= LONG_S]
    return Change(
        kind="cache_ttl",
        title=f"keep caches of {name} for an hour",
        candidate=name,
        conclusion="try" if sure else "not enough evidence",
        **saving(share, spend),
        calls=_calls(turns),
        evidence=(
            f"{len(late):,} of {_calls(turns):,} calls came 5 to 60 minutes after the one before;"
            " with the dearer writes of that lifetime"
        ),
        evidence_kind="repriced",
        risk="writes cost more for every session, also for those that do not come back",
        canary="ask for it in one feature and compare cost_cache_write_usd after a week",
        collect=None if sure else Collect(what="more sessions of two calls or more", number=None),
    )


def _covered(turns: Mapping[int, list[Turn]]) -> float:
    every = [turn for mine in turns.values() for turn in mine]
    tokens = sum(turn.tokens for turn in every)
    return sum(t.prefix for t in every if t.gap_s <= SHORT_S) / tokens if tokens else 0.0


def _unknown_prefix(work: Work, name: str, rows: Sequence[int]) -> Iterator[Change]:
    """Long prompts without sessions and without a cache: rows cannot show what they share."""
    columns = work.calls.columns
    mine = [row for row in rows if (columns["input_tokens_total"][row] or 0) >= PREFIX_MIN]
    read = sum(int(columns["cache_read_tokens"][row]) for row in mine)
    tokens = sum(int(columns["input_tokens_total"][row]) for row in mine)
    if len(mine) < CALLS_MIN or read > UNREAD_MAX * tokens:
        return
    most = _at_most(work, name, mine)
    if most is None or (most[0].high or 0.0) < SAVING_MIN:
        return
    share, spend = most
    yield Change(
        kind="cache",
        title=f"put what prompts of {name} have in common first, so that caches serve it",
        candidate=name,
        conclusion="not enough evidence",
        **saving(share, spend),
        calls=len(mine),
        evidence=(
            f"{len(mine):,} prompts of {PREFIX_MIN:,} tokens or more, {percent(read / tokens)} of"
            " them from a cache; without sessions rows do not show what they have in common, so"
            " this is the most that can be saved"
        ),
        evidence_kind="repriced",
        risk="prompts that have nothing in common save nothing, and cache writes may cost more",
        canary="reorder the prompt of one feature; cache_read_tokens must rise within a day",
        collect=Collect(
            what="calls with a session (x-taximeter-session), or prompts to compare",
            number=max(len(mine), CALLS_MIN),
            command="taximeter content",
        ),
    )


def _at_most(work: Work, name: str, rows: Sequence[int]) -> tuple[Bounds, float] | None:
    """The saving if every token read had come from a cache that cost nothing to write."""
    tokens = work.calls.columns["input_tokens_total"]
    found = repriced(
        work, name, rows, lambda usage, row: {**_made(usage), Meter.CACHE_READ: int(tokens[row])}
    )
    if len(found.now) < CALLS_MIN:
        return None
    return Bounds(None, 0.0, found.saving().high), found.usd / work.share


def _made(usage: Quantities) -> dict[Meter, Quantity]:
    """What of a usage was not read."""
    return {meter: number for meter, number in usage.items() if meter not in INPUT_METERS}
