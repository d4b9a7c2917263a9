"""`taximeter recommend`: what to change, what it saves, and what is not known."""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from evaluation.commands import observed
from evaluation.commands.attempts import attempted
from evaluation.decisions.change import Change
from evaluation.decisions.prices import Prices
from evaluation.decisions.recommend_page import page, summary
from evaluation.decisions.recommended import Recommendation, recommend
from evaluation.decisions.routes_file import routes_toml
from evaluation.reports.differences import SMALLEST
from evaluation.reports.words import points, spread, usd
from proxy.commands import terminal
from proxy.commands.arguments import add_common
from proxy.commands.terminal import Column, Exit
from proxy.metering.book import tariff_book
from proxy.settings.sources import defaults

SHOWN_MAX = 10  # changes with all that is known about them
CHANGES = (
    Column("number", "", number=True),
    Column("conclusion", "conclusion"),
    Column("saving", "could save", number=True),
    Column("range", "95 %"),
    Column("kind", "kind"),
    Column("candidate", "candidate", shed=1),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    help = f"the loss of quality that matters, of 1 (default: {SMALLEST:g})"
    parser.add_argument("--smallest", type=float, default=SMALLEST, metavar="SHARE", help=help)
    help = "write a routes.toml to review"
    parser.add_argument("--output", type=Path, metavar="FILE", help=help)
    help = "write the recommendations as one HTML file"
    parser.add_argument("--html", type=Path, metavar="FILE", help=help)
    observed.add_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if not 0 < arguments.smallest < 1:
        terminal.say("recommend: --smallest must be above 0 and below 1", sys.stderr)
        return Exit.MISTAKE
    done = attempted("recommend", "the calls", lambda: _recommended(arguments))
    if isinstance(done, Exit):
        return done
    found, made = done
    if arguments.output:
        text = routes_toml(made, found.config, defaults()["providers"], datetime.now(UTC))
        arguments.output.write_text(text, encoding="utf-8")
    if not observed.written(arguments, found, made, page):
        _show(made, found)
        if arguments.output:
            check = f"taximeter routes check --config {arguments.output}"
            terminal.say(f"Written: {arguments.output}. Review it, then: {check}")
    return Exit.OK


def _recommended(arguments: argparse.Namespace) -> tuple[observed.Found, Recommendation]:
    found = observed.find(arguments)
    prices = Prices(tariff_book(found.config))
    return found, recommend(
        found.sums,
        found.calls,
        prices,
        found.run,
        share=found.share,
        smallest=arguments.smallest,
    )


def _show(made: Recommendation, found: observed.Found) -> None:
    terminal.wrapped(f"{found.since} to {found.until}: {summary(made)}")
    terminal.say("")
    if made.changes:
        rows = [_cells(number, one) for number, one in enumerate(made.changes, 1)]
        terminal.show(CHANGES, rows)
        for number, one in enumerate(made.changes[:SHOWN_MAX], 1):
            terminal.say("")
            for line in _lines(number, one):
                terminal.wrapped(line, indent=4)
        terminal.say("")
        if len(made.changes) > SHOWN_MAX:
            terminal.say(f"{len(made.changes) - SHOWN_MAX} more in --json and --html.\n")
        terminal.wrapped(f"Kind of claim: {made.claim}.")
    observed.say((*made.notes, *found.notes))


def _cells(number: int, one: Change) -> dict[str, str]:
    return {
        "number": str(number),
        "conclusion": one.conclusion,
        "saving": usd(one.saving_usd.value),
        "range": spread(one.saving_usd, usd),
        "kind": one.kind,
        "candidate": one.candidate,
    }


def _lines(number: int, one: Change) -> Iterator[str]:
    yield f"{number}. {one.title}"
    yield f"  evidence ({one.evidence_kind}): {one.evidence}"
    if one.quality_difference is not None:
        found = one.quality_difference
        yield f"  quality: {points(found.value)} points of 100 ({spread(found, points)})"
    yield f"  could go wrong: {one.risk}"
    yield f"  canary: {one.canary}"
    if one.collect is not None:
        number_of = "" if one.collect.number is None else f"{one.collect.number:,} "
        command = f": {one.collect.command}" if one.collect.command else ""
        yield f"  not enough evidence, collect {number_of}{one.collect.what}{command}"
