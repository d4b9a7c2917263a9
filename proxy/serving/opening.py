"""Opens the store at the start, without waiting for one that is away."""

import asyncio
import logging

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.record import TransientError
from proxy.repricing.run import Repricing

log = logging.getLogger(__name__)

OPEN_S = 15.0  # for the store to answer at the start; the embedded engine may take ten seconds


async def open_store(clickhouse: ClickHouse, repricing: Repricing) -> None:
    """Make the schema now, so that the console finds it from the start."""
    opening = asyncio.create_task(clickhouse.open())
    await asyncio.wait({opening}, timeout=OPEN_S)
    opening.add_done_callback(_handled)  # the first delivery deals with its errors
    if not opening.done() or opening.exception() is not None:
        reason = opening.exception() if opening.done() else f"no answer after {OPEN_S:.0f} s"
        log.warning("Cannot reach the store yet (%s); rows wait in the journal.", reason)
        return
    try:
        await repricing.finish()
    except (TransientError, OSError) as error:
        log.warning("Cannot finish an interrupted reprice: %s", error)


def _handled(opening: asyncio.Task[None]) -> None:
    if not opening.cancelled():
        opening.exception()
