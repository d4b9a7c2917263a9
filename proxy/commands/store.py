"""`taximeter store check`: whether the store's sums are those of its rows, day by day.

Asks the running console, which owns the embedded store and knows whether rows still wait; without
one, opens the store itself.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.record import TransientError
from proxy.commands import terminal
from proxy.commands.arguments import add_common, common_again, configuration
from proxy.commands.console_client import ask
from proxy.commands.terminal import Column, Exit
from proxy.console.api import QUIET_S
from proxy.delivery import timed
from proxy.delivery.delivery import Cursor
from proxy.settings.config import Config
from proxy.settings.places import Places, store_dsn

REPAIR_TIMEOUT_S = 3600.0  # a rebuilt day is read anew
COLUMNS = (
    Column("day", "day (UTC)"),
    Column("rollup", "rollup"),
    Column("sum", "sum"),
    Column("rows", "of the rows", number=True),
    Column("rolled_up", "in the rollup", number=True),
    Column("repaired", "repaired"),
)

Difference = Mapping[str, Any]  # exporters.clickhouse.reconcile.Difference, as JSON has it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the command line."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    help = "whether the store's sums match its rows, day by day; exit code 1 if not"
    added = actions.add_parser("check", parents=[common_again()], help=help, description=help)
    added.add_argument("--repair", action="store_true", help="rebuild the sums of such days")
    added.add_argument(
        "--quiet",
        type=int,
        default=QUIET_S,
        metavar="SECONDS",
        help=f"leave out days with rows newer than this ({QUIET_S})",
    )


def main(arguments: argparse.Namespace) -> int:
    """Entry of the command."""
    return check(
        configuration(arguments),
        repair=arguments.repair,
        quiet_s=arguments.quiet,
        as_json=arguments.json,
    )


def check(config: Config, *, repair: bool, quiet_s: int, as_json: bool) -> Exit:
    """Print the days that differ.  FAILED: some differ still, or the store does not answer."""
    query = {"quiet_s": str(quiet_s)}
    method, timeout_s = ("POST", REPAIR_TIMEOUT_S) if repair else ("GET", 600.0)
    try:
        found = ask(config, "/api/store/check", query, method=method, timeout_s=timeout_s)
        if found is None:
            found = asyncio.run(_directly(config, repair=repair, quiet_s=quiet_s))
    except (TransientError, OSError) as error:
        terminal.say(f"The store cannot be checked: {error}")
        return Exit.FAILED
    if as_json:
        terminal.emit(found)
    elif found:
        terminal.show(COLUMNS, [row for one in found for row in _rows(one)])
    else:
        terminal.say(
            "The sums of every day are those of its rows"
            f" (days with rows of the last {quiet_s} s were left out)."
        )
    return Exit.OK if all(one["repaired"] for one in found) else Exit.FAILED


async def _directly(config: Config, *, repair: bool, quiet_s: int) -> Sequence[Difference]:
    """With nothing serving.  Raises TransientError if rows still wait in the journal."""
    if waiting := _waiting(config.data):
        raise TransientError(
            f"{waiting} rows wait in the journal of {config.data};"
            " start `taximeter serve`, let it write them, and check again"
        )
    store = config.store
    clickhouse = ClickHouse(store_dsn(config), database=store.database, ttl_days=store.ttl_days)
    try:
        found = await clickhouse.reconcile(repair=repair, quiet_s=quiet_s)
    finally:
        await clickhouse.close()
    decoded: list[Difference] = msgspec.json.decode(msgspec.json.encode(found))
    return decoded


def _waiting(data: Path) -> int:
    """Records that the store has not taken."""
    try:
        saved = Places(data).cursor(ClickHouse.name).read_bytes()
        cursor = msgspec.json.decode(saved, type=Cursor)
    except FileNotFoundError:
        cursor = Cursor()
    return timed.waiting(Places(data).records, cursor)


def _rows(one: Difference) -> list[dict[str, str]]:
    """A line for each sum that differs."""
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
    """No row at all, nothing known to add up, or the sum with all its digits."""
    if name not in sums:
        return "no rows"
    return terminal.UNKNOWN if sums[name] is None else str(sums[name])
