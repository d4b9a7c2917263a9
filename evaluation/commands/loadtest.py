"""`taximeter loadtest`: how much a route, a model or a server of your own bears, and its price.

An open loop of your own mix: requests are sent when they are due, and their times count from then.
The cost is quoted first; nothing is sent that could take it above --max-usd.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from secrets import token_hex
from typing import Any

from evaluation.benchmarks.tables import TableError
from evaluation.commands import history
from evaluation.commands.arrivals import arrivals
from evaluation.history.turns import traffic
from evaluation.loadtest import ladder, mix, page, schedule, sentences
from evaluation.loadtest.mix import Mix
from evaluation.loadtest.money import Cap, Money, Quote
from evaluation.loadtest.outcomes import Outcome
from evaluation.loadtest.run import Order, Refused, document, planned, quoted, run
from evaluation.loadtest.sending import Due
from evaluation.loadtest.slo import slos
from evaluation.loadtest.target import credential, target
from evaluation.runs import through_proxy
from evaluation.simulation import recorded
from exporters.record import TransientError
from pricing.money import amount
from proxy import results
from proxy.commands import terminal
from proxy.commands.arguments import add_common, configuration
from proxy.commands.numbers import positive, positive_count
from proxy.commands.terminal import Column, Exit
from proxy.metering.book import tariff_book
from proxy.serving import instance
from proxy.serving.child import StartError
from proxy.serving.listening import BindError
from proxy.settings.config import Config

TOKEN_VARIABLE = "GATEWAY_TOKEN"
WARM_UP = 0.1  # of the seconds, unless --warm-up says otherwise
STEPS: Sequence[Column] = (
    Column("rate", "rate", number=True),
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
    Column("goodput", "goodput", number=True),
    Column("good", "good", number=True, shed=1),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    add = parser.add_argument
    help = "a route, PROVIDER/MODEL as configured, or http://127.0.0.1:PORT with --send-model"
    add("--target", required=True, metavar="NAME", help=help)
    add("--max-usd", required=True, type=_usd, metavar="USD", help="spend no more than this")
    help = "recorded calls since then (7d), or a TOML file (default: 7d)"
    add("--mix", default="7d", metavar="TIME|FILE", help=help)
    add("--rate", default="1/s", metavar="N/s", help="requests a second (default: 1/s)")
    help = "of arrivals: poisson, gamma (bursts) or trace (recorded) (default: poisson)"
    add("--shape", choices=schedule.SHAPES, default="poisson", help=help)
    help = f"of gamma arrivals: deviation of the gaps over their mean (default: {schedule.CV:g})"
    add("--cv", type=positive, default=schedule.CV, metavar="N", help=help)
    help = "arrivals for shape trace, as CSV with TIMESTAMP (default: those of the mix)"
    add("--arrivals", type=Path, metavar="FILE", help=help)
    help = "a limit such as p95_ttft<1s, p99_total<20s or errors<1%%; may be repeated"
    add("--slo", action="extend", nargs="+", default=[], metavar="LIMIT", help=help)
    add("--seconds", type=positive, default=30.0, metavar="S", help="of each rate (default: 30)")
    help = f"seconds before them that do not count (default: {WARM_UP:.0%} of them)"
    add("--warm-up", type=_seconds, metavar="S", help=help.replace("%", "%%"))
    help = f"rates up to --rate, each twice the one before, {ladder.STEPS} by default"
    add("--ladder", nargs="?", type=_steps, const=ladder.STEPS, metavar="N", help=help)
    add("--timeout", type=positive, default=120.0, metavar="S", help="of a request (default: 120)")
    help = "wait so long for open requests at the end (default: 30)"
    add("--drain", type=_seconds, default=30.0, metavar="S", help=help)
    add("--seed", type=int, default=1, metavar="N", help="equal seeds, equal requests (default: 1)")
    add("--quote", action="store_true", help="only say what it costs")
    add("--send-model", default="", metavar="NAME", help="of requests to an address")
    add("--unbilled", action="store_true", help="nobody bills for this address")
    help = f"variable with a caller's token for a route (default: {TOKEN_VARIABLE})"
    add("--token-env", default=TOKEN_VARIABLE, metavar="VARIABLE", help=help)
    add("--html", type=Path, metavar="FILE", help="write the report as one HTML file")
    history.add_filters(parser)


def _usd(text: str) -> Decimal:
    try:
        usd = Decimal(text.removeprefix("$"))
    except ArithmeticError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount in dollars") from None
    if not usd.is_finite() or usd < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return usd


def _seconds(text: str) -> float:
    return 0.0 if text in ("0", "0.0") else positive(text)


def _steps(text: str) -> int:
    steps = positive_count(text)
    if not 2 <= steps <= ladder.STEPS_MAX:
        raise argparse.ArgumentTypeError(f"from 2 to {ladder.STEPS_MAX}: {text!r}")
    return steps


def main(arguments: argparse.Namespace) -> int:
    """Run the command.  FAILED: an SLO was missed, or the test did not get to its end."""
    logging.getLogger().setLevel(logging.WARNING)  # of the proxy's own messages
    config = through_proxy.with_upstreams(configuration(arguments))
    try:
        order = _order(arguments, config)
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
    return done if isinstance(done, Exit) else _show(arguments, document(order, cost, cap, done))


def _run(
    arguments: argparse.Namespace,
    order: Order,
    steps: Sequence[Sequence[Due]],
    purse: tuple[Money, Cap],
) -> list[dict[str, object]] | Exit:
    """The figures of each step; or how it failed."""
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


def _order(arguments: argparse.Namespace, config: Config) -> Order:
    """Raises ValueError for what cannot be done, OSError and TransientError."""
    limits = slos(arguments.slo)
    aimed = target(config, arguments.target, arguments.send_model, unbilled=arguments.unbilled)
    variable, insecure = arguments.token_env, config.gateway.insecure
    key = (
        ""
        if arguments.quote
        else credential(aimed, os.environ, variable=variable, insecure=insecure)
    )
    rate = schedule.rate_of(arguments.rate)
    found = _mix(arguments, config)
    trace_s = list(found.arrivals_s)
    if arguments.arrivals:
        trace_s = [call.at_s for call in recorded(arrivals(arguments.arrivals))]
    warm_up = arguments.warm_up
    return Order(
        config=config,
        book=tariff_book(config),
        target=aimed,
        mix=found,
        rates=[rate] if arguments.ladder is None else ladder.rates(rate, arguments.ladder),
        shape=arguments.shape,
        cv=arguments.cv,
        trace_s=trace_s,
        seconds=arguments.seconds,
        warm_up_s=WARM_UP * arguments.seconds if warm_up is None else warm_up,
        limits=limits,
        seed=arguments.seed,
        run_id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(3)}",
        credential=key,
        timeout_s=arguments.timeout,
        drain_s=arguments.drain,
    )


def _mix(arguments: argparse.Namespace, config: Config) -> Mix:
    """A file if there is one by that name, or if it is called one; else a history."""
    path = Path(arguments.mix)
    filters = history.filtered(arguments)
    if path.suffix == ".toml" or path.is_file():
        if filters:
            raise ValueError("filters choose recorded calls, and --mix is a file; leave one out")
        return mix.read(path)
    rows = history.rows(config, history.since(arguments.mix), filters)
    return mix.recorded(traffic(rows).turns, arguments.mix)


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


def _show(arguments: argparse.Namespace, found: dict[str, Any]) -> Exit:
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
    results.keep(configuration(arguments).data, "loadtest", result)
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
    whole = len(steps) == len(found["rates_per_s"]) and not any(
        step["stopped"] or step["capped"] for step in steps
    )
    last = steps if found["knee"] is None else steps[:1]  # the end of a ladder is meant to fail
    return whole and all(one["met"] for step in last for one in step["slo"])
