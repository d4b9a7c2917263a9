"""Content on its way: from an open call into a journal of its own, and from there to the store.

Content never endangers a row.  Its journal has its own limit, beyond which content is dropped and
counted; the record journal does not know of it.  It is written ahead of the call's record, so that
a call which has its record has its content too, unless that was dropped.
"""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from exporters.content import Captured, Content, content_of, decode, encode
from exporters.record import Destination, Record
from proxy.config import Config, JournalLimits
from proxy.content.capture import Capturing
from proxy.exchange import Kind
from proxy.journal.journal import Journal
from proxy.meter.delivery import Delivery, prune

log = logging.getLogger(__name__)

FOLDER = "contents"  # in the data directory
ROWS_MAX = 1_000  # of a batch; its bytes are bounded as well
PRUNE_S = 2.0  # between two looks for segments that may go
RETRY_S = 30.0
SEGMENTS = 8  # at least, of a journal that is full: so that it empties bit by bit


class Keeping:
    """With capture switched off it only delivers what is left of an earlier time."""

    def __init__(self, config: Config, exporter: Destination[Content], state: Path) -> None:
        self._folder = config.data / FOLDER
        self.delivery = Delivery(
            exporter,
            self._folder,
            state,
            decode,
            synced=self._synced,
            rows_max=ROWS_MAX,
            age_max_s=config.store.batch_age_max_s,
            aside=lambda content: {"call_id": content.call_id},  # the text has a time to live
        )
        self.capturing: Capturing | None = None
        self._journal: Journal | None = None
        if config.content.capture:
            self.capturing = Capturing(config.content)
            after = self.delivery.cursor.writer
            self._journal = Journal(self._folder, "meter", _limits(config), after)
        self._number = 0  # of the last content that was handed to the journal
        self._handed: list[int] = []  # since the last flush
        self._captured = self._dropped = 0
        self._redactions: dict[str, int] = {}
        self._drained = False  # everything was delivered, and nothing more comes

    @property
    def name(self) -> str:
        """The exporter's."""
        return self.delivery.name

    def keep(self, captured: Captured | None, record: Record) -> None:
        """Have the content of a call written; `record` is its own.  Never raises."""
        if self._journal is None or captured is None:
            return
        try:
            frame = encode(content_of(record, captured))
        except Exception:  # a fault of ours may cost the content, never the row
            log.exception("The content of call %s could not be kept.", record.call_id)
            self._dropped += 1
            return
        self._number += 1
        self._handed.append(self._number)
        self._journal.append(self._number, Kind.RECORD, frame)
        for kind, count in captured.redactions.items():
            self._redactions[kind] = self._redactions.get(kind, 0) + count

    def flush(self) -> None:
        """Write what was handed over; what the journal did not take is lost."""
        if self._journal is None or not self._handed:
            return
        self._journal.flush()
        lost = sum(bool(self._journal.forget(number)) for number in self._handed)
        self._captured += len(self._handed) - lost
        self._dropped += lost
        self._handed.clear()

    async def run(self) -> None:
        """Deliver for ever; cancelled to stop.  What breaks here must not end the metering."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self.delivery.run())
                    tasks.create_task(self._prune())
            except Exception:
                log.exception("Content is not delivered; it is tried again in %.0f s.", RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_S)
            await asyncio.to_thread(prune, self._folder, self._passed())

    def _passed(self) -> tuple[str, int]:
        """Segments before this one are delivered, and nothing is added to them."""
        if self._journal is None:
            return self.delivery.passed
        return min((self._journal.writer, self._journal.segment), self.delivery.passed)

    async def drained(self) -> None:
        """See `Delivery.drained`; for stopping, when the meter has no more to keep."""
        await self.delivery.drained()
        self._drained = True

    def close(self) -> None:
        """Seal the journal; if everything was delivered, nothing of it stays on the disk."""
        if self._journal is not None:
            self.flush()
            self._journal.close()
            if self._drained:
                prune(self._folder, (self._journal.writer, self._journal.segment))

    def status(self) -> dict[str, object]:
        """For health: besides the delivery's, what was kept, what was lost, and what was hidden."""
        given_up = self.capturing.dropped if self.capturing else 0
        return self.delivery.status() | {
            "captured": self._captured,
            "dropped": self._dropped + given_up,
            "redactions": dict(self._redactions),
        }

    async def _synced(self) -> None:
        if self._journal is not None:
            await self._journal.synced()


def keeping(config: Config, exporter: Destination[Content], state: Path) -> Keeping | None:
    """None: content is not captured, and none is left of a time when it was; or it cannot be.

    Calls are metered all the same: the log says why.
    """
    if not config.content.capture and not (config.data / FOLDER).is_dir():
        return None
    try:
        return Keeping(config, exporter, state)
    except (OSError, ValueError) as error:
        log.error("Content is not captured: %s", error)
        return None


def _limits(config: Config) -> JournalLimits:
    total = config.content.journal_bytes_max
    size = min(config.journal.segment_bytes_max, max(1, total // SEGMENTS))
    return replace(config.journal, total_bytes_max=total, segment_bytes_max=size)
