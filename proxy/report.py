"""`taximeter report`: what was spent, by whatever calls are grouped by.

Asks the running console, which owns the embedded store; without one, opens the store itself.
"""

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime

from exporters.record import TransientError
from exporters.store import Row, Store
from proxy import fare, terminal
from proxy.api import instant
from proxy.config import Config
from proxy.instance import find, store_dsn
from proxy.terminal import Column, Exit

TIMEOUT_S = 60.0  # above that of the console's own questions


def report(config: Config, *, since: str, until: str, by: Sequence[str], as_json: bool) -> Exit:
    """Print the rows.  Raises ValueError for an instant or a group that means nothing."""
    try:
        rows = _from_console(config, since, until, by)
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
        terminal.say(f"No calls (since {since}).")
    return Exit.OK


def _from_console(config: Config, since: str, until: str, by: Sequence[str]) -> list[Row] | None:
    """The running console's answer; None if there is none running.  Raises ValueError, OSError."""
    running = find(config.data)
    if running is None:
        return None
    query = urllib.parse.urlencode({"since": since, "until": until, "by": ",".join(by)})
    # Not through $HTTP_PROXY: the console is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{running.console_url}/api/spend?{query}", timeout=TIMEOUT_S) as answer:
            rows: list[Row] = json.load(answer)
            return rows
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode(errors="replace")
        if error.code == 400:
            raise ValueError(text) from error
        raise OSError(f"HTTP {error.code}: {text}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return None  # it was killed, and its serve.json is still there
        raise


async def _from_store(config: Config, since: str, until: str, by: Sequence[str]) -> list[Row]:
    now = datetime.now(UTC)
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await store.report(
            instant(since, now), instant(until, now) if until else None, tuple(by)
        )
    finally:
        await store.close()
