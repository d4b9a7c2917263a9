"""`taximeter tariffs import`: copies prices of a public price set into your own tariff files."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from pricing import TariffError
from pricing.book import SHIPPED
from pricing.upkeep import bedrock, import_plan, price_sets
from pricing.upkeep.import_plan import Plan, Wanted
from pricing.upkeep.updates import Change
from proxy.commands import audited, price_source, tariff_files, terminal
from proxy.commands.terminal import Column, Exit, count
from proxy.console.audit_api import ChangeMade
from proxy.metering import own_tariffs
from proxy.settings.config import Config

SETS = "LiteLLM's cost map, genai-prices' data.json, models.dev's api.json, or OpenRouter's /models"
ROWS_SHOWN = 40  # --json has all
REASONS_SHOWN = 10
COLUMNS = (
    Column("kind", "what"),
    Column("provider", "provider"),
    Column("model", "model"),
    Column("meter", "meter"),
    Column("when", "when"),
    Column("ours", "price now", number=True),
    Column("theirs", "by the set", number=True),
)
REASONS = (
    Column("count", "models", number=True),
    Column("why", "not imported because"),
    Column("example", "example"),
)
ASIDE = (
    Column("count", "models", number=True),
    Column("field", "price left out"),
    Column("why", "reason"),
)
ORDER = (Change.CHANGED, Change.ADDED, Change.NEW, Change.KEPT)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("source", metavar="FILE|URL", help=SETS)
    parser.add_argument("--to", type=Path, metavar="DIR", help=tariff_files.TO_HELP)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="import only these models, such as 'xai/*'; may be repeated",
    )
    parser.add_argument(
        "--override",
        action="store_true",
        help="also replace prices entered by hand or imported from another set",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show the differences")
    parser.add_argument("--yes", action="store_true", help="write without asking for confirmation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    source: str
    to: Path | None = None
    only: Sequence[str] = ()
    override: bool = False
    dry_run: bool = False
    yes: bool = False
    as_json: bool = False


def main(arguments: argparse.Namespace, config: Config, today: date) -> Exit:
    """Run the action."""
    names = ("source", "to", "only", "override", "dry_run", "yes")
    order = Order(**{name: getattr(arguments, name) for name in names}, as_json=arguments.json)
    return import_set(order, config, today)


def import_set(order: Order, config: Config, today: date) -> Exit:
    """Show what a set would change and, if that is wanted, write it."""
    place = tariff_files.directory(order.to, config)
    if place is None:
        terminal.say(tariff_files.NO_DIRECTORY, sys.stderr)
        return Exit.MISTAKE
    try:
        plan = _plan(order, place, config, today)
        own_tariffs.book_with(place, config, plan.files)  # what does not load is not written
    except price_source.NotFetched as error:
        terminal.say(f"tariffs import: {error}", sys.stderr)
        return Exit.FAILED
    except TariffError:
        raise
    except ValueError as error:
        terminal.say(f"tariffs import: {error}", sys.stderr)
        return Exit.MISTAKE
    if not order.as_json:
        _show(plan)
    if not plan.files or order.dry_run:
        return _done(plan, order, [])
    number = sum(plan.found.models[kind] for kind in Change if kind is not Change.KEPT)
    question = f"Write the prices of {count(number)} models to {place}?"
    if not order.yes and (order.as_json or not tariff_files.confirmed(question)):
        terminal.say("Nothing was written.  Use --yes to write without confirmation.", sys.stderr)
        return _done(plan, order, [], Exit.MISTAKE)
    after = {"files": list(plan.files), "models": number}
    origin = price_source.origin(order.source)
    audited.note_tariffs(config, place, ChangeMade("tariffs-import", origin, after=after))
    own_tariffs.write(place, plan.files)
    written = [str(place / name) for name in plan.files]
    terminal.say(f"{count(number)} models written to {', '.join(written)}.", sys.stderr)
    tariff_files.say_what_next(place, config)
    return _done(plan, order, written)


def _plan(order: Order, place: Path, config: Config, today: date) -> Plan:
    with _bar() as seen:
        document = price_sets.decode(price_source.read(order.source, seen))
    book = own_tariffs.book_with(place, config, {})
    providers = tariff_files.providers(book, config)
    return import_plan.plan(
        document,
        book=book,
        files=own_tariffs.texts(place),
        wanted=Wanted(providers=providers, only=order.only, override=order.override),
        day=today,
        origin=price_source.origin(order.source).replace(",", "%2C"),
        surcharge=bedrock.Surcharge.of((SHIPPED / bedrock.FILE).read_text(encoding="utf-8")),
    )


@contextmanager
def _bar() -> Iterator[price_source.Seen]:
    """A progress bar on standard error, if that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    hidden = not sys.stderr.isatty()
    with Progress(
        *columns, console=Console(file=sys.stderr), transient=True, disable=hidden
    ) as progress:
        task = progress.add_task("reading prices", total=None)
        yield lambda done, size: progress.update(task, completed=done, total=size)


def _show(plan: Plan) -> None:
    """The differences for people, and everything that is not imported by name."""
    found = plan.found
    rows = sorted(found.differences, key=lambda each: ORDER.index(each.kind))
    if rows:
        terminal.show(COLUMNS, [each.row() for each in rows[:ROWS_SHOWN]])
        if len(rows) > ROWS_SHOWN:
            terminal.say(f"... and {count(len(rows) - ROWS_SHOWN)} more prices; --json lists all")
        terminal.say("")
    models = {kind: count(number) for kind, number in found.models.items()}
    terminal.say(
        f"Models in {plan.set_name}: {models[Change.NEW]} new,"
        f" {models[Change.CHANGED]} with a changed price,"
        f" {models[Change.ADDED]} with an additional price, {count(found.same)} unchanged."
    )
    if found.models[Change.KEPT]:
        terminal.say(
            f"{models[Change.KEPT]} keep a price that was entered by hand or comes from another"
            " set; --override replaces it."
        )
    if plan.elsewhere:
        number = sum(plan.elsewhere.values())
        terminal.say(
            f"Skipped {count(number)} models of {count(len(plan.elsewhere))} providers that are not"
            " configured."
        )
    _show_counts(plan)


def _show_counts(plan: Plan) -> None:
    reasons = Counter(each.why for each in plan.left_out)
    example = {each.why: f"{each.provider}/{each.model}" for each in reversed(plan.left_out)}
    if reasons:
        terminal.say("")
        terminal.show(
            REASONS,
            [
                {"count": count(number), "why": why, "example": example[why]}
                for why, number in reasons.most_common(REASONS_SHOWN)
            ],
        )
        if len(reasons) > REASONS_SHOWN:
            terminal.say(f"... and {len(reasons) - REASONS_SHOWN} more reasons; --json lists all")
    aside = Counter((each.field, each.why) for each in plan.set_aside)
    if aside:
        terminal.say("")
        terminal.show(
            ASIDE,
            [
                {"count": count(number), "field": field, "why": why}
                for (field, why), number in aside.most_common(REASONS_SHOWN)
            ],
        )
    terminal.say("")


def _done(plan: Plan, order: Order, written: Sequence[str], code: Exit = Exit.OK) -> Exit:
    if order.as_json:
        terminal.emit(
            {
                "set": plan.set_name,
                "source": price_source.origin(order.source),
                "models": {kind.value: number for kind, number in plan.found.models.items()},
                "same": plan.found.same,
                "differences": [each.row() for each in plan.found.differences],
                "left_out": plan.left_out,
                "set_aside": plan.set_aside,
                "other_providers": plan.elsewhere,
                "written": written,
            }
        )
    return code
