"""`taximeter audit log`: who changed what.

Queries the running console, whose process owns the embedded store; without one, opens the store.
"""

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime

from exporters.audit import COLUMNS as FIELDS
from exporters.clickhouse.audit import AuditTable
from exporters.clickhouse.audit_sql import AuditQuestion
from exporters.clickhouse.store import Row, Store
from exporters.record import TransientError
from proxy.commands import questions, terminal
from proxy.commands.arguments import Actions, common_again
from proxy.commands.console_client import ask
from proxy.commands.stored import stored_configuration
from proxy.commands.terminal import Column, Exit
from proxy.console.audit_api import PATH, readable
from proxy.delivery import lag
from proxy.query.csv_rows import csv_text
from proxy.query.language import AUDIT_LOG, audit_question
from proxy.settings.config import Config
from proxy.settings.places import Places, has_store, store_dsn

COLUMNS = tuple(
    Column(name, name) for name in ("ts", "actor", "role", "action", "target", "change")
)


def add_action(actions: Actions) -> None:
    """Add `log` to the actions of `taximeter audit`."""
    help = "show who changed what, newest first"
    added = actions.add_parser("log", parents=[common_again()], help=help, description=help)
    questions.add_question(added, AUDIT_LOG)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    try:
        form = questions.form(arguments)
        pairs, asked = questions.question(arguments, AUDIT_LOG)
        question = audit_question(asked, datetime.now(UTC))
        return log(stored_configuration(arguments), question, pairs, form)
    except ValueError as error:
        terminal.say(f"audit log: {error}", sys.stderr)
        return Exit.MISTAKE


def log(config: Config, question: AuditQuestion, pairs: questions.Pairs, form: str) -> Exit:
    """Print the entries."""
    try:
        rows: list[Row] | None = ask(config, PATH, pairs)
        if rows is None:
            rows = asyncio.run(_from_store(config, question))
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the audit log: {error}", sys.stderr)
        return Exit.FAILED
    if form == "json":
        terminal.emit(rows)
    elif form == "csv":
        sys.stdout.write(csv_text(rows, FIELDS))
    elif rows:
        terminal.show(COLUMNS, map(_cells, rows))
    else:
        terminal.say("The audit log has no such entry.")
    return Exit.OK


async def _from_store(config: Config, question: AuditQuestion) -> list[Row]:
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
        sql, bound = question.sql()
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
