"""Off-policy claims: what routes would have earned, from rows with recorded propensities.

A session is assigned once, by its first call, and its later calls stay: all of them have the
propensity of the first.  Calls whose session began before the rows do are left out, since theirs
is not known.

Whether a call served its purpose is known of those that somebody gave feedback about.  Who says
something may depend on how it went, so beside an estimate from them stands what the others could
make of it.  Without feedback there is no claim about quality, only about cost, time and failures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.history.rows import STAYED
from evaluation.history.turns import Turn
from evaluation.statistics import (
    Interval,
    Log,
    OffPolicy,
    Refused,
    log_of,
    off_policy,
    ratio,
    share,
)
from evaluation.whatif.policies import BEST_SINGLE, ORACLE, PROPOSED, RANDOM_MIX, Policies

KIND = "off-policy estimate"
FEEDBACK, NOTHING = "feedback", "none"  # what a claim about quality rests on
UNSAID = "nobody said of these calls whether they succeeded"
NOT_IDENTIFIED = "what the best choice of each call was is not in the rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Calls with the turn that was assigned for them: the first of their session."""

    numbers: Sequence[int]
    assigned: Sequence[int]
    left_out: int


FAILED, SUCCESS = "failed_share", "success_share"
SHARES = (FAILED, SUCCESS)
Reward = Callable[[Turn], float | None]
REWARDS: Mapping[str, Reward] = {
    "usd_per_call": lambda turn: None if turn.usd is None else float(turn.usd),
    "total_s": lambda turn: turn.total_s if turn.ok else None,
    FAILED: lambda turn: float(not turn.ok),
    SUCCESS: lambda turn: None if turn.judged is None else float(turn.judged),
}


def units(turns: Sequence[Turn], numbers: Sequence[int]) -> Units:
    """The calls whose assignment the rows know."""
    first: dict[tuple[str, str], int] = {}
    kept, assigned, left_out = [], [], 0
    for number in numbers:
        turn = turns[number]
        if not turn.first.route:
            continue
        key = (turn.first.route, turn.group)
        if key not in first and turn.first.sticky not in STAYED:
            first[key] = number
        if key in first:
            kept.append(number)
            assigned.append(first[key])
        else:
            left_out += 1
    return Units(numbers=kept, assigned=assigned, left_out=left_out)


def estimates(policies: Policies, numbers: Sequence[int]) -> dict[str, object]:
    """For JSON: each reward of each policy over these turns, estimated or refused.

    Without any recorded propensity everything is refused, with coverage and bounds.
    """
    turns = policies.turns
    concerned = [n for n in numbers if n in policies.routes]
    found = units(turns, concerned)
    recorded = bool(found.numbers)
    if not recorded:
        found = Units(numbers=concerned, assigned=concerned, left_out=0)
    targets = {
        PROPOSED: policies.probabilities,
        BEST_SINGLE: lambda n: {policies.single(n): 1.0},
        RANDOM_MIX: lambda n: _mixed(policies, n),
    }
    known = {
        name: {reward: _estimate(turns, found, target, reward) for reward in REWARDS}
        for name, target in targets.items()
    }
    return {
        "kind": KIND,
        "calls": len(found.numbers),
        "with_propensity": len(found.numbers) if recorded else 0,
        "left_out": found.left_out,
        "quality": _quality(turns, found),
        "refused": next(iter(known[PROPOSED].values())).get("refused"),
        "observed": {reward: _observed(turns, found, reward) for reward in REWARDS},
        "policies": {**known, ORACLE: {r: {"refused": NOT_IDENTIFIED} for r in REWARDS}},
    }


def _quality(turns: Sequence[Turn], found: Units) -> dict[str, object]:
    """What a claim about quality rests on."""
    judged = sum(turns[n].judged is not None for n in found.numbers)
    return {"rests_on": FEEDBACK if judged else NOTHING, "judged": judged}


