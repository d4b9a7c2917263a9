"""`taximeter import`: reads exported conversations back into a store.

The running meter owns the embedded store, so it must be stopped for that.
"""

import argparse
import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path

import msgspec

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.contents import Contents
from exporters.clickhouse.store import Store
from exporters.record import PermanentError, TransientError
from proxy.commands import audited, terminal
from proxy.commands.arguments import add_common, configuration
from proxy.commands.terminal import Exit, count
from proxy.console.audit_api import ChangeMade
from proxy.exports.directory import MANIFEST, DirectoryError, Manifest, whole
from proxy.exports.importing import Imported, imported
from proxy.serving.instance import TakenError, claimed
from proxy.settings.config import Config
from proxy.settings.places import store_dsn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    help = f"what `taximeter export conversations` wrote, with its {MANIFEST}"
    parser.add_argument("directory", metavar="DIR", type=Path, help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(arguments)
    try:
        manifest = whole(arguments.directory)
        if not config.store.dsn:
            with claimed(config.data):  # the meter, if it runs, owns the store: say so first
                pass
        audited.write(config, ChangeMade("import", "conversations", after=manifest))
        with nullcontext() if config.store.dsn else claimed(config.data):
            manifest, done = asyncio.run(_import(config, arguments.directory))
    except DirectoryError as error:
        terminal.say(f"import: {error}", sys.stderr)
        return Exit.MISTAKE
    except TakenError as error:
        terminal.say(str(error), sys.stderr)
        return Exit.TAKEN
    except (TransientError, PermanentError, OSError) as error:
        terminal.say(f"Cannot import: {error}", sys.stderr)
        return Exit.FAILED
    if arguments.json:
        terminal.emit({"manifest": manifest, **msgspec.structs.asdict(done)})
    else:
        _show(done, manifest, config)
    return Exit.OK


async def _import(config: Config, path: Path) -> tuple[Manifest, Imported]:
    dsn, options = store_dsn(config), config.store
    content_days = config.content.ttl_days
    rows = ClickHouse(
        dsn, database=options.database, ttl_days=options.ttl_days, content_ttl_days=content_days
    )
    contents = Contents(dsn, database=options.database)
    store = Store(dsn, database=options.database)
    try:
        return await imported(path, rows, contents, store)
    finally:
        await store.close()
        await contents.close()
        await rows.close()


def _show(done: Imported, manifest: Manifest, config: Config) -> None:
    terminal.say(
        f"Added {count(done.added)} of {count(manifest.lines)} rows,"
        f" {count(done.contents)} with content."
    )
    if done.there:
        terminal.say(f"{count(done.there)} were there already.")
    terminal.say(
        f"Rows older than {config.store.ttl_days} days and content older than"
        f" {config.content.ttl_days} days expire as usual (store.ttl_days, content.ttl_days)."
    )
