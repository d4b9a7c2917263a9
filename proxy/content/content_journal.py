"""Captured content on its way to disk: a journal of its own, ahead of the records.

Content never endangers a row.  Its journal has its own limit, beyond which content is dropped and
counted; the record journal does not know of it.  It is written before the call's record, so a call
that has a record has its content too, unless that was dropped.
"""

import logging
from dataclasses import replace

from exporters.content import Captured, content_of, encode
from exporters.record import Record
from proxy.content.capture import Capturing
from proxy.exchange import Kind
from proxy.journal.journal import Journal
from proxy.settings.config import Config, JournalOptions
from proxy.settings.places import Places

log = logging.getLogger(__name__)

SEGMENTS = 8  # at least, of a journal that is full: so that it empties bit by bit


class ContentJournal:
    """Takes the content of finished calls.  `after` is the writer that was delivered last.

    Raises OSError if the journal cannot be made.
    """

    def __init__(self, config: Config, after: str) -> None:
        self.capturing = Capturing(config.content)
        self._journal = Journal(Places(config.data).contents, "meter", _limits(config), after)
        self._number = 0  # of the last content that was handed to the journal
        self._handed: list[int] = []  # since the last flush
        self._captured = self._dropped = 0
        self._redactions: dict[str, int] = {}

    @property
    def position(self) -> tuple[str, int]:
        """The segment that is being written: (writer, number)."""
        return self._journal.writer, self._journal.segment

    def keep(self, captured: Captured | None, record: Record) -> None:
        """Have the content of a call written; `record` is its own.  Never raises."""
        if captured is None:
            return
        try:
            frame = encode(content_of(record, captured))
        except Exception:  # a fault of ours may cost the content, never the row
            log.exception("The content of call %s was lost.", record.call_id)
            self._dropped += 1
            return
        self._number += 1
        self._handed.append(self._number)
        self._journal.append(self._number, Kind.RECORD, frame)
        for kind, count in captured.redactions.items():
            self._redactions[kind] = self._redactions.get(kind, 0) + count

    def flush(self) -> None:
        """Write what was handed over; what the journal did not take is lost."""
        if not self._handed:
            return
        self._journal.flush()
        lost = sum(bool(self._journal.forget(number)) for number in self._handed)
        self._captured += len(self._handed) - lost
        self._dropped += lost
        self._handed.clear()

    async def synced(self) -> None:
        """See `Journal.synced`."""
        await self._journal.synced()

    def close(self) -> None:
        """Write what is left, and seal the journal."""
        self.flush()
        self._journal.close()

    def status(self) -> dict[str, object]:
        """For health: what was kept, what was lost, and what was redacted."""
        return {
            "captured": self._captured,
            "dropped": self._dropped + self.capturing.dropped,
            "redactions": dict(self._redactions),
        }


def _limits(config: Config) -> JournalOptions:
    total = config.content.journal_bytes_max
    size = min(config.journal.segment_bytes_max, max(1, total // SEGMENTS))
    return replace(config.journal, total_bytes_max=total, segment_bytes_max=size)
