"""What to load, and how: the options of `taximeter loadtest`, and the order that they make."""

import argparse
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from secrets import token_hex

from evaluation.commands import history
from evaluation.commands.arrivals import arrivals
from evaluation.history.turns import traffic
from evaluation.loadtest import ladder, mix, schedule
from evaluation.loadtest.mix import Mix
from evaluation.loadtest.run import Order
from evaluation.loadtest.slo import slos
from evaluation.loadtest.target import credential, target
from evaluation.simulation import recorded
from proxy.commands.arguments import add_common
from proxy.commands.numbers import positive, positive_count
from proxy.metering.book import tariff_book
from proxy.settings.config import Config

TOKEN_VARIABLE = "GATEWAY_TOKEN"
USUAL = "1,2,4,8,16,32"  # of --concurrency
CONCURRENCY_MAX = 1_000
ROUNDS = 20
SECONDS = 30.0
OPEN_ONLY = ("rate", "shape", "arrivals", "seconds", "warm_up", "ladder")
WARM_UP = 0.1  # of the seconds, unless --warm-up says otherwise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    add = parser.add_argument
    help = "a route, PROVIDER/MODEL as configured, or http://127.0.0.1:PORT with --send-model"
    add("--target", required=True, metavar="NAME", help=help)
    add("--max-usd", required=True, type=_usd, metavar="USD", help="spend no more than this")
    help = "recorded calls since then (7d), or a TOML file (default: 7d)"
    add("--mix", default="7d", metavar="TIME|FILE", help=help)
    add("--rate", metavar="N/s", help="requests a second (default: 1/s)")
    help = "of arrivals: poisson, gamma (bursts) or trace (recorded) (default: poisson)"
    add("--shape", choices=schedule.SHAPES, help=help)
    help = f"of gamma arrivals: deviation of the gaps over their mean (default: {schedule.CV:g})"
    add("--cv", type=positive, default=schedule.CV, metavar="N", help=help)
    help = "arrivals for shape trace, as CSV with TIMESTAMP (default: those of the mix)"
    add("--arrivals", type=Path, metavar="FILE", help=help)
    help = "a limit such as p95_ttft<1s, p99_total<20s or errors<1%%; may be repeated"
    add("--slo", action="extend", nargs="+", default=[], metavar="LIMIT", help=help)
    add("--seconds", type=positive, metavar="S", help=f"of each rate (default: {SECONDS:g})")
    help = f"seconds before them that do not count (default: {WARM_UP:.0%} of them)"
    add("--warm-up", type=_seconds, metavar="S", help=help.replace("%", "%%"))
    help = f"rates up to --rate, each twice the one before, {ladder.STEPS} by default"
    add("--ladder", nargs="?", type=_steps, const=ladder.STEPS, metavar="N", help=help)
    help = (
        f"instead of rates: so many requests in flight, a step for each number (default: {USUAL})"
    )
    add("--concurrency", nargs="?", type=_places, const=_places(USUAL), metavar="N,N", help=help)
    help = f"requests of each place in flight; the first is no result (default: {ROUNDS})"
    add("--rounds", type=_rounds, metavar="N", help=help)
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


def _places(text: str) -> list[int]:
    found = [positive_count(word) for word in text.split(",")]
    if found != sorted(set(found)) or len(found) > ladder.STEPS_MAX or found[-1] > CONCURRENCY_MAX:
        raise argparse.ArgumentTypeError(
            f"at most {ladder.STEPS_MAX} numbers up to {CONCURRENCY_MAX:,}, the lowest first:"
            f" {text!r}"
        )
    return found


def _rounds(text: str) -> int:
    if (rounds := positive_count(text)) < 2:
        raise argparse.ArgumentTypeError(f"2 or more, as the first is no result: {text!r}")
    return rounds


def order(arguments: argparse.Namespace, config: Config) -> Order:
    """Raises ValueError for what cannot be done, OSError and TransientError."""
    limits = slos(arguments.slo)
    aimed = target(config, arguments.target, arguments.send_model, unbilled=arguments.unbilled)
    variable, insecure = arguments.token_env, config.gateway.insecure
    key = (
        ""
        if arguments.quote
        else credential(config, aimed, os.environ, variable=variable, insecure=insecure)
    )
    _one_loop(arguments)
    seconds = arguments.seconds or SECONDS
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
        loads=arguments.concurrency or _rates(arguments),
        rounds=(arguments.rounds or ROUNDS) if arguments.concurrency else 0,
        shape=arguments.shape or "poisson",
        cv=arguments.cv,
        trace_s=trace_s,
        seconds=seconds,
        warm_up_s=WARM_UP * seconds if warm_up is None else warm_up,
        limits=limits,
        seed=arguments.seed,
        run_id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(3)}",
        credential=key,
        timeout_s=arguments.timeout,
        drain_s=arguments.drain,
    )


def _one_loop(arguments: argparse.Namespace) -> None:
    """Raises ValueError for options of both loops."""
    if arguments.concurrency is None:
        if arguments.rounds is not None:
            raise ValueError("--rounds are of --concurrency; with a rate, --seconds says how long")
        return
    given = [name for name in OPEN_ONLY if getattr(arguments, name) is not None]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(
            f"--concurrency sends whenever an answer has come, whatever {names} would say; leave"
            " one of them out"
        )


def _rates(arguments: argparse.Namespace) -> list[float]:
    rate = schedule.rate_of(arguments.rate or "1/s")
    return [rate] if arguments.ladder is None else ladder.rates(rate, arguments.ladder)


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
