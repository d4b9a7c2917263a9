"""`taximeter notify test TARGET`: sends a test message and shows what the target answered."""

import argparse
import asyncio
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from msgspec.structs import replace as changed

from exporters.notify.budget_notices import threshold_notice
from exporters.notify.notice import Notice
from exporters.notify.other_targets import LogTarget
from exporters.notify.target import Answer
from pricing.budget import ANY, Budget
from pricing.budget_state import HUNDRED, Crossing, Spend
from proxy.commands import terminal
from proxy.commands.arguments import add_common, common_again, configuration
from proxy.commands.terminal import Exit
from proxy.notices.targets import targets
from proxy.settings.config import Config
from proxy.settings.notify_checks import LOG
from proxy.settings.typed import nearest

# A workflow of Teams answers before it runs, and a mail server before it delivers.
UNPROVEN = frozenset({"teams", "smtp"})
RESULTS = {
    "delivered": "accepted",
    "retry": "failed for now",
    "refused": "refused",
    "gone": "refused for good: the address is gone",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    help = "Send a test message to a target and show its answer."
    test = actions.add_parser("test", help=help, description=help, parents=[common_again()])
    test.add_argument("target", metavar="TARGET", help="NAME of a [notify.NAME], or alerts.webhook")
    help = "send what this budget would, with made-up amounts"
    test.add_argument("--budget", default="", metavar="NAME", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(arguments)
    config = replace(config, node=config.node or socket.gethostname())
    notice = test_notice(config.node, datetime.now(UTC))
    if arguments.budget:
        if arguments.budget not in config.budgets:
            hint = nearest(arguments.budget, config.budgets)
            terminal.say(f"notify: unknown budget {arguments.budget!r}{hint}", sys.stderr)
            return Exit.MISTAKE
        notice = budget_test_notice(config.budgets[arguments.budget], notice)
    answer = asyncio.run(send_test(config, arguments.target, notice))
    if isinstance(answer, str):
        terminal.say(answer, sys.stderr)
        return Exit.MISTAKE
    delivered = answer.result == "delivered"
    if arguments.json:
        row = {"target": arguments.target, "result": answer.result, "detail": answer.detail}
        terminal.emit(row)
    else:
        terminal.say(f"{arguments.target}: {RESULTS[answer.result]} ({answer.detail})")
        kind = config.notify[arguments.target].type if arguments.target in config.notify else ""
        if delivered and kind in UNPROVEN:
            terminal.say("This does not prove that it arrived: look for the message there.")
    return Exit.OK if delivered else Exit.FAILED


async def send_test(config: Config, name: str, notice: Notice) -> Answer | str:
    """What the target answered; text if there is no such target."""
    found = {one.name: one for one in (LogTarget(LOG), *targets(config))}
    try:
        if name not in found:
            return f"notify: unknown target {name!r}{nearest(name, found)}"
        return await found[name].send(notice)
    finally:
        for one in found.values():
            await one.close()


def test_notice(node: str, at: datetime) -> Notice:
    """A message that nobody can take for an alert."""
    return Notice(
        id=f"test:{node}:{uuid4()}",
        kind="test",
        name="taximeter_test",
        title="TEST message",
        text=f"This is a test of taximeter on {node}; nothing is wrong.",
        action="No action is needed.",
        severity="info",
        started_at=at,
        facts={"test": True, "node": node},
    )


def budget_test_notice(budget: Budget, test: Notice) -> Notice:
    """What `budget` would send at 80 % of its limit, marked as a test, with the id of one."""
    spend = Spend(spent=(budget.limit or HUNDRED) * Decimal("0.8"))
    crossing = Crossing(
        budget=budget,
        key=tuple((name, "example") for name, value in budget.scope.items() if value == ANY),
        window=budget.windows.window(test.started_at),
        spend=spend,
        thresholds=(Decimal(80),),
    )
    notice = threshold_notice(crossing, test.started_at)
    return changed(
        notice,
        id=test.id,
        kind=test.kind,
        title=f"TEST: {notice.title}",
        text=f"This is a test with made-up amounts.  {notice.text}",
        action=test.action,
        severity=test.severity,
        until=None,
        facts={**test.facts, **notice.facts},
    )
