"""`taximeter content`: shows the content of a call, or deletes content.

Queries the running console, whose process owns the embedded store; without one, opens the store.
"""

import argparse
import asyncio
import json
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from exporters.clickhouse.contents import Contents
from exporters.clickhouse.erasing import CONTENT, Erasing
from exporters.clickhouse.store import Row, Store
from exporters.record import TransientError
from proxy.access.roles import COMMAND, Caller
from proxy.commands import audited, terminal
from proxy.commands.arguments import add_common
from proxy.commands.console_client import TIMEOUT_S, request
from proxy.commands.stored import stored_configuration
from proxy.commands.terminal import Exit
from proxy.console.audit_api import ChangeMade
from proxy.console.content_api import DELETE_PATH, NONE, PATH, DeletionOrder
from proxy.delivery import lag
from proxy.retention.eraser import Erased, Eraser
from proxy.settings.config import Config
from proxy.settings.places import Places, has_store, store_dsn
from proxy.settings.retention import held

DELETE_TIMEOUT_S = 3600.0  # ClickHouse rewrites every part that holds such a row
TEXTS = ("request", "response", "output")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    parser.add_argument("call_id", nargs="?", default="", metavar="CALL_ID", help="ID of the call")
    parser.add_argument("--delete", action="store_true", help="delete content for good")
    help = "with --delete: content of this user"
    parser.add_argument("--user", default="", metavar="NAME", help=help)
    help = "with --delete: content older than this time or age, such as 7d"
    parser.add_argument("--before", default="", metavar="TIME", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    whose = DeletionOrder(
        call_id=arguments.call_id, user_id=arguments.user, before=arguments.before
    )
    try:
        if arguments.delete:
            whose.selection(datetime.now(UTC))
            return delete(stored_configuration(arguments), whose, as_json=arguments.json)
        if not arguments.call_id or arguments.user or arguments.before:
            raise ValueError("specify a CALL_ID; --user and --before require --delete")
        return show(stored_configuration(arguments), arguments.call_id, as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"content: {error}", sys.stderr)
        return Exit.MISTAKE


def show(config: Config, call_id: str, *, as_json: bool) -> Exit:
    """Print the content of a call.  FAILED: there is none, or the store does not respond."""
    try:
        row = _ask(config, PATH.format(call_id=quote(call_id, safe="")), "GET", TIMEOUT_S)
        if row is None:
            row = asyncio.run(_from_store(config, call_id))
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the content: {error}")
        return Exit.FAILED
    if as_json:
        terminal.emit(row)
    else:
        _show(row)
    return Exit.FAILED if "error" in row else Exit.OK


def delete(config: Config, whose: DeletionOrder, *, as_json: bool) -> Exit:
    """Delete content and print its number of calls."""
    data = msgspec.json.encode(whose)
    try:
        done = _ask(config, DELETE_PATH, "POST", DELETE_TIMEOUT_S, data)
        if done is None:
            done = msgspec.to_builtins(asyncio.run(_delete(config, whose)))
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot delete the content: {error}")
        return Exit.FAILED
    if as_json:
        terminal.emit(done)
    else:
        terminal.say(f"Deleted the content of {done['deleted']:,} calls.  Their rows are kept.")
        if "held" in done:
            terminal.say(f"Kept that of {done['held']:,} calls of projects under a legal hold.")
    return Exit.OK


def _ask(
    config: Config, path: str, method: str, timeout_s: float, data: bytes | None = None
) -> Any:
    """The running console's response; None if none is running."""
    with request(config, path, method=method, timeout_s=timeout_s, data=data) as answer:
        return None if answer is None else json.load(answer)


async def _from_store(config: Config, call_id: str) -> Row:
    found = None
    if has_store(config):
        store = Store(store_dsn(config), database=config.store.database)
        try:
            found = await store.content(call_id)
        finally:
            await store.close()
    if found is None:
        return {"error": NONE}
    await _Noting(config)(COMMAND, "content-read", f"call {call_id}")
    return found


async def _delete(config: Config, whose: DeletionOrder) -> Erased:
    """Delete without a running meter.  Raises TransientError if content waits in the journal."""
    places = Places(config.data)
    if waiting := lag.undelivered(places.contents, places.cursor(Contents.name)):
        raise TransientError(
            f"content of {waiting} calls is waiting in {places.contents}."
            "  Start `taximeter serve` to write it to the store, then delete again."
        )
    if not has_store(config):
        return Erased(0)  # this data directory was never served from
    erasing = Erasing(store_dsn(config), database=config.store.database)
    eraser = Eraser(erasing, places.erasing, _Noting(config), nullcontext, held(config))
    try:
        selection = whose.selection(datetime.now(UTC))
        return await eraser.erase(COMMAND, "content-delete", whose.target, CONTENT, selection)
    finally:
        await erasing.close()


class _Noting:
    """Writes entries while no meter runs, as `proxy.access.audit.Audit` does."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def __call__(
        self, actor: Caller, action: str, target: str, before: object = None, after: object = None
    ) -> None:
        change = ChangeMade(action, target, before, after)
        await asyncio.to_thread(audited.write, self._config, change)


def _show(row: Row) -> None:
    if "error" in row:
        terminal.say(str(row["error"]))
        return
    model = row["response_model"] or row["request_model"]
    terminal.say(f"{row['ts']}  {row['provider']}  {model}  {row['outcome']}")
    for name in TEXTS:
        if row[name]:
            cut = " (truncated)" if row[f"{name}_cut"] else ""
            terminal.say(f"\n{name}{cut}:\n{row[name]}")
    redactions = row["redactions"]
    if isinstance(redactions, dict) and redactions:
        counts = ", ".join(f"{count} x {kind}" for kind, count in redactions.items())
        terminal.say(f"\nredacted: {counts}")
