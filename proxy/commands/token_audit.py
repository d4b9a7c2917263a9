"""`taximeter report --audit`: what providers report beside our own count of the same calls."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from exporters.clickhouse.query import Filter
from exporters.clickhouse.store import Store
from exporters.record import TransientError
from proxy.commands import questions, terminal
from proxy.commands.console_client import ask
from proxy.commands.stored import stored_configuration
from proxy.commands.terminal import Column, Exit, count
from proxy.metering.token_audits import CALLS_MIN, Comparison, comparisons
from proxy.query.asked import FILTERED_PERIOD
from proxy.query.csv_rows import csv_text
from proxy.query.language import Defaults, Stretch, stretch
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn

COLUMNS: Sequence[Column] = (
    Column("provider", "provider"),
    Column("model", "model"),
    Column("kind", "tokens"),
    Column("calls", "calls counted", number=True),
    Column("reported", "reported", number=True),
    Column("counted", "counted", number=True),
    Column("ratio", "ratio", number=True),
    Column("expected", "expected", number=True),
    Column("verdict", "verdict"),
)


def report(arguments: argparse.Namespace, form: str) -> Exit:
    """Print a row for each provider, model and kind.  Raises ValueError for a mistake."""
    pairs, asked = questions.question(arguments, FILTERED_PERIOD)
    period = stretch(asked, datetime.now(UTC), Defaults())
    config = stored_configuration(arguments)
    try:
        rows = ask(config, "/api/counted", pairs)
        if rows is None:
            rows = msgspec.to_builtins(asyncio.run(_from_store(config, period, asked.filters)))
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the calls: {error}", sys.stderr)
        return Exit.FAILED
    if form == "json":
        terminal.emit(rows)
    elif form == "csv":
        sys.stdout.write(csv_text(rows, Comparison.__struct_fields__))
    elif rows:
        terminal.show(COLUMNS, map(_cells, msgspec.convert(rows, list[Comparison])))
    else:
        terminal.say("No call of this period was counted: see metering.audit_sample.")
    return Exit.OK


def _cells(one: Comparison) -> dict[str, str]:
    verdict = "as expected" if one.within else f"differs, as in {', '.join(one.evidence)}"
    return {
        "provider": one.provider,
        "model": one.model,
        "kind": one.kind,
        **{name: count(getattr(one, name)) for name in ("calls", "reported", "counted")},
        "ratio": "-" if one.ratio is None else f"{one.ratio:.3f}",
        "expected": f"1 ± {one.expected_error:.2f}",
        "verdict": "too few calls" if one.calls < CALLS_MIN else verdict,
    }


async def _from_store(
    config: Config, period: Stretch, filters: Sequence[Filter]
) -> list[Comparison]:
    if not has_store(config):
        return []
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await comparisons(store, period.since, period.until, filters)
    finally:
        await store.close()
