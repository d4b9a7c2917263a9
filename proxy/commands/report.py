"""`taximeter report`: calls, tokens and cost, by group.

Queries the running console, whose process owns the embedded store; without one, opens the store.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from exporters.clickhouse.store import Row, Store
from exporters.record import TransientError
from pricing.money import calls
from proxy.commands import fare, terminal, token_audit
from proxy.commands.arguments import add_common, configuration
from proxy.commands.console_client import ask
from proxy.commands.terminal import Column, Exit
from proxy.instants import instant
from proxy.metering.book import tariff_book
from proxy.metering.unpriced import REPRICE, Hint, unpriced
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    help = "start, as a time or an age such as 2026-11-01 or 7d (default: 24h)"
    parser.add_argument("--since", default="24h", metavar="TIME", help=help)
    help = "end, as a time or an age (default: now)"
    parser.add_argument("--until", default="", metavar="TIME", help=help)
    help = "columns and tag.NAME to group by (default: provider,model)"
    parser.add_argument("--by", default="provider,model", metavar="NAMES", help=help)
    help = "compare the tokens that providers report with our own count of a sample instead"
    parser.add_argument("--audit", action="store_true", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    by = tuple(filter(None, arguments.by.split(",")))
    since, until = arguments.since, arguments.until
    config = configuration(arguments)
    try:
        if arguments.audit:
            return token_audit.report(config, since=since, until=until, as_json=arguments.json)
        return report(config, since=since, until=until, by=by, as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"report: {error}", sys.stderr)
        return Exit.MISTAKE


def report(config: Config, *, since: str, until: str, by: Sequence[str], as_json: bool) -> Exit:
    """Print one row per group.  Raises ValueError for an invalid time or group."""
    try:
        query = {"since": since, "until": until, "by": ",".join(by)}
        rows: list[Row] | None = ask(config, "/api/spend", query)
        hints: list[Hint] = []
        if rows is None:
            rows, hints = asyncio.run(_from_store(config, since, until, by))
        elif any(row["inexact_calls"] or row["unpriced_calls"] for row in rows):
            found = ask(config, "/api/unpriced", query)
            hints = msgspec.convert(found or [], list[Hint])
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the calls: {error}")
        return Exit.FAILED
    if as_json:
        terminal.emit(rows)
    elif rows:
        groups = [Column(name, name) for name in by]
        terminal.show((*groups, *fare.MONEY), [fare.cells(row) for row in rows])
        _advise(hints)
    else:
        terminal.say(f"No calls since {since} in {config.data}.")
    return Exit.OK


def _advise(hints: Sequence[Hint]) -> None:
    """Name what prices the models that have no price."""
    for hint in hints:
        terminal.say(f"{calls(hint.calls)}: {hint}")
    if hints:
        terminal.say(f"Then, to restate the calls: {REPRICE}")


async def _from_store(
    config: Config, since: str, until: str, by: Sequence[str]
) -> tuple[list[Row], list[Hint]]:
    now = datetime.now(UTC)
    if not has_store(config):
        return [], []  # this data directory was never served from
    store = Store(store_dsn(config), database=config.store.database)
    try:
        period = instant(since, now), instant(until, now) if until else None
        rows = await store.report(*period, tuple(by))
        return rows, await unpriced(store, tariff_book(config), *period)
    finally:
        await store.close()
