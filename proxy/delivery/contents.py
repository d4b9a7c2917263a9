"""Delivers captured content from its journal to the store."""

import logging

from exporters.content import Content, decode
from exporters.record import Destination
from proxy.content.content_journal import ContentJournal
from proxy.delivery.own_journal import OwnJournalDelivery
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)


class ContentDelivery(OwnJournalDelivery[Content]):
    """With capture off, `journal` is None, and content left by an earlier process is delivered."""

    journal: ContentJournal | None

    def __init__(self, config: Config, exporter: Destination[Content]) -> None:
        folder = Places(config.data).contents
        # The text of rejected content is not set aside, because it must expire.
        super().__init__(config, exporter, folder, decode, lambda one: {"call_id": one.call_id})
        if config.content.capture:
            self.journal = ContentJournal(config, self.delivery.cursor.writer)

    def status(self) -> dict[str, object]:
        """For health: that of the delivery and of the journal."""
        none = {"captured": 0, "dropped": 0, "redactions": {}}
        return self.delivery.status() | (self.journal.status() if self.journal else none)


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
