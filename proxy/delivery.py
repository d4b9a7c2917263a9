"""Carries records from the record journal to one exporter, each exactly once if it deduplicates.

The cursor file says up to where the exporter has taken everything, and which range is being sent.
That range is written down before it is sent, so that after a crash the very same records go out
under the same token (`writer:segment:first-last`), which ClickHouse then drops if it had them.
A batch that fails for reasons outside its rows is tried again for ever; a row that can never be
taken is set aside with its reason.
"""

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import msgspec

from exporters.record import Batch, Exporter, PermanentError, Record, TransientError, decode
from proxy.exchange import Kind
from proxy.follower import Follower, Position

log = logging.getLogger(__name__)

RETRY_S_MIN, RETRY_S_MAX = 0.5, 30.0
LOG_EVERY_S = 60.0
ASIDE_BYTES_MAX = 64 * 1024 * 1024
POLL_S = 0.1


class Cursor(msgspec.Struct, kw_only=True):
    """Everything before `offset` has been taken; `sending_to` is the end of the range on its way."""

    writer: str = ""
    segment: int = 0
    offset: int = 0
    sending_to: int = 0  # 0: nothing is on its way

    def after(self, writer: str, segment: int) -> bool:
        """Whether this segment has been passed."""
        return (writer, segment) < (self.writer, self.segment)


@dataclass(frozen=True, slots=True)
class Row:
    """A record and its place in the segment."""

    start: int
    end: int
    record: Record


@dataclass(frozen=True, slots=True)
class Range:
    """Consecutive rows of one segment."""

    writer: str
    segment: int
    rows: Sequence[Row]

    @property
    def token(self) -> str:
        return f"{self.writer}:{self.segment}:{self.rows[0].start}-{self.rows[-1].end}"

    def halves(self) -> tuple["Range", "Range"]:
        middle = len(self.rows) // 2
        first, second = self.rows[:middle], self.rows[middle:]
        return Range(self.writer, self.segment, first), Range(self.writer, self.segment, second)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path`: a crash leaves the old content or the new one."""
    new = path.with_name(f"{path.name}.new")
    fd = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        os.fdatasync(fd)
    finally:
        os.close(fd)
    new.replace(path)


class Delivery:
    """One exporter's way through the record journal.

    `synced` is awaited before a batch is formed: what an exporter gets is on the disk, so a power
    cut cannot bring a record back under another token.
    """

    def __init__(
        self,
        exporter: Exporter,
        records: Path,
        state: Path,
        *,
        synced: Callable[[], Awaitable[None]],
        rows_max: int,
        age_max_s: float,
    ) -> None:
        self.exporter = exporter
        self._path = state / f"{exporter.name}.json"
        self._aside = state / f"{exporter.name}.aside.jsonl"
        self._synced = synced
        self._rows_max = rows_max
        self._age_max_s = age_max_s
        self.cursor = self._load()
        start = {}
        if self.cursor.writer:
            start[self.cursor.writer] = Position(self.cursor.segment, self.cursor.offset)
        self._follower = Follower(records, start)
        self.delivered = self.set_aside = self.retries = 0
        self.error = ""
        self._logged = -LOG_EVERY_S
        self._idle = asyncio.Event()

    def _load(self) -> Cursor:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Cursor)
        except FileNotFoundError:
            return Cursor()

    async def run(self) -> None:
        """Deliver for ever; cancelled to stop.  A cancelled batch is sent again under its token."""
        while True:
            rows = await self.step()
            if rows < self._rows_max:
                await asyncio.sleep(self._age_max_s if rows else min(POLL_S, self._age_max_s))

    async def step(self) -> int:
        """Deliver the next batch, if there is one; returns how many rows it had."""
        await self._synced()
        found = self._next()
        if found is None:
            self._idle.set()
            return 0
        self._idle.clear()
        await self._send(found)
        return len(found.rows)

    async def drained(self) -> None:
        """Wait until a look at the journal found nothing more."""
        self._idle.clear()
        await self._idle.wait()

    def _next(self) -> Range | None:
        """The next rows, all of one segment; after a crash exactly those that were on their way."""
        for writer in self._follower.scan():
            before = None
            while writer.writer >= self.cursor.writer and before != writer.position:
                before = writer.position
                segment, rows = 0, []
                for frame in self._follower.poll(writer):
                    segment = writer.segment
                    if frame.kind == Kind.RECORD:
                        rows.append(Row(frame.start, frame.end, decode(frame.payload)))
                    if frame.end == self.cursor.sending_to or len(rows) == self._rows_max:
                        break
                if rows:
                    return Range(writer.writer, segment, rows)
        return None

    async def _send(self, rows: Range) -> None:
        pending = [rows]
        while pending:
            part = pending.pop()
            self._save(part, part.rows[0].start, sending_to=part.rows[-1].end)
            try:
                await self._export(part)
            except PermanentError as error:
                if len(part.rows) > 1:
                    pending += reversed(part.halves())
                    continue
                self._put_aside(part.rows[0].record, str(error))
            self._save(part, part.rows[-1].end)

    async def _export(self, part: Range) -> None:
        """Send until taken.  Raises PermanentError if the rows themselves are refused."""
        batch = Batch(part.token, tuple(row.record for row in part.rows))
        wait_s = RETRY_S_MIN
        while True:
            try:
                await self.exporter.export(batch)
            except TransientError as error:
                self.retries += 1
                self._complain(str(error))
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, RETRY_S_MAX)
            else:
                self.delivered += len(part.rows)
                self.error = ""
                return

    def _complain(self, error: str) -> None:
        self.error = error
        if monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = monotonic()
            log.warning("%s does not take rows (%s); they wait.", self.exporter.name, error)

    def _put_aside(self, record: Record, reason: str) -> None:
        self.set_aside += 1
        log.error("%s refused call %s for good: %s.", self.exporter.name, record.call_id, reason)
        line = msgspec.json.encode({"reason": reason, "record": record}) + b"\n"
        with suppress(FileNotFoundError):
            if self._aside.stat().st_size + len(line) > ASIDE_BYTES_MAX:
                return
        with suppress(OSError), self._aside.open("ab") as file:
            os.chmod(self._aside, 0o600)
            file.write(line)

    def _save(self, part: Range, offset: int, sending_to: int = 0) -> None:
        """Write the cursor down; a disk that refuses is complained about and tried again later."""
        self.cursor = Cursor(
            writer=part.writer, segment=part.segment, offset=offset, sending_to=sending_to
        )
        try:
            write_atomically(self._path, msgspec.json.encode(self.cursor))
        except OSError as error:
            self._complain(f"its cursor cannot be written: {error.strerror}")

    def status(self) -> dict[str, object]:
        """For health: what was delivered, what failed, and the error that holds things up now."""
        return {
            "ok": not self.error,
            "error": self.error,
            "delivered": self.delivered,
            "set_aside": self.set_aside,
            "retries": self.retries,
        }
