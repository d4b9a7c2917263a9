"""What decisions rest on, for commands: calls of a period, and a run.

Queries the running console, whose process owns the embedded store; without one, opens the store.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from evaluation.commands.eval_report import fetched
from evaluation.decisions.calls import Calls
from evaluation.decisions.comparison import Comparison
from evaluation.decisions.recommended import Recommendation
from evaluation.reports.rows import Stored, decoded
from exporters.clickhouse.notes import notes
from exporters.clickhouse.observed import BY, COLUMNS, Observed, observed
from exporters.clickhouse.query import Query
from exporters.clickhouse.reports import NOTHING
from exporters.clickhouse.store import Row, Store
from proxy.commands import questions, stored, terminal
from proxy.commands.arguments import configuration
from proxy.commands.console_client import ask
from proxy.query.answer import instant_text
from proxy.query.language import OBSERVED, Defaults, report_query
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn

DEFAULTS = Defaults(since="30d", by=BY)
Answer = TypeVar("Answer", Comparison, Recommendation)


@dataclass(frozen=True, slots=True)
class Found:
    """Sums by candidate with the calls behind them; `run` if one was named."""

    config: Config
    since: str | None
    until: str
    tz: str
    sums: list[Row]
    total: Row
    calls: Calls
    share: float
    notes: list[str]
    run: Stored | None

    @property
    def period(self) -> dict[str, object]:
        """For JSON."""
        return {"since": self.since, "until": self.until, "tz": self.tz, "total": self.total}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The period, the filters, and the run."""
    questions.add_question(parser, OBSERVED, DEFAULTS)
    help = "read it from a file instead (- is standard input): an answer of GET /api/observed"
    parser.add_argument("--observed", default="", metavar="FILE", help=help)
    help = "take quality and safety from this run of a suite (taximeter eval run)"
    parser.add_argument("--run", default="", metavar="RUN", help=help)


def find(arguments: argparse.Namespace) -> Found:
    """What was asked for.  Raises ValueError for what is wrong in it, OSError, TransientError."""
    if arguments.observed:
        return _read(arguments)
    pairs, asked = questions.question(arguments, OBSERVED)
    query = report_query(asked, datetime.now(UTC), DEFAULTS)
    config = stored.stored_configuration(arguments)
    found: Any = ask(config, "/api/observed", pairs)
    if found is None:
        found = asyncio.run(_from_store(config, query))
    run = fetched(config, arguments.run) if arguments.run else None
    return _found(config, found, run)


def _read(arguments: argparse.Namespace) -> Found:
    """From a document, whose `run` is that of GET /api/evaluations/{run_id}."""
    given = [name for name, _ in questions.pairs(arguments, OBSERVED) if name != "tz"]
    if given or arguments.run:
        raise ValueError("--observed has its period, filters and run in it; leave out the others")
    file = arguments.observed
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        found = msgspec.json.decode(data)
        missing = [name for name in COLUMNS if name not in found["columns"]]
        run = decoded(found["run"]) if found.get("run") else None
        read = _found(configuration(arguments), found, run)
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--observed: {file} is no answer of GET /api/observed") from error
    if missing:
        said = f"--observed: {file} has no {', '.join(missing)}; another version wrote it"
        raise ValueError(f"{said}. Ask GET /api/observed again")
    return read


def _found(config: Config, found: Any, run: Stored | None) -> Found:
    return Found(
        config=config,
        since=found["since"],
        until=found["until"],
        tz=found["tz"],
        sums=found["sums"],
        total=found["total"],
        calls=Calls.read(found["columns"], found["rows"]),
        share=found["share"],
        notes=found["notes"],
        run=run,
    )


def written(
    arguments: argparse.Namespace,
    found: Found,
    made: Answer,
    page: Callable[[Answer, str | None, str], str],
) -> bool:
    """Write the page and the JSON that were asked for; False if a terminal is to show it.

    A page of `-` is all that standard output has.
    """
    if arguments.html:
        text = page(made, found.since, found.until)
        if str(arguments.html) == "-":
            sys.stdout.write(text)
            return True
        arguments.html.write_text(text, encoding="utf-8")
    if arguments.json:
        document = msgspec.to_builtins(made)
        terminal.emit({**found.period, **document, "notes": [*made.notes, *found.notes]})
    return bool(arguments.json)


def say(notes: Iterable[str]) -> None:
    """Print notes, which may end with a question."""
    for note in notes:
        terminal.wrapped(f"Note: {note}{'' if note.endswith('?') else '.'}")


async def _from_store(config: Config, query: Query) -> Row:
    """The answer without a running console."""
    waiting = list(stored.not_stored(config))
    period = {
        "since": instant_text(query.since),
        "until": instant_text(query.end),
        "tz": query.zone,
    }
    if not has_store(config):  # this data directory was never served from
        return {**period, **Observed(NOTHING, (), [], 1.0).document(), "notes": waiting}
    store = Store(store_dsn(config), database=config.store.database)
    try:
        found = await observed(store, query)
        said = [*await notes(store, query), *waiting]
        return {**period, **found.document(), "notes": said}
    finally:
        await store.close()
