"""`taximeter report --amortised`: what fixed costs come to, spread over calls.

Queries the running console, whose process owns the embedded store; without one, opens the store.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

from exporters.clickhouse.query import Query
from exporters.clickhouse.store import Store
from exporters.record import TransientError
from pricing.money import amount
from proxy.commands import questions, stored, terminal
from proxy.commands.console_client import ask
from proxy.commands.terminal import Column, Exit
from proxy.console.invoice_api import AMORTISED as PATH
from proxy.invoices.fixed import amortised
from proxy.query.asked import Mistake
from proxy.query.csv_rows import csv_text
from proxy.query.language import AMORTISED, Defaults, report_query
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn

ROWS_SHOWN = 50


def report(arguments: argparse.Namespace, form: str) -> Exit:
    """Print a row for each group.  Raises ValueError for a question that is not understood."""
    if arguments.audit:
        raise Mistake("--audit and --amortised contradict each other", "give one of them")
    pairs, asked = questions.question(arguments, AMORTISED)
    query = report_query(asked, datetime.now(UTC), Defaults())
    config = stored.stored_configuration(arguments)
    if not config.fixed_costs:
        raise Mistake("there are no fixed costs", "add [fixed_costs.NAME]: docs/invoice.md")
    try:
        found = ask(config, PATH, pairs)
        if found is None:
            found = asyncio.run(_from_store(config, query))
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the calls: {error}", sys.stderr)
        return Exit.FAILED
    if form == "json":
        terminal.emit(found)
    elif form == "csv":
        sys.stdout.write(csv_text(found["rows"], [*found["by"], "amortised_usd"]))
    else:
        _show(found)
    return Exit.OK


async def _from_store(config: Config, query: Query) -> dict[str, Any]:
    if not has_store(config):
        raise TransientError(f"{config.data} has no store; `taximeter serve` makes it")
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await amortised(store, config.fixed_costs, query)
    finally:
        await store.close()


def _show(found: dict[str, Any]) -> None:
    columns = [Column(name, name) for name in found["by"]]
    rows = [
        {name: str(row[name]) or "(none)" for name in found["by"]}
        | {"usd": amount(row["amortised_usd"])}
        for row in found["rows"][:ROWS_SHOWN]
    ]
    terminal.show((*columns, Column("usd", "amortised", money=True)), rows)
    if len(found["rows"]) > ROWS_SHOWN:
        terminal.say(f"and {len(found['rows']) - ROWS_SHOWN:,} more (use --json to see all)")
    terminal.say("")
    names = (("accrued", "accrued"), ("spread", "on these calls"), ("idle", "without any call"))
    costs = [
        {"name": one["name"], **{key: amount(one[f"{key}_usd"]) for key, _ in names}}
        for one in found["costs"]
    ]
    money = [Column(key, title, money=True) for key, title in names]
    terminal.show((Column("name", "fixed cost"), *money), costs)
