"""Delivers rows from a journal of their own to the store, apart from the records."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from exporters.record import Destination, Sendable
from proxy.delivery.delivery import Delivery, prune
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)

ROWS_MAX = 1_000  # per batch; its bytes are limited too
PRUNE_S = 2.0  # how often delivered segments are deleted
RETRY_S = 30.0

S = TypeVar("S", bound=Sendable)


class OwnJournal(Protocol):
    """The writer of such a journal."""

    @property
    def position(self) -> tuple[str, int]: ...

    async def synced(self) -> None: ...

    def close(self) -> None: ...


class OwnJournalDelivery(Generic[S]):
    """`journal` is set once the cursor is known; None if nothing more is written to it."""

    journal: OwnJournal | None = None

    def __init__(
        self,
        config: Config,
        exporter: Destination[S],
        folder: Path,
        decode: Callable[[bytes], S],
        aside: Callable[[S], object] = lambda row: row,
    ) -> None:
        """`aside` gives what to keep of a row that is permanently rejected."""
        self._folder = folder
        self.delivery = Delivery(
            exporter,
            folder,
            Places(config.data),
            decode,
            synced=self._synced,
            rows_max=ROWS_MAX,
            age_max_s=config.store.batch_age_max_s,
            aside=aside,
        )
        self._drained = False  # everything is delivered, and nothing more will come

    @property
    def name(self) -> str:
        """The name of the exporter."""
        return self.delivery.name

    @property
    def turn(self) -> asyncio.Lock:
        """See `Delivery.turn`."""
        return self.delivery.turn

    async def run(self) -> None:
        """Deliver until cancelled.  A fault here must not stop metering."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self.delivery.run())
                    tasks.create_task(self._prune())
            except Exception:
                log.exception("Delivery of %s failed; retrying in %.0f s.", self.name, RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_S)
            await asyncio.to_thread(prune, self._folder, self._passed())

    def _passed(self) -> tuple[str, int]:
        """The first segment that is not delivered, or to which more may be added."""
        if self.journal is None:
            return self.delivery.passed
        return min(self.journal.position, self.delivery.passed)

    async def drained(self) -> None:
        """See `Delivery.drained`; called at stop, when nothing more is added."""
        await self.delivery.drained()
        self._drained = True

    def close(self) -> None:
        """Seal the journal; if everything was delivered, delete it from disk."""
        if self.journal is not None:
            self.journal.close()
            if self._drained:
                prune(self._folder, self.journal.position)

    async def _synced(self) -> None:
        if self.journal is not None:
            await self.journal.synced()
