"""Pauses whatever writes rows or moves a cursor, for backups and deletions; relays do not pause."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from exporters.record import TransientError
from proxy.repricing.run import Repricing

PAUSE_S = 60.0  # for the batch that is being delivered to be accepted


class Pausing:
    """`turns` are the locks of all that is to pause, in the order in which they are taken."""

    def __init__(self, repricing: Repricing, turns: Sequence[asyncio.Lock]) -> None:
        self._repricing = repricing
        self._turns = turns

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """Hold all of them.  Raises TransientError if a batch is not accepted in time."""
        async with AsyncExitStack() as paused:
            paused.enter_context(self._repricing.alone())
            try:
                async with asyncio.timeout(PAUSE_S):
                    for turn in self._turns:
                        await paused.enter_async_context(turn)
            except TimeoutError:
                text = "rows are waiting for an exporter that does not accept them; retry later"
                raise TransientError(text) from None
            yield
