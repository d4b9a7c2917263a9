"""How far behind an exporter is, and how long it takes: what a delivery does not need to know."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from time import monotonic, time

from exporters.record import Batch, Exporter, PermanentError, Record
from exporters.series import Family, Histogram
from proxy.delivery.delivery import Cursor
from proxy.exchange import Kind
from proxy.journal.follower import Follower, Position

# An insert takes milliseconds, one that waits for a lock or a merge tens of seconds.
BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
# Counters that a span exporter has of its own.
LOST = (
    ("rejected", "Spans refused in a partial success: lost there."),
    ("unsampled", "Spans that the sampler left out."),
)


class Timed:
    """`exporter`, with a count of the records that wait for it.

    Whoever writes records says so with `expect`; what is taken is subtracted here.
    """

    def __init__(self, exporter: Exporter) -> None:
        self.name = exporter.name
        self.waiting = 0
        self.inner = exporter
        self._sending: Record | None = None  # the oldest that the exporter has not taken
        self._last_us = int(time() * 1e6)  # no record that waits and is not being sent ended before
        self._label = (("taximeter.exporter", exporter.name),)
        self._durations = Histogram(
            name="taximeter.export.duration",
            unit="s",
            help="How long an exporter took for a batch that it took.",
            bounds=tuple(Decimal(ms) / 1000 for ms in BOUNDS_MS),
            places=6,
        )

    def expect(self, record: Record) -> None:
        """There is another record to take."""
        if not self.waiting:  # it is the oldest, however long there was none
            self._last_us = _end_us(record)
        self.waiting += 1

    async def export(self, batch: Batch) -> None:
        """See `Exporter.export`."""
        self._sending = batch.records[0]
        began = monotonic()
        try:
            await self.inner.export(batch)
        except PermanentError:
            if len(batch.records) == 1:  # it is set aside; a larger batch is sent again in halves
                self._took(batch)
            raise
        self._durations.add(self._label, round((monotonic() - began) * 1e6))
        self._took(batch)

    def _took(self, batch: Batch) -> None:
        self.waiting = max(0, self.waiting - len(batch.records))
        self._last_us = _end_us(batch.records[-1])
        self._sending = None

    async def close(self) -> None:
        """See `Exporter.close`."""
        await self.inner.close()

    @property
    def lag_s(self) -> float:
        """Age of the oldest record that waits; 0 if none does."""
        if not self.waiting:
            return 0.0
        oldest = self._last_us if self._sending is None else _end_us(self._sending)
        return max(0.0, time() - oldest / 1e6)

    def status(self) -> dict[str, object]:
        """For health, beside what the delivery says."""
        return {"waiting": self.waiting, "lag_s": round(self.lag_s, 3)}

    def families(self) -> Iterator[Family]:
        """Metrics of this exporter alone, beside those made of its status."""
        yield self._durations.family()
        for name, help in LOST:
            if isinstance(value := getattr(self.inner, name, None), int):
                yield Family(
                    name=f"taximeter.delivery.{name}",
                    kind="counter",
                    unit="{span}",
                    help=help,
                    points=[(self._label, value)],
                )


def waiting(records: Path, cursor: Cursor) -> int:
    """How many records the journal holds behind `cursor`; reads all of them."""
    start = {cursor.writer: Position(cursor.segment, cursor.offset)} if cursor.writer else {}
    follower = Follower(records, start)
    found = 0
    for writer in follower.scan():
        before = None
        while writer.writer >= cursor.writer and before != writer.position:
            before = writer.position
            found += sum(frame.kind == Kind.RECORD for frame in follower.poll(writer))
    follower.close()
    return found


def _end_us(record: Record) -> int:
    return record.ts_us + record.duration_us
