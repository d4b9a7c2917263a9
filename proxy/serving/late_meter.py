"""A meter that starts with the first call: a command that makes none needs none."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from proxy.journal.counters import read_counters
from proxy.serving.child import Child
from proxy.settings.places import Places

LOOK_S = 0.1  # between two looks for the first call

log = logging.getLogger(__name__)


class LateMeter:
    """Calls `start` once relays have begun a call in `data`, as their counters say."""

    def __init__(self, data: Path, start: Callable[[], Child]) -> None:
        self.child: Child | None = None
        self._data = data
        self._start = start
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while not calls_begun(self._data):
            await asyncio.sleep(LOOK_S)
        self.child = self._start()

    async def serves(self, within_s: float, hurry: asyncio.Event) -> bool:
        """Once relays have ended: that what they carried has a meter.  False: it does not serve.

        SIGTERM ends a meter that was started a moment ago before it has metered anything.
        """
        self._looking.cancel()
        if self.child is None:
            if not calls_begun(self._data):
                return True
            self.child = self._start()
        serving = asyncio.ensure_future(self.child.serving())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait(
            {serving, hurried}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED
        )
        hurried.cancel()
        if not serving.done():
            serving.cancel()
            return False
        if error := serving.exception():
            log.error("%s.", error)
        return error is None


def calls_begun(data: Path) -> int:
    """Calls that relays have begun, those of dead ones too."""
    with suppress(OSError):
        writers = Places(data).calls.iterdir()
        return sum(read_counters(writer)["calls_begun"] for writer in writers)
    return 0
