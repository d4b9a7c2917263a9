"""`taximeter content`: what was said in a call, and its deletion.

Asks the running console, which owns the embedded store; without one, opens the store itself.
"""

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from exporters.clickhouse.contents import Contents
from exporters.clickhouse.store import Row, Store
from exporters.record import TransientError
from proxy.commands import terminal
from proxy.commands.arguments import add_common, configuration
from proxy.commands.console_client import asking
from proxy.commands.terminal import Exit
from proxy.console import command
from proxy.console.content_api import DELETE_PATH, NONE, PATH, DeletionOrder
from proxy.delivery import timed
from proxy.delivery.delivery import Cursor
from proxy.settings.config import Config
from proxy.settings.places import Places, has_store, store_dsn

TIMEOUT_S = 60.0  # above that of the console's own questions
DELETE_TIMEOUT_S = 3600.0  # every part that holds such a row is written anew
TEXTS = ("request", "response", "output")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the command line."""
    add_common(parser)
    parser.add_argument("call_id", nargs="?", default="", metavar="CALL_ID", help="as rows show it")
    parser.add_argument("--delete", action="store_true", help="delete it from the store, for good")
    parser.add_argument("--user", default="", metavar="NAME", help="with --delete: all of a user")
    parser.add_argument("--before", default="", help="with --delete: instant or age, 7d")


def main(arguments: argparse.Namespace) -> int:
    """Entry of the command."""
    config = configuration(arguments)
    whose = DeletionOrder(
        call_id=arguments.call_id, user_id=arguments.user, before=arguments.before
    )
    try:
        if arguments.delete:
            return delete(config, whose, as_json=arguments.json)
        if not arguments.call_id or arguments.user or arguments.before:
            raise ValueError("name one call; --user and --before go with --delete")
        return show(config, arguments.call_id, as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"content: {error}", sys.stderr)
        return Exit.MISTAKE


def show(config: Config, call_id: str, *, as_json: bool) -> Exit:
    """Print the content of a call.  FAILED: there is none, or the store does not answer."""
    try:
        row = _ask(config, PATH.format(call_id=quote(call_id, safe="")), "GET", TIMEOUT_S)
        if row is None:
            row = asyncio.run(_from_store(config, call_id))
    except (TransientError, OSError) as error:
        terminal.say(f"The content cannot be shown: {error}")
        return Exit.FAILED
    if as_json:
        terminal.emit(row)
    else:
        _show(row)
    return Exit.FAILED if "error" in row else Exit.OK


def delete(config: Config, whose: DeletionOrder, *, as_json: bool) -> Exit:
    """Delete, and say of how many calls.  Raises ValueError for an order that means nothing."""
    whose.selection(datetime.now(UTC))
    data = msgspec.json.encode(whose)
    try:
        done = _ask(config, DELETE_PATH, "POST", DELETE_TIMEOUT_S, data)
        if done is None:
            done = {"deleted": asyncio.run(_delete(config, whose))}
    except (TransientError, OSError) as error:
        terminal.say(f"The content cannot be deleted: {error}")
        return Exit.FAILED
    if as_json:
        terminal.emit(done)
    else:
        terminal.say(f"The content of {done['deleted']:,} calls was deleted.  Their rows stay.")
    return Exit.OK


def _ask(
    config: Config, path: str, method: str, timeout_s: float, data: bytes | None = None
) -> Any:
    """The running console's answer; None if there is none running."""
    headers = command.headers(Places(config.data).command_token)
    with asking(
        config, path, method=method, timeout_s=timeout_s, headers=headers, data=data
    ) as answer:
        return None if answer is None else json.load(answer)


async def _from_store(config: Config, call_id: str) -> Row:
    found = None
    if has_store(config):
        store = Store(store_dsn(config), database=config.store.database)
        try:
            found = await store.content(call_id)
        finally:
            await store.close()
    return {"error": NONE} if found is None else found


async def _delete(config: Config, whose: DeletionOrder) -> int:
    """With nothing serving.  Raises TransientError if content still waits in the journal."""
    if waiting := _waiting(config):
        raise TransientError(
            f"that of {waiting} calls waits in {Places(config.data).contents};"
            " start `taximeter serve`, let it write them, and delete again"
        )
    if not has_store(config):
        return 0  # nothing was ever served from this data directory
    contents = Contents(store_dsn(config), database=config.store.database)
    try:
        return await contents.delete(whose.selection(datetime.now(UTC)))
    finally:
        await contents.close()


def _waiting(config: Config) -> int:
    """Contents that the store has not taken."""
    try:
        saved = Places(config.data).cursor(Contents.name).read_bytes()
        cursor = msgspec.json.decode(saved, type=Cursor)
    except FileNotFoundError:
        cursor = Cursor()
    return timed.waiting(Places(config.data).contents, cursor)


def _show(row: Row) -> None:
    if "error" in row:
        terminal.say(str(row["error"]))
        return
    model = row["response_model"] or row["request_model"]
    terminal.say(f"{row['ts']}  {row['provider']}  {model}  {row['outcome']}")
    for name in TEXTS:
        if row[name]:
            cut = " (something is left out)" if row[f"{name}_cut"] else ""
            terminal.say(f"\n{name}{cut}:\n{row[name]}")
    hidden = row["redactions"]
    if isinstance(hidden, dict) and hidden:
        counts = ", ".join(f"{count} x {kind}" for kind, count in hidden.items())
        terminal.say(f"\nredacted: {counts}")
