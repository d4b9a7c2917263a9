"""A study in a terminal: the gate, then each kind of claim with its label."""

from collections.abc import Sequence

from evaluation.whatif import sentences
from evaluation.whatif.sentences import SAY, TITLES, Found
from proxy.commands import terminal
from proxy.commands.terminal import Column

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


def show(found: Found) -> None:
    """Print it."""
    for line in (*sentences.history(found["history"]), "", *sentences.gate(found["gate"]), ""):
        terminal.wrapped(line)
    terminal.wrapped(sentences.queue(found["queue"], found["replications"]))
    policies = found["queue"]["policies"]
    terminal.show(QUEUE, [sentences.queue_cells(name, one) for name, one in policies.items()])
    for name, each in policies.items():
        for why in each["unknown"].values():
            terminal.wrapped(f"  {name}: {why}")
    terminal.say("")
    _off_policy(found["off_policy"])
    terminal.say("")
    _replay(found["replay"])
    for note in found["notes"]:
        terminal.wrapped(f"Note: {note}.")


def _off_policy(found: Found) -> None:
    terminal.wrapped(sentences.off_policy(found))
    rows = [
        {
            "policy": name,
            "what": TITLES[reward],
            "dr": sentences.spread(one["dr"], SAY[reward]),
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
    for line in (*sentences.unsaid(found), *sentences.refusals(found)):
        terminal.wrapped(f"  {line}")


def _replay(found: Found) -> None:
    if found["refused"]:
        terminal.wrapped(f"Replay with full feedback: refused, {found['refused']}.")
        return
    for route, one in found["routes"].items():
        terminal.say(f"Replay with full feedback, route {route} on run {found['run']}:")
        if one["refused"]:
            terminal.wrapped(f"  refused, {one['refused']}")
            continue
        cells = [sentences.replay_cells(name, each) for name, each in one["policies"].items()]
        terminal.show(REPLAY, cells)
        terminal.wrapped(f"  {sentences.replayed(one)}")
