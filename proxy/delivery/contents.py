"""Carries captured content from its journal to the store, apart from the records."""

import asyncio
import logging

from exporters.content import Content, decode
from exporters.record import Destination
from proxy.content.content_journal import ContentJournal
from proxy.delivery.delivery import Delivery, prune
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)

ROWS_MAX = 1_000  # of a batch; its bytes are bounded as well
PRUNE_S = 2.0  # between two looks for segments that may go
RETRY_S = 30.0


class ContentDelivery:
    """With capture off, `journal` is None, and what an earlier process left is delivered."""

    def __init__(self, config: Config, exporter: Destination[Content]) -> None:
        places = Places(config.data)
        self._folder = places.contents
        self.delivery = Delivery(
            exporter,
            self._folder,
            places,
            decode,
            synced=self._synced,
            rows_max=ROWS_MAX,
            age_max_s=config.store.batch_age_max_s,
            aside=lambda content: {"call_id": content.call_id},  # the text has a time to live
        )
        self.journal: ContentJournal | None = None
        if config.content.capture:
            self.journal = ContentJournal(config, self.delivery.cursor.writer)
        self._drained = False  # everything was delivered, and nothing more comes

    @property
    def name(self) -> str:
        """The exporter's."""
        return self.delivery.name

    async def run(self) -> None:
        """Deliver for ever; cancelled to stop.  What breaks here must not end the metering."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self.delivery.run())
                    tasks.create_task(self._prune())
            except Exception:
                log.exception("Delivering content failed; trying again in %.0f s.", RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_S)
            await asyncio.to_thread(prune, self._folder, self._passed())

    def _passed(self) -> tuple[str, int]:
        """Segments before this one are delivered, and nothing is added to them."""
        if self.journal is None:
            return self.delivery.passed
        return min(self.journal.position, self.delivery.passed)

    async def drained(self) -> None:
        """See `Delivery.drained`; for stopping, when the meter has no more to keep."""
        await self.delivery.drained()
        self._drained = True

    def close(self) -> None:
        """Seal the journal; if everything was delivered, nothing of it stays on the disk."""
        if self.journal is not None:
            self.journal.close()
            if self._drained:
                prune(self._folder, self.journal.position)

    def status(self) -> dict[str, object]:
        """For health: the delivery's, and what the journal took."""
        kept = {"captured": 0, "dropped": 0, "redactions": {}}
        return self.delivery.status() | (self.journal.status() if self.journal else kept)

    async def _synced(self) -> None:
        if self.journal is not None:
            await self.journal.synced()


def content_delivery(config: Config, exporter: Destination[Content]) -> ContentDelivery | None:
    """None: content is not captured, and none is left of a time when it was; or it cannot be.

    Calls are metered all the same: the log says why.
    """
    if not config.content.capture and not Places(config.data).contents.is_dir():
        return None
    try:
        return ContentDelivery(config, exporter)
    except (OSError, ValueError) as error:
        log.error("Content is not captured: %s", error)
        return None
