"""Delivers records from a journal to one exporter, each exactly once if the exporter deduplicates.

The cursor file says up to where everything was delivered, and which range is being sent.  The range
is saved before it is sent, so that after a crash the same records are sent again under the same
token (`writer:segment:first-last`), and ClickHouse drops them if it already has them.  A batch that
fails for reasons other than its rows is retried; a row that can never be accepted is set aside.
"""

import asyncio
import logging
import os
import random
import shutil
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Generic, TypeVar

import msgspec

from exporters.record import Batch, Destination, PermanentError, Sendable, SlowError, TransientError
from proxy.delivery.aside import keep_aside
from proxy.exchange import Kind
from proxy.journal.disk import write_atomically
from proxy.journal.follower import Follower, Position
from proxy.journal.segments import segment_name, segments
from proxy.settings.places import Places

log = logging.getLogger(__name__)

RETRY_S_MIN, RETRY_S_MAX = 0.5, 30.0
LOG_EVERY_S = 60.0
POLL_S = 0.1
BATCH_BYTES_MAX = 16 * 1024 * 1024  # of frames in a batch: 5,000 calls as they usually are
S = TypeVar("S", bound=Sendable)


class Cursor(msgspec.Struct, kw_only=True):
    """Everything before `offset` was delivered; `sending_to` is the end of the range being sent."""

    writer: str = ""
    segment: int = 0
    offset: int = 0
    sending_to: int = 0  # 0: nothing is being sent
    set_aside: int = 0  # rows permanently rejected, since the file was created


@dataclass(frozen=True, slots=True)
class JournalRow(Generic[S]):
    """A record and its bytes in the segment: `start` to `end`, exclusive."""

    start: int
    end: int
    record: S


@dataclass(frozen=True, slots=True)
class Range(Generic[S]):
    """Consecutive rows of one segment."""

    writer: str
    segment: int
    rows: Sequence[JournalRow[S]]

    @property
    def token(self) -> str:
        return f"{self.writer}:{self.segment}:{self.rows[0].start}-{self.rows[-1].end}"

    def halves(self) -> "tuple[Range[S], Range[S]]":
        middle = len(self.rows) // 2
        first, second = self.rows[:middle], self.rows[middle:]
        return Range(self.writer, self.segment, first), Range(self.writer, self.segment, second)


