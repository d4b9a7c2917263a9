"""Whether the simulator reproduces the policy in force; nothing it says before that is worth much.

Three things are held against the record: what the calls cost, how long the slow ones took, and, for
calls through the gateway, whether its decision function gives the probabilities that it recorded.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.history.turns import Turn
from evaluation.statistics import Interval
from evaluation.whatif.policies import Policies
from proxy.gateway.filters import Route

COST_OFF_MAX = 0.02
P95_OFF_MAX = 0.15
AGREE_MIN = 0.95  # share of decisions with the recorded probability
SAME = 1e-6  # between two probabilities


def gate(
    turns: Sequence[Turn],
    numbers: Sequence[int],
    simulated: Mapping[str, Interval],
    decisions: Mapping[str, object],
) -> dict[str, object]:
    """For JSON.  `numbers` are the turns that were simulated as they were recorded."""
    known = [turns[n] for n in numbers]
    usd = sum((float(turn.usd) for turn in known if turn.usd is not None), 0.0)
    unknown = Counter(turn.last.outcome for turn in known if turn.usd is None)
    totals = [turn.total_s for turn in known if turn.ok and turn.last.outcome == "ok"]
    p95 = float(np.quantile(totals, 0.95)) if totals else None
    cost = _off(usd if known else None, simulated["usd"], COST_OFF_MAX)
    slow = _off(p95, simulated["p95_total_s"], P95_OFF_MAX)
    reasons = [
        f"{what} is {off:.1%} off, more than {most:.0%}"
        for what, off, most in (
            ("the cost", cost["off"], COST_OFF_MAX),
            ("p95 of the time", slow["off"], P95_OFF_MAX),
        )
        if isinstance(off, float) and off > most
    ]
    if not totals:
        reasons.append("there is nothing to compare with")
    if unknown:
        reasons.append(_unknown(unknown))
    if decisions.get("passed") is False:
        reasons.append("the gateway decides otherwise now than when the calls were made")
    return {
        "passed": not reasons,
        "reasons": reasons,
        "calls": len(known),
        "cost_usd": cost,
        "p95_total_s": slow,
        "decisions": decisions,
    }


def _unknown(outcomes: Counter[str]) -> str:
    """How many calls have no cost, and what to do about those that had no whole answer."""
    said = f"the cost of {outcomes.total():,} calls is unknown"
    odd = [name for name in outcomes if name != "ok"]
    if not odd:
        return said
    return f"{said}; leave out those without an answer: --not outcome={','.join(sorted(odd))}"


def _off(recorded: float | None, simulated: Interval, most: float) -> dict[str, object]:
    value = simulated.value
    off = None
    if recorded is not None and value is not None:
        off = abs(value - recorded) / recorded if recorded else float(value != 0)
    return {
        "recorded": recorded,
        "simulated": simulated.document(),
        "off": off,
        "limit": most,
    }


def decisions(
    policies: Policies, in_force: Mapping[str, Route], numbers: Sequence[int]
) -> dict[str, object]:
    """Whether the configured routes give new sessions the probabilities that were recorded.

    `in_force` are the routes of the configuration by name; other versions are not compared.
    """
    checked = agree = 0
    for number in numbers:
        first = policies.turns[number].first
        route = in_force.get(first.route)
        if route is None or route.options.version != first.route_version:
            continue
        if first.propensity is None or first.sticky in ("hit", "moved", "broken"):
            continue
        checked += 1
        odds = policies.probabilities(number, route)
        agree += abs(odds.get(first.label, 0.0) - first.propensity) <= SAME
    return {
        "checked": checked,
        "agree": agree,
        "passed": None if not checked else agree >= AGREE_MIN * checked,
    }
