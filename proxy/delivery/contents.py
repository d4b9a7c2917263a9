"""Delivers captured content from its journal to the store, apart from the records."""

import asyncio
import logging

from exporters.content import Content, decode
from exporters.record import Destination
from proxy.content.content_journal import ContentJournal
from proxy.delivery.delivery import Delivery, prune
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)

ROWS_MAX = 1_000  # per batch; its bytes are limited too
PRUNE_S = 2.0  # how often delivered segments are deleted
RETRY_S = 30.0


class ContentDelivery:
    """With capture off, `journal` is None, and content left by an earlier process is delivered."""

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
            aside=lambda content: {"call_id": content.call_id},  # the text itself must expire
        )
        self.journal: ContentJournal | None = None
        if config.content.capture:
            self.journal = ContentJournal(config, self.delivery.cursor.writer)
        self._drained = False  # everything is delivered, and nothing more will come

    @property
    def name(self) -> str:
        """The name of the exporter."""
        return self.delivery.name

    async def run(self) -> None:
        """Deliver until cancelled.  A fault here must not stop metering."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self.delivery.run())
                    tasks.create_task(self._prune())
            except Exception:
                log.exception("Delivery of content failed; retrying in %.0f s.", RETRY_S)
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
        """See `Delivery.drained`; called at stop, when the meter adds nothing more."""
        await self.delivery.drained()
        self._drained = True

    def close(self) -> None:
        """Seal the journal; if everything was delivered, delete it from disk."""
        if self.journal is not None:
            self.journal.close()
            if self._drained:
                prune(self._folder, self.journal.position)

    def status(self) -> dict[str, object]:
        """For health: that of the delivery and of the journal."""
        none = {"captured": 0, "dropped": 0, "redactions": {}}
        return self.delivery.status() | (self.journal.status() if self.journal else none)

    async def _synced(self) -> None:
        if self.journal is not None:
            await self.journal.synced()


def content_delivery(config: Config, exporter: Destination[Content]) -> ContentDelivery | None:
    """The delivery of content; None if capture is off and nothing is left to deliver.

    None as well if it cannot start, which is logged: calls are metered without content.
    """
    if not config.content.capture and not Places(config.data).contents.is_dir():
        return None
    try:
        return ContentDelivery(config, exporter)
    except (OSError, ValueError) as error:
        log.error("Not capturing content: %s", error)
        return None
