"""`taximeter backup DIR`: copies the data directory, embedded store included, while it is in use.

The running meter makes the copy, since it owns the store; without one, this process does.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec

from exporters.clickhouse import backup as database
from exporters.clickhouse import connection
from exporters.clickhouse.dsn import parse_dsn
from exporters.record import TransientError
from proxy.backup import backup
from proxy.backup.backup import Manifest
from proxy.commands import audited, terminal
from proxy.commands.arguments import add_common
from proxy.commands.console_client import request
from proxy.commands.stored import stored_configuration
from proxy.commands.terminal import Exit, count
from proxy.console.audit_api import ChangeMade
from proxy.console.backup_api import PATH, BackupOrder, shown
from proxy.serving.instance import TakenError, claimed
from proxy.settings.config import Config
from proxy.settings.places import Places, store_dsn

BACKUP_TIMEOUT_S = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    help = "where to; a directory that is empty or does not exist"
    parser.add_argument("directory", type=Path, metavar="DIR", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = stored_configuration(arguments)
    try:
        return back_up(config, arguments.directory.absolute(), as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"backup: {error}", sys.stderr)
        return Exit.MISTAKE
    except TakenError as error:
        terminal.say(str(error), sys.stderr)
        return Exit.TAKEN
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot back up: {error}", sys.stderr)
        return Exit.FAILED


def back_up(config: Config, to: Path, *, as_json: bool) -> Exit:
    """Make the backup and say what it holds.  Raises ValueError for a place that is in use."""
    made = _from_meter(config, to)
    if made is None:
        made = shown(_directly(config, to))
    if as_json:
        terminal.emit(made)
    else:
        rows = count(made["rows"].get("calls", 0))
        terminal.say(f"Backed up {rows} calls to {to} ({count(made['bytes'])} bytes).")
    return Exit.OK


def _from_meter(config: Config, to: Path) -> Any:
    """What the running meter backed up; None if none is running."""
    data = msgspec.json.encode(BackupOrder(str(to)))
    with request(config, PATH, method="POST", timeout_s=BACKUP_TIMEOUT_S, data=data) as answer:
        return None if answer is None else json.load(answer)


def _directly(config: Config, to: Path) -> Manifest:
    dsn = parse_dsn(store_dsn(config), config.store.database)
    if not config.data.is_dir():
        raise ValueError(f"there is nothing in {config.data} to back up")
    backup.check(dsn.directory, to, config.data)
    audited.write(config, ChangeMade("backup", str(to)))
    with claimed(config.data):
        backup.begin(to)
        try:
            backup.copy_files(config.data, to)
            rows = {}
            if Places(config.data).embedded_store.exists():
                client = connection.connect(dsn)
                try:
                    rows = database.back_up(client, dsn.database, to / backup.STORE)
                finally:
                    client.close()
            return backup.seal(to, dsn.database, rows)
        except BaseException:
            shutil.rmtree(to, ignore_errors=True)
            raise
