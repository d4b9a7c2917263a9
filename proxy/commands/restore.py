"""`taximeter restore DIR`: makes a data directory from a backup, and proves that it is complete."""

import argparse
import sys
from pathlib import Path

from exporters.clickhouse import backup as database
from exporters.clickhouse import connection
from exporters.clickhouse.dsn import parse_dsn
from exporters.record import TransientError
from proxy.backup import backup
from proxy.backup.backup import Manifest
from proxy.commands import audited, terminal
from proxy.commands.arguments import add_common, configuration
from proxy.commands.terminal import Exit, count
from proxy.console.audit_api import ChangeMade
from proxy.console.backup_api import shown
from proxy.serving.instance import TakenError, claimed
from proxy.settings.config import Config
from proxy.settings.places import Places, store_dsn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    help = "a directory that `taximeter backup` made"
    parser.add_argument("directory", type=Path, metavar="DIR", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(arguments)
    try:
        return restore(config, arguments.directory.absolute(), as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"restore: {error}", sys.stderr)
        return Exit.MISTAKE
    except TakenError as error:
        terminal.say(str(error), sys.stderr)
        return Exit.TAKEN
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot restore: {error}.  Remove {config.data} to try again.", sys.stderr)
        return Exit.FAILED


def restore(config: Config, source: Path, *, as_json: bool) -> Exit:
    """Restore into the data directory.  Raises ValueError if that or the backup does not do."""
    data = config.data
    if data.exists() and any(data.iterdir()):
        raise ValueError(f"{data} is not empty; name another place with --data DIR")
    if config.store.dsn:
        raise ValueError("store.dsn names a store; a backup has its own: restore without it")
    manifest = backup.verified(source)
    with claimed(data):
        Places(data).restoring.touch(mode=0o600)
        backup.put_back(source, data)
        if manifest.rows:
            _restore_store(config, source, manifest)
        Places(data).restoring.unlink()
    audited.write(config, ChangeMade("restore", str(source), after={"made": manifest.made}))
    if as_json:
        terminal.emit(shown(manifest))
    else:
        rows = count(manifest.rows.get("calls", 0))
        terminal.say(f"Restored {rows} calls to {data}, as of {manifest.made}.")
        terminal.say(f"Serve from it: taximeter serve --data {data}", sys.stderr)
    return Exit.OK


def _restore_store(config: Config, source: Path, manifest: Manifest) -> None:
    """Raises ValueError if a table has another number of rows than the manifest says."""
    client = connection.connect(parse_dsn(store_dsn(config), manifest.database))
    try:
        rows = database.restore(client, manifest.database, source / backup.STORE)
    finally:
        client.close()
    if rows != manifest.rows:
        odd = sorted(name for name, _ in rows.items() ^ manifest.rows.items())
        raise ValueError(f"rows are missing after the restore, in: {', '.join(set(odd))}")
