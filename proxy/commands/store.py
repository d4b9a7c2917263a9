"""`taximeter store check`: compares the store's rollups with its rows, day by day.

Asks the running console, which owns the embedded store and knows whether rows are waiting; without
one, opens the store.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.record import TransientError
from pricing.money import UNKNOWN
from proxy.commands import audited, questions, terminal
from proxy.commands.arguments import add_common, common_again
from proxy.commands.console_client import ask
from proxy.commands.stored import stored_configuration
from proxy.commands.terminal import Column, Exit
from proxy.console.api import QUIET_S, QUIET_S_MAX
from proxy.console.audit_api import ChangeMade
from proxy.delivery import lag
from proxy.query.csv_rows import csv_text
from proxy.settings.config import Config
from proxy.settings.places import Places, store_dsn
from proxy.settings.retention import shortest_days, table_days

CHECK_TIMEOUT_S = 600.0
REPAIR_TIMEOUT_S = 3600.0  # all rows of a rebuilt day are read
COLUMNS = (
    Column("day", "day (UTC)"),
    Column("rollup", "rollup"),
    Column("sum", "sum"),
    Column("rows", "by the rows", number=True),
    Column("rolled_up", "by the rollup", number=True),
    Column("repaired", "repaired"),
)

Difference = Mapping[str, Any]  # exporters.clickhouse.reconcile.SumDifference, decoded from JSON


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    help = "compare rollups with rows, day by day; exit code 1 if they differ"
    added = actions.add_parser("check", parents=[common_again()], help=help, description=help)
    added.add_argument("--repair", action="store_true", help="rebuild the rollups that differ")
    added.add_argument("--csv", action="store_true", help="print CSV, for spreadsheets")
    added.add_argument(
        "--quiet",
        type=seconds,
        default=QUIET_S,
        metavar="SECONDS",
        help=f"skip days with rows newer than this (default: {QUIET_S})",
    )


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    try:
        form = questions.form(arguments)
        config = stored_configuration(arguments)
        return check(config, repair=arguments.repair, quiet_s=arguments.quiet, form=form)
    except ValueError as error:
        terminal.say(f"store check: {error}", sys.stderr)
        return Exit.MISTAKE


def seconds(text: str) -> int:
    """A number of seconds that the console takes too."""
    if not (text.isascii() and text.isdecimal() and int(text) <= QUIET_S_MAX):
        hint = f"a number of seconds from 0 to {QUIET_S_MAX}"
        raise argparse.ArgumentTypeError(f"{text!r} is not {hint}")
    return int(text)


def check(config: Config, *, repair: bool, quiet_s: int, form: str = "table") -> Exit:
    """Print the days that differ.  FAILED: some still differ, or the store does not respond."""
    query = {"quiet_s": str(quiet_s)}
    method, timeout_s = ("POST", REPAIR_TIMEOUT_S) if repair else ("GET", CHECK_TIMEOUT_S)
    try:
        found = ask(config, "/api/store/check", query, method=method, timeout_s=timeout_s)
        if found is None:
            if repair:
                after = {"quiet_s": str(quiet_s)}
                audited.write(config, ChangeMade("store-repair", "rollups", after=after))
            found = asyncio.run(_directly(config, repair=repair, quiet_s=quiet_s))
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot check the store: {error}")
        return Exit.FAILED
    if form == "json":
        terminal.emit(found)
    elif form == "csv":
        keys = [column.key for column in COLUMNS]
        sys.stdout.write(csv_text([row for one in found for row in _rows(one)], keys))
    elif found:
        terminal.show(COLUMNS, [row for one in found for row in _rows(one)])
    else:
        terminal.say(
            "The rollups match the rows on every day"
            f" (days with rows from the last {quiet_s} s were skipped)."
        )
    return Exit.OK if all(one["repaired"] for one in found) else Exit.FAILED


async def _directly(config: Config, *, repair: bool, quiet_s: int) -> Sequence[Difference]:
    """Check without a running meter.  Raises TransientError if rows wait in the journal."""
    places = Places(config.data)
    if waiting := lag.undelivered(places.records, places.cursor(ClickHouse.name)):
        raise TransientError(
            f"{waiting} rows are waiting in the journal of {config.data}."
            "  Start `taximeter serve` to write them to the store, then check again."
        )
    store = config.store
    clickhouse = ClickHouse(
        store_dsn(config),
        database=store.database,
        ttl_days=table_days(config)[0],
        checked_days=shortest_days(config),
    )
    try:
        found = await clickhouse.reconcile(repair=repair, quiet_s=quiet_s)
    finally:
        await clickhouse.close()
    decoded: list[Difference] = msgspec.json.decode(msgspec.json.encode(found))
    return decoded


def _rows(one: Difference) -> list[dict[str, str]]:
    """One table row per sum that differs."""
    rows, rolled_up = one["rows"], one["rolled_up"]
    names = [name for name in rows | rolled_up if rows.get(name) != rolled_up.get(name)]
    return [
        {
            "day": one["day"],
            "rollup": one["rollup"],
            "sum": name,
            "rows": _shown(rows, name),
            "rolled_up": _shown(rolled_up, name),
            "repaired": "yes" if one["repaired"] else "no",
        }
        for name in names
    ]


def _shown(sums: Mapping[str, object], name: str) -> str:
    """The sum with all its digits; "unknown" without a known value, "no rows" without rows."""
    if name not in sums:
        return "no rows"
    return UNKNOWN if sums[name] is None else str(sums[name])
