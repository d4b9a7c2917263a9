"""A study in sentences and cells, for a terminal and for a page."""

from collections.abc import Mapping
from typing import Any

from evaluation.reports import words
from pricing.money import UNKNOWN

Found = Mapping[str, Any]
SAY = {
    "usd_per_call": words.usd,
    "total_s": words.seconds,
    "failed_share": words.percent,
    "success_share": words.percent,
}
TITLES = {
    "usd_per_call": "cost",
    "total_s": "time",
    "failed_share": "failures",
    "success_share": "success",
}


def history(found: Found) -> list[str]:
    """What was looked at."""
    lines = [
        f"{found['on_routes']:,} of {found['calls']:,} calls concern these routes;"
        f" {found['since'][:16]}Z to {found['until'][:16]}Z.",
        f"Learned from {found['learned_from']:,} calls before {found['split_at'][:19]}Z,"
        f" reported on {found['held_out']:,} after it; no session is on both sides.",
    ]
    lines += [f"Left out: {calls:,} × {why}" for why, calls in found["left_out"].items()]
    return lines


def gate(found: Found) -> list[str]:
    """Whether the rest may be believed."""
    cost, slow = found["cost_usd"], found["p95_total_s"]
    said = "passed" if found["passed"] else "FAILED"
    lines = [
        f"Gate {said}: the policy in force, simulated over {found['calls']:,} recorded calls:",
        f"  cost {words.usd(cost['simulated']['value'])} for {words.usd(cost['recorded'])}"
        f" ({_off(cost)}); p95 {words.seconds(slow['simulated']['value'])} for"
        f" {words.seconds(slow['recorded'])} ({_off(slow)})",
    ]
    if found["decisions"]["checked"]:
        one = found["decisions"]
        lines.append(f"  {one['agree']:,} of {one['checked']:,} decisions as recorded")
    if not found["passed"]:
        reasons = "; ".join(found["reasons"])
        lines.append(f"Do not rely on what follows: {reasons}.")
    return lines


def _off(found: Found) -> str:
    off = found["off"]
    return UNKNOWN if off is None else f"{off:.1%} off, {found['limit']:.0%} allowed"


def queue(found: Found, replications: int) -> str:
    """What was simulated."""
    scale = "" if found["scale"] == 1 else f" at {found['scale']:g} ×"
    return (
        f"Queue simulation, arrivals {found['arrivals']}{scale}; means of {replications} runs over"
        " the same calls:"
    )


def queue_cells(name: str, found: Found) -> dict[str, str]:
    """One policy."""
    change = found["difference"].get("usd_per_call")
    return {
        "policy": name,
        "usd": _value(found["usd"], words.usd),
        "change": "" if not found["difference"] else change_of(change, found["usd_per_call"]),
        "p95": _value(found["p95_total_s"], words.seconds),
        "ttft": _value(found["p95_ttft_s"], words.seconds),
        "failed": _value(found["failed_share"], words.percent),
        "limited": _value(found["limited_share"], words.percent),
    }


def change_of(change: Found | None, usd: Found | None) -> str:
    """The difference in cost with its interval, as a share of what the policy in force costs."""
    if change is None or usd is None or change["value"] is None:
        return UNKNOWN
    base = usd["value"] - change["value"]
    if not base:
        return UNKNOWN
    low, high = (None if change[k] is None else change[k] / base for k in ("low", "high"))
    spread = UNKNOWN if low is None or high is None else f"{low:+.1%} to {high:+.1%}"
    return f"{change['value'] / base:+.1%} ({spread})"


def _value(found: Found | None, say: Any) -> str:
    return UNKNOWN if found is None else str(say(found["value"]))


def spread(found: Found, say: Any) -> str:
    low, high = (UNKNOWN if found[key] is None else say(found[key]) for key in ("low", "high"))
    return f"{say(found['value'])} ({low} – {high})"


def off_policy(found: Found) -> str:
    """What was estimated from."""
    if not found["with_propensity"]:
        return f"Off-policy estimate: none of {found['calls']:,} calls has a recorded propensity."
    text = f"Off-policy estimate from {found['calls']:,} calls with recorded propensities"
    if found["left_out"]:
        text += f"; {found['left_out']:,} left out, as their sessions began before the history"
    judged = found["quality"]["judged"]
    if not judged:
        return f"{text}; nobody gave feedback about them, so cost, time and failures only:"
    return f"{text}; success rests on feedback about {judged:,} of them:"


def unsaid(found: Found) -> list[str]:
    """How far success can be from its estimate, because of calls that nobody judged."""
    lines = []
    for name, rewards in found["policies"].items():
        bounds = rewards["success_share"].get("whatever_unsaid")
        if bounds and bounds["low"] is not None:
            low, high = words.percent(bounds["low"]), words.percent(bounds["high"])
            lines.append(f"{name}: success {low} to {high}, whatever calls without feedback were")
    return lines


def refusals(found: Found) -> list[str]:
    """What is not estimated, and what can be said all the same."""
    lines = []
    for name, rewards in found["policies"].items():
        refused = {reward: one for reward, one in rewards.items() if "dr" not in one}
        asked = len(rewards)
        if not found["quality"]["judged"]:  # as was said before
            asked -= refused.pop("success_share", None) is not None
        reasons = {one["refused"] for one in refused.values()}
        if len(refused) == asked and len(reasons) == 1:  # once is enough
            bounds = filter(None, (_bounds(reward, one) for reward, one in refused.items()))
            known = ", ".join(bounds)
            said = f"; bounds: {known}" if known else ""
            lines.append(f"{name}: refused, {reasons.pop()}{_coverage(refused)}{said}")
            continue
        for reward, one in refused.items():
            said = _bounds(reward, one)
            text = f"{name}, {TITLES[reward]}: refused, {one['refused']}"
            lines.append(f"{text}{_coverage({reward: one})}{f'; bounds: {said}' if said else ''}")
    return lines


def _coverage(refused: Mapping[str, Found]) -> str:
    known = [one["coverage"] for one in refused.values() if one.get("coverage") is not None]
    return f"; coverage {min(known):.1%}" if known else ""


def _bounds(reward: str, one: Found) -> str:
    bounds, say = one.get("bounds"), SAY[reward]
    if bounds is None:
        return ""
    return f"{TITLES[reward]} {say(bounds['low'])} to {say(bounds['high'])}"


def replayed(found: Found) -> str:
    """How the cases count."""
    said = "weighted by the mix of production" if found["weights"] else "each counts the same"
    return f"{found['cases']:,} cases held out, {said}."


def replay_cells(name: str, found: Found) -> dict[str, str]:
    """One policy on a suite."""
    accuracy = found["accuracy"]
    return {
        "policy": name,
        "accuracy": words.percent(accuracy["value"]),
        "interval": f"{words.percent(accuracy['low'])} – {words.percent(accuracy['high'])}",
        "usd": _value(found["usd_per_call"], words.usd),
        "success": _value(found["cost_per_success_usd"], words.usd),
    }
