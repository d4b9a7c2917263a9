"""`taximeter report`: what was spent, by whatever calls are grouped by.

Asks the running console, which owns the embedded store; without one, opens the store itself.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from exporters.record import TransientError
from exporters.store import Row, Store
from proxy.commands import fare, terminal
from proxy.commands.asking import ask
from proxy.commands.terminal import Column, Exit
from proxy.config import Config
from proxy.console.api import instant
from proxy.instance import EMBEDDED, store_dsn


def report(config: Config, *, since: str, until: str, by: Sequence[str], as_json: bool) -> Exit:
    """Print the rows.  Raises ValueError for an instant or a group that means nothing."""
    try:
        query = {"since": since, "until": until, "by": ",".join(by)}
        rows: list[Row] | None = ask(config, "/api/spend", query)
        if rows is None:
            rows = asyncio.run(_from_store(config, since, until, by))
    except (TransientError, OSError) as error:
        terminal.say(f"The store does not answer: {error}")
        return Exit.FAILED
    if as_json:
        terminal.emit(rows)
    elif rows:
        groups = [Column(name, name) for name in by]
        terminal.show((*groups, *fare.MONEY), [fare.cells(row) for row in rows])
    else:
        terminal.say(f"No calls since {since} in {config.data}.")
    return Exit.OK


async def _from_store(config: Config, since: str, until: str, by: Sequence[str]) -> list[Row]:
    now = datetime.now(UTC)
    if not config.store.dsn and not (config.data / EMBEDDED).exists():
        return []  # nothing was ever served from this data directory
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await store.report(
            instant(since, now), instant(until, now) if until else None, tuple(by)
        )
    finally:
        await store.close()
