"""What `taximeter eval run` was asked for, checked; what it can cost; what it will not find out."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from evaluation import sandbox
from evaluation.checks.code import Code, Security
from evaluation.runs import keys
from evaluation.runs.keys import Keys
from evaluation.runs.plan import Candidate, Line, Plan, PlanError, candidates
from evaluation.runs.runner import needs_judge
from evaluation.suites import reader
from pricing import TariffBook
from pricing.charge import plain
from pricing.money import amount
from proxy.commands import terminal
from proxy.commands.terminal import Column, Exit
from proxy.metering.book import tariff_book
from proxy.settings.config import Config

QUOTE: Sequence[Column] = (
    Column("name", "model"),
    Column("calls", "calls", number=True),
    Column("usd", "at most", money=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the user asked for, checked."""

    config: Config
    book: TariffBook
    plan: Plan
    keys: Keys  # none if only a quote was asked for
    max_usd: Decimal | None
    at_once: int
    new: bool
    as_json: bool
    origin: str = ""  # of the run's row


def mistaken(error: Exception, *, as_json: bool) -> Exit:
    """Say what is wrong with an order, a line for each mistake."""
    mistakes = str(error).split("\n")
    if as_json:
        terminal.emit({"mistakes": mistakes})
    for mistake in mistakes:
        terminal.say(mistake, sys.stderr)
    return Exit.MISTAKE


def order_of(arguments: argparse.Namespace, config: Config) -> Order:
    """Raises PlanError and SuiteError with everything that is wrong."""
    suite = reader.read(arguments.suite)
    if arguments.samples < 1 or arguments.concurrency < 1:
        raise PlanError("--samples and --concurrency must be 1 or more")
    models = candidates(arguments.models, config.providers)
    judge = arguments.judge or suite.judge
    judges = candidates(judge, config.providers) if judge else [None]
    if len(judges) > 1:
        raise PlanError("--judge: give one model")
    plan = Plan(suite=suite, candidates=models, samples=arguments.samples, judge=judges[0])
    return Order(
        config=config,
        book=tariff_book(config),
        plan=plan,
        keys=keys_of(arguments, config, [*models, *filter(None, judges)]),
        max_usd=arguments.max_usd,
        at_once=arguments.concurrency,
        new=arguments.new,
        as_json=arguments.json,
    )


def keys_of(arguments: argparse.Namespace, config: Config, models: Sequence[Candidate]) -> Keys:
    """The keys that these models are called with; a quote needs none.  Raises PlanError."""
    if arguments.quote:
        return {}
    return keys.found(config, (model.provider for model in models), os.environ)


def refusal(lines: Sequence[Line], max_usd: Decimal | None, spent: Decimal) -> str:
    """Why the limit could not be kept; "" if it can."""
    if max_usd is None:
        return ""
    unknown = [line.name for line in lines if line.usd is None]
    if unknown:
        return (
            f"no price is known for {', '.join(unknown)}, so --max-usd cannot be kept; add a price"
            " with taximeter tariffs add, or leave the limit out"
        )
    total = (total_of(lines) or Decimal(0)) + spent
    if total <= max_usd:
        return ""
    return (
        f"this can cost up to ${plain(total)}, which exceeds --max-usd {plain(max_usd)}. Nothing"
        " was sent. Allow more, or ask for fewer samples, models or max_tokens"
    )


def total_of(lines: Sequence[Line]) -> Decimal | None:
    """All lines together; None if the price of one is not known."""
    if any(line.usd is None for line in lines):
        return None
    return sum((line.usd or Decimal(0) for line in lines), Decimal(0))


def show_quote(order: Order, lines: Sequence[Line]) -> Exit:
    """Print what the run can cost."""
    total = total_of(lines)
    if order.as_json:
        rows = [
            {"model": line.name, "calls": line.calls, "usd": line.usd and plain(line.usd)}
            for line in lines
        ]
        terminal.emit({"quote_usd": None if total is None else plain(total), "models": rows})
        return Exit.OK
    suite = order.plan.suite
    terminal.say(f"{suite.name}: {len(suite.cases):,} cases, version {suite.version}")
    cells = [
        {"name": line.name, "calls": f"{line.calls:,}", "usd": money(line.usd)} for line in lines
    ]
    terminal.show(QUOTE, cells)
    if len(lines) > 1:
        terminal.say(f"At most {money(total)} in all, retries aside.")
    for note in _notes(order):
        terminal.say(note)
    return Exit.OK


def usd(text: str) -> Decimal:
    """An amount on the command line.  Raises argparse.ArgumentTypeError."""
    try:
        found = Decimal(text)
    except ArithmeticError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount in dollars") from None
    if not found.is_finite() or found < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return found


def money(usd: Decimal | None) -> str:
    return amount(usd, "exact" if usd is not None else "unpriced")


def _notes(order: Order) -> Iterator[str]:
    """What will not be found out, said before anything is paid."""
    plan = order.plan
    if plan.judge is None and (cases := needs_judge(plan)):
        yield f"{cases} of the cases need a judge; without --judge they are not judged."
    for candidate in plan.candidates:
        if plan.judge and not plan.judges(candidate):
            yield f"{plan.judge.name} does not judge {candidate.name}: they have the same maker."
    code = sum(
        any(isinstance(c, Code | Security) for c in case.checks) for case in plan.suite.cases
    )
    if code and (reason := sandbox.missing()):
        yield f"{code} of the cases have code, which cannot be run here: {reason}."
