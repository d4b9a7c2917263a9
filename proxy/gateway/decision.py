"""The decision: which candidates serve a request, in which order, and how likely each was first.

A function of its arguments alone, for the gateway and for a simulation of it.  `unit` stands for
what is assigned as one: a session, else a user, else this call, for which it must be random.

1. What cannot serve the request is excluded (`filters`).
2. Candidates with open limits that do not fail come first, the others after them, and last of all
   a canary that was rolled back.
3. The route's order, or its split, says how likely each of those is first; `explore` mixes in an
   equal chance for each.
4. A session stays where its prompt is cached, unless the prices say otherwise (`sessions`).
5. The rest follow in the route's order, for failover.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from proxy.gateway import ranking
from proxy.gateway.facts import Facts
from proxy.gateway.filters import Route, excluded
from proxy.gateway.live import Condition, Live
from proxy.gateway.sessions import should_move


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate by its place in the route.  `probability` is that of being the first choice."""

    candidate: int
    probability: float
    reason: str  # why it is where it is; of an excluded one, why it is out


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`order` is tried from its beginning; `sticky` is "", "new", "hit", "moved" or "broken"."""

    order: tuple[Choice, ...]
    excluded: tuple[Choice, ...] = ()
    assigned: int | None = None  # the arm of a split, whether or not it could serve
    sticky: str = ""


def chance(route: str, version: str, purpose: str, unit: str) -> float:
    """A number in [0, 1) that is always the same for the same words."""
    words = "\0".join((route, version, purpose, unit)).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(words, digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2.0**53


def unit_id(route: str, version: str, unit: str) -> str:
    """A name for what a split of this version assigned as one, which does not tell the session."""
    words = "\0".join((route, version, unit)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(words, digest_size=8, person=b"unit").hexdigest()


def unit_of(facts: Facts, random: float) -> str:
    """What is assigned as one: the session, else the user, else this call."""
    if facts.session:
        return f"session:{facts.session}"
    return f"user:{facts.user}" if facts.user else f"call:{random!r}"


def decide(route: Route, facts: Facts, live: Live, now: float, unit: str) -> Decision:
    """The candidates in the order in which to try them."""
    options = route.options
    why = {n: excluded(one, options, facts) for n, one in enumerate(route.candidates)}
    out = tuple(Choice(candidate=n, probability=0.0, reason=r) for n, r in why.items() if r)
    able = [n for n, reason in why.items() if not reason]
    conditions = {n: live.condition(n, now) for n in able}
    kept_in = [n for n in able if not conditions[n].rolled_back] or able
    front = [n for n in kept_in if _is_well(conditions[n], now)] or kept_in
    ranked = ranking.ranked(route, facts, conditions, front, live.leader)
    odds, assigned = _odds(route, ranked, unit)
    explored = _mixed(odds, options.explore)
    first, reason = _drawn(route, odds, unit, assigned)
    sticky = ""
    if facts.session and able:
        first, reason, sticky = _kept(live, conditions, front, (first, reason), now)
        if sticky in ("hit", "moved"):
            explored = {n: float(n == first) for n in front}
    behind = ranking.ranked(route, facts, conditions, [n for n in able if n not in front], None)
    order = [n for n in ranked if n != first] + behind
    order.sort(key=lambda n: conditions[n].rolled_back)
    reasons = {n: _why_behind(conditions[n], now) for n in order}
    listed = ([(first, reason)] if able else []) + [(n, reasons[n]) for n in order]
    return Decision(
        order=tuple(
            Choice(candidate=n, probability=explored.get(n, 0.0), reason=reason)
            for n, reason in listed
        ),
        excluded=out,
        assigned=assigned,
        sticky=sticky,
    )


def _is_well(condition: Condition, now: float) -> bool:
    open_now = condition.closed_until <= now
    return open_now and not (condition.failing or condition.shut or condition.rolled_back)


def _why_behind(condition: Condition, now: float) -> str:
    if condition.rolled_back:
        return "rolled_back"
    if condition.closed_until > now:
        return "limit"
    return "failing" if condition.failing or condition.shut else "failover"


def _odds(route: Route, ranked: Sequence[int], unit: str) -> tuple[Mapping[int, float], int | None]:
    """How likely each of `ranked` is first, and the arm that the split assigns."""
    options = route.options
    base = ranking.odds(route, ranked)
    if not options.split:
        return base, None
    left = chance(options.name, options.version, "split", unit)
    assigned = options.split[-1].candidate
    for arm in options.split:
        if left < arm.share:
            assigned = arm.candidate
            break
        left -= arm.share
    shares = {arm.candidate: arm.share for arm in options.split}
    served = {n: shares.get(n, 0.0) for n in ranked}
    lost = max(0.0, 1.0 - sum(served.values()))  # of arms that cannot serve now
    return {n: share + lost * base[n] for n, share in served.items()}, assigned


def _mixed(odds: Mapping[int, float], explore: float) -> dict[int, float]:
    return {n: (1 - explore) * p + explore / len(odds) for n, p in odds.items()}


def _drawn(
    route: Route, odds: Mapping[int, float], unit: str, assigned: int | None
) -> tuple[int, str]:
    """The first candidate and the reason; (-1, "") if there is none."""
    options = route.options
    if not odds:
        return -1, ""

    def draw(purpose: str) -> float:
        return chance(options.name, options.version, purpose, unit)

    candidates = list(odds)
    if draw("explore") < options.explore:
        return candidates[int(draw("which") * len(candidates))], "explore"
    if assigned is not None and assigned in odds:
        return assigned, "split"
    base = ranking.odds(route, candidates)
    left = draw("order")
    for n in candidates:
        if left < base[n]:
            return n, options.order
        left -= base[n]
    return max(candidates, key=lambda n: base[n]), options.order  # a rounding error is left


def _kept(
    live: Live,
    conditions: Mapping[int, Condition],
    front: Sequence[int],
    wanted: tuple[int, str],
    now: float,
) -> tuple[int, str, str]:
    """(first, reason, sticky) for a session that may be in somebody's cache."""
    kept = live.kept
    first, reason = wanted
    if kept is None or kept.until <= now:
        return first, reason, "new"
    if kept.candidate not in front:
        return first, reason, "broken"
    here = conditions[kept.candidate].rates
    if first != kept.candidate and should_move(kept, here, conditions[first].rates):
        return first, reason, "moved"
    return kept.candidate, "session", "hit"