class Delivery(Generic[S]):
    """Follows a journal for one exporter; `decode` reads its records.

    `synced` is awaited before a batch is formed: whatever an exporter gets is on disk, so a power
    cut cannot bring a record back under another token.
    """

    def __init__(
        self,
        exporter: Destination[S],
        records: Path,
        places: Places,
        decode: Callable[[bytes], S],
        *,
        synced: Callable[[], Awaitable[None]],
        rows_max: int,
        age_max_s: float,
        aside: Callable[[S], object] = lambda record: record,
    ) -> None:
        """`aside` gives what to keep of a record that is permanently rejected."""
        self.exporter = exporter
        self._records = records
        self._path = places.cursor(exporter.name)
        self._aside = places.aside(exporter.name)
        self._decode = decode
        self._aside_of = aside
        self._synced = synced
        self._rows_max = rows_max
        self._age_max_s = age_max_s
        self.cursor = self._load()
        start = {}
        if self.cursor.writer:
            start[self.cursor.writer] = Position(self.cursor.segment, self.cursor.offset)
        self._follower = Follower(records, start)
        self.passed = self.cursor.writer, self.cursor.segment  # segments before it can be deleted
        self.delivered = self.retries = 0
        self.error = ""
        self._logged = -LOG_EVERY_S
        self.turn = asyncio.Lock()  # held while the cursor may move
        self._idle = asyncio.Event()
        self._full = False  # the last batch reached BATCH_BYTES_MAX

    @property
    def name(self) -> str:
        """The name of the exporter."""
        return self.exporter.name

    def _load(self) -> Cursor:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Cursor)
        except FileNotFoundError:
            return Cursor()
        except msgspec.DecodeError as error:
            raise ValueError(
                f"{self._path} is damaged ({error}); remove it to resend all of {self._records}"
            ) from error

    async def run(self) -> None:
        """Deliver until cancelled.  A cancelled batch will be sent again under its token."""
        while True:
            async with self.turn:
                rows = await self.step()
            if rows < self._rows_max and not self._full:
                await asyncio.sleep(self._age_max_s if rows else min(POLL_S, self._age_max_s))

    async def step(self) -> int:
        """Deliver the next batch, if there is one; returns its number of rows."""
        await self._synced()
        found = self._next()
        if found is None:
            if newest := max(self._follower.writers, default=""):
                self.passed = newest, self._follower.writers[newest].segment
            self._idle.set()
            return 0
        self._idle.clear()
        self.passed = found.writer, found.segment
        await self._send(found)
        return len(found.rows)

    async def drained(self) -> None:
        """Wait until the journal has nothing more to deliver."""
        self._idle.clear()
        await self._idle.wait()

    def _next(self) -> Range[S] | None:
        """The next rows, all of one segment; after a crash exactly those that were being sent."""
        for writer in self._follower.scan():
            before = None
            while writer.writer >= self.cursor.writer and before != writer.position:
                before = writer.position
                segment, rows = 0, []
                for frame in self._follower.poll(writer):
                    segment = writer.segment
                    if frame.kind == Kind.RECORD:
                        rows.append(JournalRow(frame.start, frame.end, self._decode(frame.payload)))
                    self._full = bool(rows) and frame.end - rows[0].start >= BATCH_BYTES_MAX
                    whole = len(rows) == self._rows_max or self._full
                    if whole or frame.end == self.cursor.sending_to:
                        break
                if rows:
                    return Range(writer.writer, segment, rows)
        return None

    async def _send(self, rows: Range[S]) -> None:
        pending = [rows]
        while pending:
            part = pending.pop()
            await self._until_saved(partial(self._save_sending, part))
            try:
                await self._export(part)
            except PermanentError as error:
                if len(part.rows) > 1:
                    pending += reversed(part.halves())
                    continue
                await self._until_saved(partial(self._set_aside, part.rows[0].record, str(error)))
            self._save_delivered(part)

    async def _until_saved(self, write: Callable[[], None]) -> None:
        """Repeat `write`, which must be on disk before we continue, until it succeeds.

        After a crash, a range sent without being saved could be split differently and duplicated.
        """
        wait_s = RETRY_S_MIN
        while True:
            try:
                write()
                return
            except OSError as error:
                self._warn(f"cannot write {self._path.parent}: {error.strerror}")
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_S_MAX)

    async def _export(self, part: Range[S]) -> None:
        """Send until accepted.  Raises PermanentError if the rows themselves are rejected."""
        batch = Batch(part.token, tuple(row.record for row in part.rows))
        wait_s = RETRY_S_MIN
        while True:
            try:
                await self.exporter.export(batch)
            except PermanentError:
                raise
            except Exception as error:
                if not isinstance(error, TransientError):  # a bug of ours must not cost the rows
                    log.exception("Exporter %s failed; still retrying.", self.exporter.name)
                self.retries += 1
                self._warn(str(error) or type(error).__name__)
                if isinstance(error, SlowError):
                    wait_s = RETRY_S_MIN  # it has waited for its timeout, and will send less
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, RETRY_S_MAX)
            else:
                self.delivered += len(part.rows)
                self.error = ""
                return

    def _warn(self, error: str) -> None:
        self.error = error
        if monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = monotonic()
            log.warning("Cannot deliver rows to %s (%s); still retrying.", self.name, error)

    def _set_aside(self, record: S, reason: str) -> None:
        """Save a rejected row with the reason; beyond the file's limit it is only counted."""
        kept = self._aside_of(record)
        line = msgspec.json.encode({"reason": reason, "record": kept}) + b"\n"
        keep_aside(self._aside, line)
        log.error("%s rejected call %s: %s.", self.exporter.name, record.call_id, reason)
        self.cursor.set_aside += 1

    def _save_sending(self, part: Range[S]) -> None:
        self._save(part, part.rows[0].start, sending_to=part.rows[-1].end)

    def _save_delivered(self, part: Range[S]) -> None:
        """A failure costs nothing: the next range is not sent before the cursor is saved."""
        with suppress(OSError):
            self._save(part, part.rows[-1].end)

    def _save(self, part: Range[S], offset: int, sending_to: int = 0) -> None:
        """Save the cursor.  Raises OSError."""
        self.cursor = Cursor(
            writer=part.writer,
            segment=part.segment,
            offset=offset,
            sending_to=sending_to,
            set_aside=self.cursor.set_aside,
        )
        write_atomically(self._path, msgspec.json.encode(self.cursor))

    def status(self) -> dict[str, object]:
        """For health: the counters, and the error that now stops delivery."""
        return {
            "ok": not self.error,
            "error": self.error,
            "delivered": self.delivered,
            "set_aside": self.cursor.set_aside,
            "retries": self.retries,
        }


def prune(records: Path, passed: tuple[str, int]) -> int:
    """Delete the segments of all writers before `passed`, (writer, number); returns how many.

    Every exporter must be past them, and the meter must not need them for its own recovery.
    """
    gone = 0
    with suppress(FileNotFoundError):
        for writer in sorted(records.iterdir()):
            old = [number for number in segments(writer) if (writer.name, number) < passed]
            for number in old:
                with suppress(OSError):
                    os.unlink(writer / segment_name(number))
                    gone += 1
            if writer.name < passed[0] and not writer.name.startswith("."):
                shutil.rmtree(writer, ignore_errors=True)
    return gone
