"""A study in a terminal: the gate, then each kind of claim with its label."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.reports import words
from pricing.money import UNKNOWN
from proxy.commands import terminal
from proxy.commands.terminal import Column

Found = Mapping[str, Any]
QUEUE: Sequence[Column] = (
    Column("policy", "policy"),
    Column("usd", "cost", number=True),
    Column("change", "against in force", number=True),
    Column("p95", "p95", number=True),
    Column("ttft", "p95 TTFT", number=True, shed=2),
    Column("failed", "failed", number=True),
    Column("limited", "met 429", number=True, shed=1),
)
OFF_POLICY: Sequence[Column] = (
    Column("policy", "policy"),
    Column("what", "of each call"),
    Column("dr", "DR (95 %)", number=True),
    Column("snips", "SNIPS", number=True, shed=1),
    Column("ips", "IPS", number=True, shed=2),
    Column("ess", "ESS", number=True),
)
REPLAY: Sequence[Column] = (
    Column("policy", "policy"),
    Column("accuracy", "accuracy", number=True),
    Column("interval", "95 %", number=True),
    Column("usd", "per call", number=True),
    Column("success", "per success", number=True),
)
SAY = {"usd_per_call": words.usd, "total_s": words.seconds, "failed_share": words.percent}
TITLES = {"usd_per_call": "cost", "total_s": "time", "failed_share": "failures"}


def show(found: Found) -> None:
    """Print it."""
    for line in (*history(found["history"]), "", *gate(found["gate"]), ""):
        terminal.wrapped(line)
    _queue(found["queue"], found["replications"])
    terminal.say("")
    _off_policy(found["off_policy"])
    terminal.say("")
    _replay(found["replay"])
    for note in found["notes"]:
        terminal.wrapped(f"Note: {note}.")


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


def _queue(found: Found, replications: int) -> None:
    scale = "" if found["scale"] == 1 else f" at {found['scale']:g} ×"
    terminal.say(
        f"Queue simulation, arrivals {found['arrivals']}{scale}, {replications} runs each:"
    )
    terminal.show(QUEUE, [queue_cells(name, each) for name, each in found["policies"].items()])
    for name, each in found["policies"].items():
        for why in each["unknown"].values():
            terminal.wrapped(f"  {name}: {why}")


def queue_cells(name: str, found: Found) -> dict[str, str]:
    """One policy."""
    change = found["difference"].get("usd")
    return {
        "policy": name,
        "usd": _value(found["usd"], words.usd),
        "change": "" if not found["difference"] else change_of(change, found["usd"]),
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


def _spread(found: Found, say: Any) -> str:
    low, high = (UNKNOWN if found[key] is None else say(found[key]) for key in ("low", "high"))
    return f"{say(found['value'])} ({low} – {high})"


def _off_policy(found: Found) -> None:
    terminal.say(f"Off-policy estimate from {found['calls']:,} rows with their propensities:")
    rows = [
        {
            "policy": name,
            "what": TITLES[reward],
            "dr": _spread(one["dr"], SAY[reward]),
            "snips": SAY[reward](one["snips"]["value"]),
            "ips": SAY[reward](one["ips"]["value"]),
            "ess": f"{one['ess']:,.0f}",
        }
        for name, rewards in found["policies"].items()
        for reward, one in rewards.items()
        if "dr" in one
    ]
    if rows:
        terminal.show(OFF_POLICY, rows)
    for line in refusals(found):
        terminal.wrapped(f"  {line}")


def refusals(found: Found) -> list[str]:
    """What is not estimated, and what can be said all the same."""
    lines = []
    for name, rewards in found["policies"].items():
        for reward, one in rewards.items():
            if "dr" in one:
                continue
            text = f"{name}, {TITLES[reward]}: refused, {one['refused']}"
            if one.get("coverage") is not None:
                text += f"; coverage {one['coverage']:.1%}"
            if one.get("bounds") is not None:
                bounds, say = one["bounds"], SAY[reward]
                text += f", bounds {say(bounds['low'])} to {say(bounds['high'])}"
            lines.append(text)
    return lines


def _replay(found: Found) -> None:
    if found["refused"]:
        terminal.wrapped(f"Replay with full feedback: refused, {found['refused']}.")
        return
    for route, one in found["routes"].items():
        terminal.say(f"Replay with full feedback, route {route} on run {found['run']}:")
        if one["refused"]:
            terminal.wrapped(f"  refused, {one['refused']}")
            continue
        terminal.show(REPLAY, [replay_cells(name, each) for name, each in one["policies"].items()])
        mix = one["weights"]
        said = "weighted by the mix of production" if mix else "each case counts the same"
        terminal.say(f"  {one['cases']:,} cases held out, {said}")


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
