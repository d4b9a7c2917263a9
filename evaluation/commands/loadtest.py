"""`taximeter loadtest`: how much a route, a model or a server of your own bears, and its price.

An open loop of your own mix: requests are sent when they are due, and their times count from then.
With --concurrency a closed loop: so many are in flight, to find what can be served at most.
The cost is quoted first; nothing is sent that could take it above --max-usd.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evaluation.benchmarks.tables import TableError
from evaluation.commands import loadtest_order
from evaluation.loadtest import page, sentences
from evaluation.loadtest.money import Cap, Money, Quote
from evaluation.loadtest.outcomes import Outcome
from evaluation.loadtest.run import Done, Order, Refused, document, planned, quoted, run
from evaluation.loadtest.sending import Due
from evaluation.runs import through_proxy
from exporters.record import TransientError
from pricing.money import amount
from proxy import results
from proxy.commands import terminal
from proxy.commands.arguments import configuration
from proxy.commands.terminal import Column, Exit
from proxy.serving import instance
from proxy.serving.child import StartError
from proxy.serving.listening import BindError

STEPS: Sequence[Column] = (
    Column("load", "load", number=True),
    Column("due", "due", number=True),
    Column("ok", "ok", number=True),
    Column("limited", "429", number=True),
    Column("failed", "failed", number=True),
    Column("censored", "open", number=True),
    Column("ttft", "p95 TTFT", number=True),
    Column("visible", "p95 visible", number=True, shed=3),
    Column("total", "p95 total", number=True),
    Column("itl", "p95 ITL", number=True, shed=2),
    Column("gap", "p95 gap", number=True, shed=4),
    Column("in_flight", "in flight", number=True, shed=5),
    Column("goodput", "goodput", number=True),
    Column("good", "good", number=True, shed=1),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    loadtest_order.add_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command.  FAILED: an SLO was missed, or the test did not get to its end."""
    logging.getLogger().setLevel(logging.WARNING)  # of the proxy's own messages
    config = through_proxy.with_upstreams(configuration(arguments))
    try:
        order = loadtest_order.order(arguments, config)
        steps = planned(order)
    except (ValueError, TableError) as error:
        return _refuse(arguments, str(error))
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the mix: {error}", sys.stderr)
        return Exit.FAILED
    money = Money(order.target, order.book, datetime.now(UTC))
    cost, cap = quoted(order, steps, money), Cap(arguments.max_usd)
    if refusal := _too_dear(order, cost, cap):
        return _refuse(arguments, refusal)
    found: dict[str, Any] = document(order, cost, cap, [])
    if not arguments.json:
        terminal.wrapped(sentences.plan(found))
    if arguments.quote:
        terminal.emit(found) if arguments.json else None
        return Exit.OK
    done = _run(arguments, order, steps, (money, cap))
    if isinstance(done, Exit):
        return done
    return _show(arguments, document(order, cost, cap, done), config.data)


def _run(
    arguments: argparse.Namespace,
    order: Order,
    steps: Sequence[Sequence[Due]],
    purse: tuple[Money, Cap],
) -> list[Done] | Exit:
    """What became of each step; or how it failed."""
    try:
        return asyncio.run(run(order, steps, purse, lambda one: _told(arguments, one)))
    except Refused as error:
        return _refuse(arguments, str(error))
    except (instance.TakenError, BindError) as error:
        terminal.say(f"loadtest: {error}", sys.stderr)
        return Exit.TAKEN
    except (StartError, OSError) as error:
        terminal.say(f"loadtest: Taximeter failed to start, or its store: {error}", sys.stderr)
        return Exit.FAILED


def _refuse(arguments: argparse.Namespace, text: str) -> Exit:
    if arguments.json:
        terminal.emit({"mistakes": text.split("\n")})
    for line in text.split("\n"):
        terminal.say(f"loadtest: {line}", sys.stderr)
    return Exit.MISTAKE


def _too_dear(order: Order, cost: Quote, cap: Cap) -> str:
    """Why the limit cannot be kept, or the test not be finished within it; "" if it can."""
    if cost.expected is None:
        names = ", ".join(one.name for one in order.target.billed)
        return (
            f"no price is known for {names}, so --max-usd cannot be kept; add one with taximeter"
            " tariffs add (or, for a server of your own that nobody bills, give --unbilled)"
        )
    if cost.expected > cap.max_usd:
        return (
            f"the test is expected to cost {amount(cost.expected, 'estimated')}, more than"
            f" --max-usd {cap.max_usd}; lower --rate or --seconds, or raise the limit"
        )
    return ""


def _told(arguments: argparse.Namespace, one: Outcome) -> None:
    if not arguments.json and sys.stderr.isatty():
        sys.stderr.write("." if one.kind == "ok" else "!")
        sys.stderr.flush()


def _show(arguments: argparse.Namespace, found: dict[str, Any], data: Path) -> Exit:
    html, ok = page.page(found), _passed(found)
    if arguments.html:
        arguments.html.write_text(html, encoding="utf-8")
    result = results.Result(
        at=datetime.now(UTC),
        title=sentences.plan(found),
        said=sentences.short(found),
        ok=ok,
        document=found,
        html=html,
    )
    results.keep(data, "loadtest", result)
    if arguments.json:
        terminal.emit(found)
    else:
        terminal.say("")
        terminal.show(STEPS, [sentences.step_cells(step) for step in found["steps"]])
        for line in sentences.ended(found):
            terminal.wrapped(line)
    return Exit.OK if ok else Exit.FAILED


def _passed(found: dict[str, Any]) -> bool:
    """Whether the test got to its end, and every limit was met."""
    steps = found["steps"]
    whole = len(steps) == len(found["loads"]) and not any(
        step["stopped"] or step["capped"] for step in steps
    )
    last = steps if found["knee"] is None else steps[:1]  # the end of a ladder is meant to fail
    return whole and all(one["met"] for step in last for one in step["slo"])
