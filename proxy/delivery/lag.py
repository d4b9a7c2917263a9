"""Measures how far behind an exporter is and how long it takes."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from time import monotonic, time

import msgspec

from exporters.record import Batch, Exporter, PermanentError, Record
from exporters.series import Family, Histogram
from proxy.delivery.delivery import Cursor
from proxy.exchange import Kind
from proxy.journal.follower import Follower, Position

# An insert takes milliseconds, but tens of seconds if it waits for a lock or a merge.
BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
# Attributes that only a span exporter has.
SPAN_COUNTERS = (
    ("rejected", "Spans that the receiver refused in a partial success."),
    ("unsampled", "Spans that the sampler dropped."),
)


class MeasuredExporter:
    """Wraps `exporter` and counts the records waiting for it.

    The writer of records calls `expect` for each; those delivered are subtracted here.
    """

    def __init__(self, exporter: Exporter) -> None:
        self.name = exporter.name
        self.waiting = 0
        self.inner = exporter
        self._sending: Record | None = None  # the oldest record of the batch being sent
        self._began: float | None = None  # when the batch that is being sent was handed over
        self._last_us = int(time() * 1e6)  # waiting records that are not being sent ended after it
        self._label = (("taximeter.exporter", exporter.name),)
        self._durations = Histogram(
            name="taximeter.export.duration",
            unit="s",
            help="Duration of successful exports of a batch.",
            bounds=tuple(Decimal(ms) / 1000 for ms in BOUNDS_MS),
            places=6,
        )

    def expect(self, record: Record) -> None:
        """Count another record to deliver."""
        if not self.waiting:  # it is the oldest that waits
            self._last_us = _end_us(record)
        self.waiting += 1

    async def export(self, batch: Batch) -> None:
        """See `Destination.export`."""
        self._sending = batch.records[0]
        self._began = began = monotonic()
        try:
            await self.inner.export(batch)
        except PermanentError:
            if len(batch.records) == 1:  # it is set aside; a larger batch is split and resent
                self._subtract(batch)
            raise
        finally:
            self._began = None
        self._durations.add(self._label, round((monotonic() - began) * 1e6))
        self._subtract(batch)

    def _subtract(self, batch: Batch) -> None:
        self.waiting = max(0, self.waiting - len(batch.records))
        self._last_us = _end_us(batch.records[-1])
        self._sending = None

    async def close(self) -> None:
        """See `Destination.close`."""
        await self.inner.close()

    @property
    def lag_s(self) -> float:
        """Age of the oldest waiting record in seconds; 0 if none is waiting."""
        if not self.waiting:
            return 0.0
        oldest = self._last_us if self._sending is None else _end_us(self._sending)
        return max(0.0, time() - oldest / 1e6)

    def status(self) -> dict[str, object]:
        """For health, in addition to the delivery's own status."""
        sending_s = 0.0 if self._began is None else monotonic() - self._began
        return {
            "waiting": self.waiting,
            "lag_s": round(self.lag_s, 3),
            "sending_s": round(sending_s, 1),
        }

    def families(self) -> Iterator[Family]:
        """Metrics that are not in the exporter's status."""
        yield self._durations.family()
        for name, help in SPAN_COUNTERS:
            if isinstance(value := getattr(self.inner, name, None), int):
                yield Family(
                    name=f"taximeter.delivery.{name}",
                    kind="counter",
                    unit="{span}",
                    help=help,
                    points=[(self._label, value)],
                )


def undelivered(records: Path, cursor_file: Path) -> int:
    """How many records of a journal are not delivered, by a saved cursor; reads all of them."""
    return waiting(records, _saved(cursor_file))


def undelivered_frames(records: Path, cursor_file: Path) -> Iterator[bytes]:
    """Those records as the journal has them.  The first may be in the store already."""
    yield from _frames(records, _saved(cursor_file))


def waiting(records: Path, cursor: Cursor) -> int:
    """How many records of a journal come after `cursor`; reads all of them."""
    return sum(1 for _ in _frames(records, cursor))


def _frames(records: Path, cursor: Cursor) -> Iterator[bytes]:
    start = {cursor.writer: Position(cursor.segment, cursor.offset)} if cursor.writer else {}
    follower = Follower(records, start)
    for writer in follower.scan():
        before = None
        while writer.writer >= cursor.writer and before != writer.position:
            before = writer.position
            for frame in follower.poll(writer):
                if frame.kind == Kind.RECORD:
                    yield frame.payload
    follower.close()


def _saved(cursor_file: Path) -> Cursor:
    try:
        return msgspec.json.decode(cursor_file.read_bytes(), type=Cursor)
    except FileNotFoundError:
        return Cursor()


def _end_us(record: Record) -> int:
    return record.ts_us + record.duration_us
