"""Writes captured content to a journal of its own, before the call's record.

Content never endangers a row: its journal has a limit of its own, beyond which content is dropped
and counted, and the record journal is independent of it.  A call that has a record has its content
too, unless that was dropped.
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

SEGMENTS = 8  # at least, in a full journal, so that space is freed in small steps


class ContentJournal:
    """Takes the content of finished calls.  `after` is the writer that was delivered last.

    Raises OSError if the journal cannot be created.
    """

    def __init__(self, config: Config, after: str) -> None:
        self.capturing = Capturing(config.content)
        self._journal = Journal(Places(config.data).contents, "meter", _limits(config), after)
        self._number = 0  # of the last content given to the journal
        self._pending: list[int] = []  # numbers given since the last flush
        self._captured = self._dropped = 0
        self._redactions: dict[str, int] = {}

    @property
    def position(self) -> tuple[str, int]:
        """The segment being written: (writer, number)."""
        return self._journal.writer, self._journal.segment

    def keep(self, captured: Captured | None, record: Record) -> None:
        """Queue the content of a call, whose record is `record`, to be written.  Never raises."""
        if captured is None:
            return
        try:
            frame = encode(content_of(record, captured))
        except Exception:  # a bug may cost the content, but never the row
            log.exception("Failed to encode the content of call %s.", record.call_id)
            self._dropped += 1
            return
        self._number += 1
        self._pending.append(self._number)
        self._journal.append(self._number, Kind.RECORD, frame)
        for kind, count in captured.redactions.items():
            self._redactions[kind] = self._redactions.get(kind, 0) + count

    def flush(self) -> None:
        """Write what is queued; content that the journal cannot take is dropped."""
        if not self._pending:
            return
        self._journal.flush()
        lost = sum(bool(self._journal.forget(number)) for number in self._pending)
        self._captured += len(self._pending) - lost
        self._dropped += lost
        self._pending.clear()

    async def synced(self) -> None:
        """See `Journal.synced`."""
        await self._journal.synced()

    def close(self) -> None:
        """Write what is queued, then seal the journal."""
        self.flush()
        self._journal.close()

    def status(self) -> dict[str, object]:
        """For health: calls captured and dropped, and redactions by kind."""
        return {
            "captured": self._captured,
            "dropped": self._dropped + self.capturing.dropped,
            "redactions": dict(self._redactions),
        }


def _limits(config: Config) -> JournalOptions:
    total = config.content.journal_bytes_max
    size = min(config.journal.segment_bytes_max, max(1, total // SEGMENTS))
    return replace(config.journal, total_bytes_max=total, segment_bytes_max=size)
