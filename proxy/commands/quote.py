"""`taximeter quote`: the cost of a workload, by model and service tier."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from pricing.cause import texts
from pricing.charge import line_document, plain
from pricing.money import amount
from pricing.quote import BATCH, STANDARD, Quote, Workload, models, quotes, workload
from proxy.commands import questions, terminal
from proxy.commands.arguments import add_common, configuration
from proxy.commands.numbers import count, positive_count
from proxy.commands.terminal import Column, Exit
from proxy.instants import instant
from proxy.metering.book import tariff_book
from proxy.query.asked import ZONE_ALONE
from proxy.query.csv_rows import csv_text
from proxy.query.language import time_zone

REASONS_SHOWN = 2
CACHED_HELP = "cached share of the input, such as 0.8 or 80%% (default: 0)"
USE_HELP = "other usage per call, such as calls.web_search=2; can be repeated"
TIERS_HELP = "service tiers, such as standard,batch,flex (default: standard)"
RETIRED_HELP = "with --providers, also models that are known to be retired"
COLUMNS: Sequence[Column] = (
    Column("provider", "provider"),
    Column("model", "model"),
    Column("tier", "tier"),
    Column("cost", "cost", money=True),
    Column("first", "first call", money=True, shed=1),
    Column("status", "status"),
    Column("why", "because"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    add = parser.add_argument
    add("models", nargs="*", metavar="[PROVIDER/]MODEL", help="models to compare")
    add("--providers", default="", metavar="NAMES", help="compare all models of these providers")
    for name in ("input", "output"):
        help = f"{name} tokens per call (default: 1000)"
        add(f"--{name}", type=count, default=1000, metavar="N", help=help)
    add("--cached", type=_share, default=0, metavar="SHARE", help=CACHED_HELP)
    add("--calls", type=positive_count, default=1, metavar="N", help="number of calls (default: 1)")
    add("--use", action="append", default=[], metavar="METER=N", help=USE_HELP)
    add("--tiers", default=STANDARD, metavar="NAMES", help=TIERS_HELP)
    add("--batch", action="store_true", help="same as --tiers batch")
    add("--retired", action="store_true", help=RETIRED_HELP)
    add("--at", default="", metavar="TIME", help="use the prices of this time (default: now)")
    questions.add_question(parser, ZONE_ALONE)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    book = tariff_book(configuration(arguments))
    now = datetime.now(UTC)
    try:
        form = questions.form(arguments)
        _, asked = questions.question(arguments, ZONE_ALONE)
        zone = ZoneInfo(time_zone(asked.one("tz")))
        at = instant(arguments.at, now, zone) if arguments.at else now
        tokens = arguments.input, arguments.output
        work = workload(tokens, arguments.cached, arguments.use, arguments.calls, at)
        tiers = tuple(filter(None, arguments.tiers.split(",")))
        work = replace(work, tiers=(BATCH,) if arguments.batch else tiers)
        providers = filter(None, arguments.providers.split(","))
        chosen = models(book, arguments.models, providers, at, retired=arguments.retired)
        if not chosen:
            raise ValueError("specify models, or providers as in --providers openai,anthropic")
    except ValueError as error:
        terminal.say(f"quote: {error}", sys.stderr)
        return Exit.MISTAKE
    return show(quotes(book, chosen, work), work, form=form)


def _share(text: str) -> Decimal:
    """`0.8` or `80%`."""
    try:
        number = Decimal(text.removesuffix("%"))
    except ArithmeticError:
        raise argparse.ArgumentTypeError(f"not a share such as 0.8 or 80%: {text!r}") from None
    share = number / 100 if text.endswith("%") else number
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"not between 0 and 1, or 0% and 100%: {text!r}")
    return share


def show(found: Sequence[Quote], work: Workload, *, form: str = "table") -> Exit:
    """Print the quotes.  UNPRICED: none of them is complete."""
    documents = [_document(quote, work) for quote in found]
    if form == "json":
        terminal.emit(documents)
    elif form == "csv":
        sys.stdout.write(csv_text(documents))
    else:
        used = ", ".join(f"{n:,} {meter.value}" for meter, n in work.quantities.items() if n)
        terminal.say(f"{work.calls:,} calls of {used} at {work.at:%Y-%m-%dT%H:%MZ}\n")
        terminal.show(COLUMNS, [_cells(quote) for quote in found])
    return Exit.OK if any(quote.whole for quote in found) else Exit.UNPRICED


def _cells(quote: Quote) -> dict[str, str]:
    first = quote.first
    reasons = texts(first.reasons)
    more = len(reasons) - REASONS_SHOWN
    return {
        "provider": quote.provider,
        "model": quote.model,
        "tier": quote.tier,
        "cost": amount(quote.usd, first.status),
        "first": amount(first.usd, first.status),
        "status": first.status.value,
        "why": ", ".join(reasons[:REASONS_SHOWN]) + (f" and {more} more" if more > 0 else ""),
    }


def _document(quote: Quote, work: Workload) -> dict[str, object]:
    """A quote for JSON: money is exact decimal text; `lines` are those of the first call."""
    first = quote.first
    return {
        "provider": quote.provider,
        "model": quote.model,
        "tier": quote.tier,
        "calls": work.calls,
        "usd": None if quote.usd is None else plain(quote.usd),
        "first_call_usd": None if first.usd is None else plain(first.usd),
        "status": first.status.value,
        "reasons": texts(first.reasons),
        "tariff": first.tariff,
        "lines": [line_document(line) for line in first.lines],
    }
