"""`taximeter compare`: which candidate is best, by cost, latency, quality and safety, and how sure.

Candidates are the providers' models that served calls of the period.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation.commands import observed
from evaluation.commands.attempts import attempted
from evaluation.decisions import words
from evaluation.decisions.compare_page import page
from evaluation.decisions.compared import compare
from evaluation.decisions.comparison import Compared, Comparison
from evaluation.decisions.metrics import METRICS
from evaluation.decisions.wanted import wanted
from pricing.money import amount
from proxy.commands import terminal
from proxy.commands.arguments import add_common
from proxy.commands.terminal import Column, Exit

SUMMARY = (
    Column("candidate", "candidate"),
    Column("calls", "calls", number=True),
    Column("cost", "cost", money=True),
    Column("score", "score", number=True),
    Column("best", "P(best)", number=True),
    Column("frontier", "P(frontier)", number=True),
)
VALUES = (Column("name", ""), Column("value", "value", number=True), Column("range", "95 %"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    _add_words(
        parser,
        "--slo",
        "LIMIT",
        "a hard limit such as 'p95_ttft<1s'; who misses it is out.  Metrics: " + ", ".join(METRICS),
    )
    help = "how much each metric counts in the score, such as quality=4,cost=3,latency=2,safety=1"
    _add_words(parser, "--weights", "NAME=NUMBER", help)
    help = "what is worth 0 and what 1 in the score, such as cost=0.02:0,0.002:1 (and log)"
    _add_words(parser, "--anchors", "NAME=A:0,B:1", help)
    help = "write the comparison as one HTML file"
    parser.add_argument("--html", type=Path, metavar="FILE", help=help)
    observed.add_arguments(parser)


def _add_words(parser: argparse.ArgumentParser, option: str, metavar: str, help: str) -> None:
    parser.add_argument(option, action="append", nargs="+", metavar=metavar, help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    done = attempted("compare", "the calls", lambda: _compared(arguments))
    if isinstance(done, Exit):
        return done
    found, made = done
    if not observed.written(arguments, found, made, page):
        _show(made, found)
    return Exit.OK


def _compared(arguments: argparse.Namespace) -> tuple[observed.Found, Comparison] | Exit:
    asked = wanted(*map(_flat, (arguments.slo, arguments.weights, arguments.anchors)))
    found = observed.find(arguments)
    if not found.calls and not arguments.html:
        return _nothing(found, as_json=arguments.json)
    return found, compare(found.sums, found.calls, asked, found.run, share=found.share)


def _flat(given: Sequence[Sequence[str]] | None) -> list[str]:
    return [word for one in given or () for word in one]


def _nothing(found: observed.Found, *, as_json: bool) -> Exit:
    """No calls: nothing can be compared, which is an answer."""
    said = f"Cannot tell: there are no calls between {found.since} and {found.until}."
    if as_json:
        verdict = {"conclusion": "cannot tell", "said": said, "winner": None, "more_calls": None}
        empty = {"candidates": [], "verdict": verdict, "notes": found.notes}
        terminal.emit({**found.period, **empty})
    else:
        terminal.say(said)
        observed.say(found.notes)
    return Exit.OK


def _show(made: Comparison, found: observed.Found) -> None:
    terminal.wrapped(f"{found.since} to {found.until}: {words.heading(made)}")
    terminal.say("")
    scored = any(one.score for one in made.candidates)
    columns = [each for each in SUMMARY if scored or each.key not in ("score", "best")]
    terminal.show(columns, [_summary(one) for one in made.candidates])
    asked = {*made.axes, *(one.metric for one in made.criteria if one.used)}
    asked |= {one.metric for each in made.candidates for one in each.limits}
    for name, metric in METRICS.items():
        if name not in asked:
            continue
        terminal.say(f"\n{metric.title}: {metric.meaning}")
        terminal.show(VALUES, [_value(one, name) for one in made.candidates])
    terminal.say("")
    if left := [name for name in METRICS if name not in asked]:
        terminal.wrapped(f"In --json and --html also: {', '.join(left)}.")
        terminal.say("")
    for line in _said(made):
        terminal.wrapped(line)
    observed.say((*made.notes, *found.notes))


def _summary(one: Compared) -> dict[str, str]:
    return {
        "candidate": one.candidate,
        "calls": f"{one.report['calls']:,}",
        "cost": amount(one.report["cost_usd"], str(one.report["cost_status"])),
        "score": words.points(one.score),
        "best": words.chance(one.best),
        "frontier": words.chance(one.on_frontier),
    }


def _value(one: Compared, name: str) -> dict[str, str]:
    found, unit = one.metrics[name], METRICS[name].unit
    return {
        "name": f"  {one.candidate}",
        "value": words.say(found.value, unit),
        "range": words.range_of(found, unit),
    }


def _said(made: Comparison) -> Iterator[str]:
    """The verdict first, then why, then how far it holds."""
    yield made.verdict.said
    for one in made.candidates:
        if one.limits:
            yield f"Limits: {one.candidate}: {words.limits(one)}."
    for line in words.frontier(made):
        yield f"Frontier: {line}."
    for criterion in made.criteria:
        yield f"Weights: {words.stays(criterion, made.verdict.winner or 'the winner')}."
    if line := words.volume(made):
        yield f"Hull: {line}."
    yield f"Kind of claim: {made.claim}."
