"""`taximeter eval run`: quotes a run, then asks every model every case, within a hard limit."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from secrets import token_hex
from time import time_ns

import msgspec
from aiohttp import ClientSession, TCPConnector

from evaluation.commands import eval_order
from evaluation.commands.eval_order import Order
from evaluation.commands.progress import progress
from evaluation.runs import ledger as ledgers
from evaluation.runs import through_proxy
from evaluation.runs.ledger import Ledger, TakenError
from evaluation.runs.plan import PlanError, Prices, quoted
from evaluation.runs.purse import Purse
from evaluation.runs.runner import Runner, tally
from evaluation.runs.sender import Sender, tls_of
from evaluation.suites import reader
from exporters import evaluation
from exporters.evaluation import EvalResult, EvalRun, Evaluation
from pricing.charge import plain
from pricing.money import amount
from proxy.commands import terminal
from proxy.commands.arguments import configuration
from proxy.commands.cli import INTERRUPTED
from proxy.commands.terminal import Column, Exit
from proxy.serving import instance
from proxy.serving.child import StartError
from proxy.serving.listening import BindError
from proxy.settings.config import Config
from proxy.settings.places import Places

WRITE_S = 5.0  # between two writes of results
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
    add("--max-usd", type=_usd, metavar="USD", help=help)
    add("--judge", default="", metavar="NAME", help="PROVIDER/MODEL that judges, of another maker")
    add("--concurrency", type=int, default=8, metavar="N", help="answers at a time (default: 8)")
    add("--new", action="store_true", help="begin a new run even if one can be resumed")
    add("--quote", action="store_true", help="only say what it costs at most")


def _usd(text: str) -> Decimal:
    try:
        usd = Decimal(text)
    except ArithmeticError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount in dollars") from None
    if not usd.is_finite() or usd < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return usd


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    logging.getLogger().setLevel(logging.WARNING)  # of the proxy's own messages
    config = through_proxy.with_upstreams(configuration(arguments))
    try:
        order = eval_order.order_of(arguments, config)
    except (PlanError, reader.SuiteError) as error:
        mistakes = str(error).split("\n")
        if arguments.json:
            terminal.emit({"mistakes": mistakes})
        for mistake in mistakes:
            terminal.say(mistake, sys.stderr)
        return Exit.MISTAKE
    prices = Prices(order.book, datetime.now(UTC))
    if arguments.quote:
        return eval_order.show_quote(order, quoted(order.plan, prices))
    try:
        with _ledger(order, prices) as found:
            return _go(order, prices, found) if found else Exit.MISTAKE
    except (TakenError, instance.TakenError, BindError) as error:
        terminal.say(f"eval run: {error}", sys.stderr)
        return Exit.TAKEN
    except (StartError, OSError) as error:
        terminal.say(f"eval run: Taximeter failed to start, or its store: {error}", sys.stderr)
        return Exit.FAILED


@contextmanager
def _ledger(order: Order, prices: Prices) -> Iterator[Ledger | None]:
    """The ledger to go on with, once the quote fits; None if it does not.  Raises TakenError."""
    places = Places(order.config.data)
    found = None
    if not order.new:
        found = ledgers.unfinished(places.evaluations, order.plan.identity)
    done = {key for key in found.results if found.finished(key)} if found else set()
    lines = quoted(order.plan, prices, done)
    spent = found.committed_usd if found else Decimal(0)
    try:
        if refusal := eval_order.refusal(lines, order.max_usd, spent):
            terminal.emit({"error": refusal}) if order.as_json else None
            terminal.say(f"eval run: {refusal}", sys.stderr)
            yield None
            return
        if not order.as_json:
            eval_order.show_quote(order, lines)
        if found is None:
            found = ledgers.create(
                places.evaluations, _new_run(order, eval_order.total_of(lines)), order.plan.identity
            )
        elif not order.as_json:
            terminal.say(
                f"Resuming: {len(done):,} answers are there, {amount(spent, 'exact')} spent."
            )
        yield found
    finally:
        if found is not None:
            found.close()


def _new_run(order: Order, quote: Decimal | None) -> EvalRun:
    plan, now = order.plan, datetime.now(UTC)
    return EvalRun(
        ts_us=time_ns() // 1000,
        run_id=f"{now:%Y%m%d-%H%M%S}-{token_hex(3)}",
        updated_us=time_ns() // 1000,
        state=evaluation.RUNNING,
        suite=plan.suite.name,
        suite_version=plan.suite.version,
        models=[candidate.name for candidate in plan.candidates],
        samples=plan.samples,
        judge=plan.judge.name if plan.judge else "",
        cases=len(plan.suite.cases),
        hidden_cases=len(plan.suite.hidden),
        quote_usd=quote,
        max_usd=order.max_usd,
        node=order.config.node or socket.gethostname(),
    )


def _go(order: Order, prices: Prices, ledger: Ledger) -> int:
    run = msgspec.structs.replace(
        ledger.run, state=evaluation.RUNNING, max_usd=order.max_usd, updated_us=time_ns() // 1000
    )
    ledger.update(run)
    if not order.as_json:
        terminal.say(f"run: {run.run_id}")
    runner, state, stored = asyncio.run(_run(order, prices, ledger))
    ledger.update(msgspec.structs.replace(ledger.run, state=state, updated_us=time_ns() // 1000))
    _show_end(order, ledger, runner)
    if not stored:
        terminal.say("The results are not in the store; the same command writes them.", sys.stderr)
    if state == evaluation.FINISHED:
        return Exit.OK
    return INTERRUPTED if runner.stopped else Exit.FAILED


async def _run(order: Order, prices: Prices, ledger: Ledger) -> tuple[Runner, str, bool]:
    """The runner when it is done, the state of the run, and whether all is in the store."""
    config, plan = order.config, order.plan
    connector = TCPConnector(limit=0, ssl=tls_of(config))
    waiting: list[EvalResult] = []
    async with through_proxy.proxied(config) as url, ClientSession(connector=connector) as session:
        purse = Purse(ledger, order.max_usd)
        sender = Sender(config, order.book, prices, purse, url, order.keys, session)
        await through_proxy.write(config, Evaluation(runs=[ledger.run]))  # or nothing is sent
        before = await through_proxy.calls(config, ledger.run.run_id)
        with progress(len(plan.candidates) * len(plan.suite.cases) * plan.samples) as shown:
            shown.begin(ledger)

            def told(result: EvalResult) -> None:
                waiting.append(result)
                shown.told(result)

            runner = Runner(plan, ledger, sender, told)
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, runner.stop)
            writing = asyncio.create_task(_keep_writing(config, ledger, waiting))
            try:
                await runner.run(order.at_once)
            finally:
                writing.cancel()
        state = _state(runner)
        run = msgspec.structs.replace(ledger.run, state=state, updated_us=time_ns() // 1000)
        try:
            everything = Evaluation(runs=[run], results=list(ledger.results.values()))
            await through_proxy.write(config, everything)
            await through_proxy.caught_up(config, ledger.run.run_id, before + sender.sent)
        except (OSError, ValueError) as error:
            terminal.say(f"Cannot write the results: {error}", sys.stderr)
            return runner, evaluation.STOPPED, False
    return runner, state, True


def _state(runner: Runner) -> str:
    if runner.capped:
        return evaluation.CAPPED
    if runner.stopped or runner.broken:
        return evaluation.STOPPED
    return evaluation.FINISHED


async def _keep_writing(config: Config, ledger: Ledger, waiting: list[EvalResult]) -> None:
    """Store results while the run goes on, so that others can look.  The end writes all again."""
    while True:
        await asyncio.sleep(WRITE_S)
        results = list(waiting)
        with suppress(OSError, ValueError):
            await through_proxy.write(config, Evaluation(runs=[ledger.run], results=results))
            del waiting[: len(results)]


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
