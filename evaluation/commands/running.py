"""Carries out a run for the commands that run suites: ledger, proxy, answers, rows."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Iterator
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
from evaluation.runs.limits import Limits
from evaluation.runs.plan import Prices, quoted
from evaluation.runs.purse import Purse
from evaluation.runs.runner import Runner
from evaluation.runs.sender import Sender, tls_of
from exporters import evaluation
from exporters.evaluation import EvalResult, EvalRun, Evaluation
from pricing.money import amount
from proxy.commands import terminal
from proxy.commands.cli import INTERRUPTED
from proxy.commands.terminal import Exit
from proxy.door.shared_pools import SharedPools
from proxy.serving import instance
from proxy.serving.child import StartError
from proxy.serving.listening import BindError
from proxy.settings.config import Config
from proxy.settings.places import Places

WRITE_S = 5.0  # between two writes of results


@contextmanager
def opened(order: Order, prices: Prices) -> Iterator[Ledger | None]:
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
            terminal.say(refusal, sys.stderr)
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
        origin=order.origin,
        node=order.config.node or socket.gethostname(),
    )


def guarded(command: str, work: Callable[[], int]) -> int:
    """The exit code of `work`; what stops it before it begins is said in a sentence."""
    try:
        return work()
    except (TakenError, instance.TakenError, BindError) as error:
        terminal.say(f"{command}: {error}", sys.stderr)
        return Exit.TAKEN
    except (StartError, OSError) as error:
        terminal.say(f"{command}: Taximeter failed to start, or its store: {error}", sys.stderr)
        return Exit.FAILED


def carried_out(order: Order, prices: Prices, ledger: Ledger) -> tuple[Runner, int]:
    """Runs the order to its end; the runner, and the exit code of the command.

    Raises StartError, BindError, TakenError of the instance, and OSError.
    """
    run = msgspec.structs.replace(
        ledger.run, state=evaluation.RUNNING, max_usd=order.max_usd, updated_us=time_ns() // 1000
    )
    ledger.update(run)
    if not order.as_json:
        terminal.say(f"run: {run.run_id}")
    runner, state, stored = asyncio.run(_run(order, prices, ledger))
    ledger.update(msgspec.structs.replace(ledger.run, state=state, updated_us=time_ns() // 1000))
    if not stored:
        terminal.say("The results are not in the store; the same command writes them.", sys.stderr)
    if state == evaluation.FINISHED:
        return runner, Exit.OK
    return runner, INTERRUPTED if runner.stopped else Exit.FAILED


async def _run(order: Order, prices: Prices, ledger: Ledger) -> tuple[Runner, str, bool]:
    """The runner when it is done, the state of the run, and whether all is in the store."""
    config, plan = order.config, order.plan
    connector = TCPConnector(limit=0, ssl=tls_of(config))
    waiting: list[EvalResult] = []
    pools = SharedPools(Places(config.data).gateway_pools)
    async with through_proxy.proxied(config) as url, ClientSession(connector=connector) as session:
        purse = Purse(ledger, order.max_usd)
        limits = Limits(order.keys, pools)
        sender = Sender(config, order.book, prices, purse, url, limits, session)
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
