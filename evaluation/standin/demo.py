"""`taximeter demo`: the whole product at work, with no key and no provider.

Starts the stand-in provider and `taximeter serve` in front of it, makes traffic, prints what it
cost, and stops everything.  Ctrl-C ends the traffic early.  With `--data` the rows stay, and the
command that reports on them is printed last.
"""

import argparse
import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evaluation.standin import processes, traffic
from proxy.commands.numbers import port, positive
from proxy.commands.run import what_next

ROWS_MAX = 10_000  # newest rows in the table that ends the demo
LOGS = "demo"  # folder in the data directory, which says that it is a demo's
FINISH_S = 3.0  # for calls in flight when the traffic ends; the rest is left
SETTLE_TIMEOUT_S = 15.0
BATCH_EVERY_S = 5.0
# One that lasts, and one that a team passes within a minute; neither refuses a call.
BUDGETS = """
[budgets.everything]
limit_usd = 20
period = "day"

[budgets.each-team]
scope = { team = "*" }
limit_usd = 0.5
period = "day"
"""


@dataclass(slots=True)
class ModelTotal:
    """Sums over the calls of one model."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = Decimal(0)
    unknown: int = 0  # calls whose cost is not known, and so not in `usd`

    def add(self, row: processes.Row) -> None:
        self.calls += 1
        self.input_tokens += row["input_tokens_total"] or 0
        self.output_tokens += row["output_tokens_total"] or 0
        if row["cost_usd"] is None:
            self.unknown += 1
        else:
            self.usd += Decimal(str(row["cost_usd"]))


def by_model(rows: Iterable[processes.Row]) -> dict[tuple[str, str], ModelTotal]:
    """The rows summed by provider and model, the most expensive first."""
    lines: dict[tuple[str, str], ModelTotal] = {}
    for row in rows:
        model = row["response_model"] or row["request_model"]
        lines.setdefault((row["provider"], model), ModelTotal()).add(row)
    return dict(sorted(lines.items(), key=lambda item: item[1].usd, reverse=True))


def table(lines: Mapping[tuple[str, str], ModelTotal]) -> Table:
    """Tokens by model and what they cost, for a terminal of 80 columns."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("provider", "model"):
        shown.add_column(title, no_wrap=True)
    for title in ("calls", "input", "output", "USD", "unknown"):
        shown.add_column(title, justify="right", no_wrap=True)
    for (provider, model), line in lines.items():
        shown.add_row(provider, model, *_cells(line))
    shown.add_row("", "all", *_cells(_total(lines.values())), style="bold")
    return shown


def _total(lines: Iterable[ModelTotal]) -> ModelTotal:
    total = ModelTotal()
    for line in lines:
        total.calls += line.calls
        total.input_tokens += line.input_tokens
        total.output_tokens += line.output_tokens
        total.usd += line.usd
        total.unknown += line.unknown
    return total


def _cells(line: ModelTotal) -> tuple[str, ...]:
    counts = (line.calls, line.input_tokens, line.output_tokens)
    return (*(f"{n:,}" for n in counts), f"{line.usd:.6f}", f"{line.unknown:,}")


def demonstrate(options: argparse.Namespace, data: Path, terminal: Console) -> None:
    """Start everything, make traffic, show the fare.  Raises processes.LaunchError."""
    _say(terminal, "Starting a stand-in provider …")
    logs = data / LOGS
    logs.mkdir(exist_ok=True)
    with processes.stand_in(logs / "stand-in.log") as (upstream, _):
        _say(terminal, f"  {upstream} answers as {', '.join(processes.PROVIDERS)}")
        _say(terminal, "Starting taximeter serve in front of it …")
        upstreams = dict.fromkeys(processes.PROVIDERS, upstream)
        with processes.serve(
            logs,
            upstreams,
            port=options.port,
            console_port=options.console_port,
            settings=BUDGETS,
            rows=data,
        ) as served:
            _say(terminal, f"  proxy    {served.proxy_url}")
            _say(terminal, f"  console  {served.console_url}  <- open this in a browser")
            _say(
                terminal,
                f"Making {options.rate:g} calls per second for {options.seconds:g} s; "
                "Ctrl-C stops early …",
            )
            began = datetime.now(UTC)
            tally = asyncio.run(_drive(served.proxy_url, options))
            _report(served, tally, began, terminal)
    _say(terminal, "Everything is stopped.")
    _say(terminal, what_next(options.data))


def _report(
    served: processes.Serving, tally: traffic.TrafficTotals, began: datetime, terminal: Console
) -> None:
    """Show how many calls were made, what they cost, and how many have no row yet.

    Rows of before `began` are an earlier demo's, kept in the same directory.
    """
    whole = tally.by_status[200]
    _say(
        terminal,
        f"  {tally.calls:,} calls made; {tally.calls - whole:,} of them failed, were cut off or "
        "abandoned by the caller, as this traffic intends",
    )
    wanted = min(tally.calls + tally.batch_items, ROWS_MAX)
    since = began.isoformat()
    rows = served.calls_when(wanted, SETTLE_TIMEOUT_S, limit=ROWS_MAX, since=since)
    terminal.print(table(by_model(rows)))
    if len(rows) < wanted:
        _say(terminal, f"{wanted - len(rows):,} calls have no row yet.", style="red")


def _say(terminal: Console, text: str, style: str = "") -> None:
    terminal.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


async def _drive(proxy_url: str, options: argparse.Namespace) -> traffic.TrafficTotals:
    """Make traffic until its time is over, or until Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await traffic.run(
        proxy_url,
        rate=options.rate,
        seconds=options.seconds,
        seed=options.seed,
        stop=stop,
        finish_s=FINISH_S,
        batch_every_s=BATCH_EVERY_S,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    free = "(default: any free one)"
    parser.add_argument(
        "--port", type=port, default=0, metavar="N", help=f"port of the proxy {free}"
    )
    help = f"port of the console {free}"
    parser.add_argument("--console-port", type=port, default=0, metavar="N", help=help)
    help = "duration of the traffic (default: 60)"
    parser.add_argument("--seconds", type=positive, default=60.0, metavar="S", help=help)
    help = "calls per second (default: 10)"
    parser.add_argument("--rate", type=positive, default=10.0, metavar="N", help=help)
    help = "the same seed makes the same calls (default: 1)"
    parser.add_argument("--seed", type=int, default=1, metavar="N", help=help)
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the rows in DIR, as a data directory"
    )


def main(options: argparse.Namespace) -> int:
    """Returns the exit code: 1 if something did not start, 2 if its rows would join others."""
    # SIGTERM as Ctrl-C, so that children are stopped as well
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    terminal = Console()
    with contextlib.ExitStack() as stack:
        if options.data:
            data = options.data.absolute()  # the processes work in a directory of their own
        else:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taximeter-demo-")))
        if data.exists() and any(data.iterdir()) and not (data / LOGS).exists():
            _say(terminal, f"{data} is not empty, and no demo's.  Choose another directory.")
            return 2
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            demonstrate(options, data, terminal)
        except processes.LaunchError as failure:
            _say(terminal, str(failure), style="red")
            return 1
        except KeyboardInterrupt:  # before or after the traffic
            _say(terminal, "Stopped.")
            return 130
    return 0
