"""`taximeter audit log`: who changed what.

Queries the running console, whose process owns the embedded store; without one, opens the store.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from exporters.clickhouse.audit import EXACT, AuditTable
from exporters.clickhouse.store import Row, Store
from exporters.record import TransientError
from proxy.commands import terminal
from proxy.commands.arguments import add_common, common_again, configuration
from proxy.commands.console_client import ask
from proxy.commands.terminal import Column, Exit
from proxy.console.audit_api import LIMIT_DEFAULT, PARAMETERS, PATH, question, readable
from proxy.delivery import lag
from proxy.settings.config import Config
from proxy.settings.places import Places, has_store, store_dsn

COLUMNS = tuple(
    Column(name, name) for name in ("ts", "actor", "role", "action", "target", "change")
)
HELP = {
    "since": "start, as a time or an age such as 7d",
    "until": "end, as a time or an age",
    "limit": f"how many entries (default: {LIMIT_DEFAULT})",
    "before": "for the next page: ts of the last entry",
    "before_id": "for the next page: id of the last entry",
    **{name: f"only entries with this {name}" for name in EXACT},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    help = "show who changed what, newest first"
    added = actions.add_parser("log", parents=[common_again()], help=help, description=help)
    for name in PARAMETERS:
        flag = f"--{name.replace('_', '-')}"
        added.add_argument(flag, default="", metavar=name.upper(), help=HELP[name])


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(arguments)
    query = {name: value for name in PARAMETERS if (value := getattr(arguments, name))}
    try:
        return log(config, query, as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"audit log: {error}", sys.stderr)
        return Exit.MISTAKE


def log(config: Config, query: Mapping[str, str], *, as_json: bool) -> Exit:
    """Print the entries.  Raises ValueError for an invalid query."""
    question(query, datetime.now(UTC))
    try:
        rows: list[Row] | None = ask(config, PATH, query)
        if rows is None:
            rows = asyncio.run(_from_store(config, query))
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the audit log: {error}")
        return Exit.FAILED
    if as_json:
        terminal.emit(rows)
    elif rows:
        terminal.show(COLUMNS, map(_cells, rows))
    else:
        terminal.say("The audit log has no such entry.")
    return Exit.OK


async def _from_store(config: Config, query: Mapping[str, str]) -> list[Row]:
    """The entries without a running meter.  Raises TransientError if some wait in the journal."""
    places = Places(config.data)
    if waiting := lag.undelivered(places.audit, places.cursor(AuditTable.name)):
        raise TransientError(
            f"{waiting} entries are waiting in {places.audit}."
            "  Start `taximeter serve` to write them to the store, then ask again."
        )
    if not has_store(config):
        return []  # this data directory was never served from
    store = Store(store_dsn(config), database=config.store.database)
    try:
        sql, bound = question(query, datetime.now(UTC)).sql()
        return [readable(row) for row in await store.ask(sql, bound)]
    finally:
        await store.close()


def _cells(row: Row) -> dict[str, str]:
    change = " → ".join(
        json.dumps(row[name], ensure_ascii=False) for name in ("before", "after") if row[name]
    )
    return {name: str(row[name]) for name in ("actor", "role", "action", "target")} | {
        "ts": str(row["ts"])[:19],
        "change": change,
    }
