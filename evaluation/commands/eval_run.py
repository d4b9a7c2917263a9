"""`taximeter eval run`: quotes a run, then asks every model every case, within a hard limit."""

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from evaluation.commands import eval_order, running
from evaluation.commands.eval_order import Order
from evaluation.runs import through_proxy
from evaluation.runs.ledger import Ledger
from evaluation.runs.plan import PlanError, Prices, quoted
from evaluation.runs.runner import Runner, tally
from evaluation.suites import reader
from exporters import evaluation
from pricing.charge import plain
from pricing.money import amount
from proxy.commands import terminal
from proxy.commands.arguments import configuration
from proxy.commands.terminal import Column, Exit

SUMMARY: Sequence[Column] = (
    Column("name", "model"),
    *(Column(name, name.replace("_", " "), number=True) for name in ("pass", "fail", "not_run")),
    Column("error", "no answer", number=True),
    Column("usd", "cost", money=True),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add("suite", metavar="SUITE", help="folder or file of a suite, or `starter`, which is shipped")
    add("--models", required=True, metavar="NAMES", help="PROVIDER/MODEL,PROVIDER/MODEL")
    add("--samples", type=int, default=1, metavar="K", help="answers to each case (default: 1)")
    help = "never spend more; a run that could is refused at once"
    add("--max-usd", type=eval_order.usd, metavar="USD", help=help)
    add("--judge", default="", metavar="NAME", help="PROVIDER/MODEL that judges, of another maker")
    add("--concurrency", type=int, default=8, metavar="N", help="answers at a time (default: 8)")
    add("--new", action="store_true", help="begin a new run even if one can be resumed")
    add("--quote", action="store_true", help="only say what it costs at most")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    logging.getLogger().setLevel(logging.WARNING)  # of the proxy's own messages
    config = through_proxy.with_upstreams(configuration(arguments))
    try:
        order = eval_order.order_of(arguments, config)
    except (PlanError, reader.SuiteError) as error:
        return eval_order.mistaken(error, as_json=arguments.json)
    prices = Prices(order.book, datetime.now(UTC))
    if arguments.quote:
        return eval_order.show_quote(order, quoted(order.plan, prices))
    return running.guarded("eval run", lambda: run(order, prices))


def run(order: Order, prices: Prices) -> int:
    """Carry out the order and say how it ended."""
    with running.opened(order, prices) as ledger:
        if ledger is None:
            return Exit.MISTAKE
        runner, code = running.carried_out(order, prices, ledger)
        _show_end(order, ledger, runner)
        return code


def _show_end(order: Order, ledger: Ledger, runner: Runner) -> None:
    run, counts = ledger.run, tally(ledger)
    if order.as_json:
        terminal.emit(
            {
                "run_id": run.run_id,
                "state": run.state,
                "results": dict(counts),
                "spent_usd": plain(ledger.spent_usd),
                "quote_usd": None if run.quote_usd is None else plain(run.quote_usd),
                "broken": runner.broken,
            }
        )
        return
    terminal.show(SUMMARY, [_summary(ledger, name) for name in run.models])
    for name, reason in runner.broken.items():
        terminal.say(f"{name} answers no call: {reason}", sys.stderr)
    if runner.capped:
        terminal.say("Stopped: the next call could exceed --max-usd. Resume with a higher one.")
    elif run.state != evaluation.FINISHED:
        terminal.say("Not finished; the same command resumes it.")
    terminal.say(f"Report: taximeter eval report {run.run_id}")


def _summary(ledger: Ledger, name: str) -> dict[str, str]:
    results = [result for result in ledger.results.values() if result.model == name]
    statuses = ("pass", "fail", "not_run", "error")
    cells = {
        status: f"{sum(result.status == status for result in results):,}" for status in statuses
    }
    known = [result.cost_usd for result in results if result.cost_usd is not None]
    total = sum(known, Decimal(0))
    status = "exact" if len(known) == len(results) else "partial"
    return cells | {"name": name, "usd": amount(total, status)}