def _mixed(policies: Policies, number: int) -> dict[str, float]:
    name = policies.routes[number].options.name
    cheap, dear = policies.singles[name]
    share = policies.shares[name]
    return {cheap: 1.0 - share, dear: share} if cheap != dear else {cheap: 1.0}


def _observed(turns: Sequence[Turn], found: Units, reward: str) -> dict[str, object] | None:
    known = [(REWARDS[reward](turns[n]), turns[n].group) for n in found.numbers]
    values = [(value, group) for value, group in known if value is not None]
    if not values:
        return None
    seen, groups = [value for value, _ in values], [group for _, group in values]
    if reward in SHARES:
        return dict(share(seen, groups).interval.document())
    return dict(ratio(seen, [1.0] * len(seen), groups).document())


@dataclass(frozen=True, slots=True)
class _Row:
    """A call, the turn that was assigned for it, what it earned, and what the routes would do."""

    turn: Turn
    assigned: Turn
    reward: float | None
    odds: Mapping[str, float]


def _estimate(
    turns: Sequence[Turn],
    found: Units,
    target: Callable[[int], Mapping[str, float]],
    reward: str,
) -> dict[str, object]:
    of = REWARDS[reward]
    every = [
        _Row(turns[n], turns[first], of(turns[n]), target(first))
        for n, first in zip(found.numbers, found.assigned, strict=True)
    ]
    rows = [row for row in every if row.reward is not None]
    unknown = len(every) - len(rows)
    if not rows:
        why = UNSAID if reward == SUCCESS else "no call has this outcome"
        return {"refused": why, "unknown": unknown}
    values = [row.reward or 0.0 for row in rows]
    said = document(off_policy(_log(rows, values, reward)))
    said |= {"calls": len(rows), "unknown": unknown}
    if reward == SUCCESS and unknown:
        said["whatever_unsaid"] = _whatever(every)
    return said


def _log(rows: Sequence[_Row], values: Sequence[float], reward: str) -> Log:
    labels = sorted(
        {row.assigned.first.label for row in rows} | {one for row in rows for one in row.odds}
    )
    known = [row.assigned.first.propensity for row in rows]
    recorded = [p for p in known if p is not None and 0 < p <= 1]
    return log_of(
        [labels.index(row.assigned.first.label) for row in rows],
        values,
        recorded if len(recorded) == len(rows) else None,
        [[row.odds.get(label, 0.0) for label in labels] for row in rows],
        strata=[(row.turn.first.gateway_operation, row.turn.first.feature) for row in rows],
        sessions=[row.turn.group for row in rows],
        # A call fails or does not; it costs and takes nothing at least, and as much as any at most.
        reward_range=(0.0, 1.0) if reward in SHARES else (min(0.0, *values), max(*values, 1e-12)),
    )


def _whatever(rows: Sequence[_Row]) -> dict[str, float | None]:
    """The least and the most that success can be if all calls that nobody judged were alike."""
    low, high = (
        off_policy(_log(rows, [unsaid if r.reward is None else r.reward for r in rows], SUCCESS))
        for unsaid in (0.0, 1.0)
    )
    if isinstance(low, Refused) or isinstance(high, Refused):
        return Interval(None, None, None).document()
    bounds = (low.dr.low, high.dr.high)
    least, most = (None if one is None else min(max(one, 0.0), 1.0) for one in bounds)
    return Interval(None, least, most).document()


def document(found: OffPolicy | Refused) -> dict[str, object]:
    """An estimate, or a refusal with coverage and bounds, for JSON."""
    if isinstance(found, Refused):
        bounds = found.bounds
        return {
            "refused": found.why,
            "coverage": found.coverage,
            "bounds": None if bounds is None else bounds.document(),
        }
    return {
        "ips": found.ips.document(),
        "snips": found.snips.document(),
        "dr": found.dr.document(),
        "ess": found.ess,
        "largest_weight": found.largest,
        "coverage": found.coverage,
    }
