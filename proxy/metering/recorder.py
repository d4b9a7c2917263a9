"""Follows the relays' journals and turns every call into its record, exactly once.

A call is read as its frames arrive, so a long stream takes no memory and is ready when it ends.
The record journal and the progress file say what has been done.  A call whose relay is gone becomes
a record with outcome `interrupted`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import msgspec

from exporters.record import Record, encode
from proxy.content.content_journal import ContentJournal
from proxy.exchange import Ended, Exchange, Kind
from proxy.journal.counters import LAG, read_counters
from proxy.journal.follower import Followed, Follower, Position
from proxy.journal.frames import Frame
from proxy.journal.journal import Journal
from proxy.metering.open_call import OpenCall, without_audit
from proxy.metering.progress import Progress
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)

SLICE_S = 0.02  # how long frames are processed before others get their turn
IDLE_S_MIN, IDLE_S_MAX = 0.005, 0.1
UPKEEP_S = 2.0
COUNTING_MAX = 1_000  # calls waiting for their tokens to be counted
AUDITING_MAX = 50  # the same for sampled calls, whose rows do not wait beyond it

MakeRecords = Callable[[Exchange], Sequence[Record]]
OnRecord = Callable[[Record], None]


@dataclass(slots=True)
class Totals:
    """What the health check shows about the meter."""

    metered: int = 0
    interrupted: int = 0
    orphan_frames: int = 0  # the beginning of their call was never written, or is done
    audits_dropped: int = 0  # sampled calls not counted
    failed: int = 0  # calls that could not be turned into a record: a bug


@dataclass(slots=True)
class Finished:
    """A call that has ended; `records` are those that the record journal has not taken yet."""

    call: OpenCall
    records: list[bytes]


class Recorder:
    """`make` turns an exchange into its records and never raises.

    `on_record` is called with each new record, on the event loop, and must not raise either.
    `contents` takes what was said, if content is captured.
    Raises OSError or ValueError at construction if its state cannot be read.
    """

    def __init__(
        self,
        config: Config,
        make: MakeRecords,
        *,
        on_record: OnRecord = lambda record: None,
        contents: ContentJournal | None = None,
    ) -> None:
        self._config = config
        self._make = make
        self._on_record, self._contents = on_record, contents
        places = Places(config.data)
        self._records = places.records
        self._progress_path = places.progress
        self.progress = Progress.load(self._progress_path)
        self.totals = Totals()
        self._written: set[str] = set()  # sources of records that an earlier meter wrote
        self._recover()
        self.saved = (self.progress.records_writer, self.progress.records_segment)
        self.journal = Journal(
            places.records, "meter", config.journal, self.progress.records_writer
        )
        self._follower = Follower(
            places.calls,
            {name: Position(w.segment, w.offset) for name, w in self.progress.writers.items()},
        )
        self._open: dict[tuple[str, int], OpenCall] = {}
        self._counting: set[asyncio.Task[None]] = set()
        self._finished: list[Finished] = []
        self._kept = 0  # records appended so far: numbers them
        self._upkept = monotonic()
        self.turn = asyncio.Lock()  # held while records are written or segments deleted

    def _recover(self) -> None:
        """Read in the record journal what an earlier meter finished after its last save."""
        here = (self.progress.records_writer, self.progress.records_segment)
        follower = Follower(self._records)
        for writer in follower.scan():
            before = None
            while before != writer.position:
                before = writer.position
                for frame in follower.poll(writer):
                    if (writer.writer, writer.segment) < here:
                        continue
                    source = msgspec.json.decode(frame.payload, type=_Source).source
                    name, number, *item = source.split(":", 2)
                    self._written.add(source)
                    if not item:
                        self.progress.writer(name).done(int(number))
        follower.close()

    # -- following ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow until cancelled."""
        idle_s = IDLE_S_MIN
        while True:
            async with self.turn:
                busy = await self.step()
            idle_s = IDLE_S_MIN if busy else min(idle_s * 1.5, IDLE_S_MAX)
            if monotonic() - self._upkept > UPKEEP_S:
                async with self.turn:
                    await self.upkeep()
            await asyncio.sleep(0 if busy else idle_s)

    async def step(self) -> bool:
        """Read what there is, for a slice of time; returns whether there was anything."""
        if not self._confirm():
            return False  # no space for records: the calls wait on disk
        until = monotonic() + SLICE_S
        busy = False
        for writer in self._follower.scan():
            before = None
            while before != writer.position and monotonic() < until:
                before = writer.position
                for frame in self._follower.poll(writer):
                    busy = True
                    self._take(writer, frame)
                    if monotonic() > until:
                        break
            if writer.finished:
                self._interrupt(writer)
        self._confirm()
        while len(self._counting) >= COUNTING_MAX:
            await asyncio.wait(self._counting, return_when=asyncio.FIRST_COMPLETED)
        return busy

    async def drain(self) -> None:
        """Before stopping, read until every call of a dead writer has its record; no live one."""
        while True:
            await self.step()
            if not (self._follower.behind() or self._counting or self._finished):
                return
            await asyncio.sleep(IDLE_S_MIN)

    def _take(self, writer: Followed, frame: Frame) -> None:
        """Take one frame.  Never raises: a frame that cannot be read is counted."""
        progress = self.progress.writer(writer.writer)
        progress.seen = max(progress.seen, frame.call)
        if progress.is_done(frame.call):
            return
        key = (writer.writer, frame.call)
        call = self._open.get(key)
        try:
            if frame.kind == Kind.BEGUN:
                capturing = self._contents.capturing if self._contents else None
                at = writer.writer, writer.segment, frame
                self._open[key] = OpenCall.begin(*at, self._config, capturing)
            elif call is None:
                self.totals.orphan_frames += 1
            elif ended := call.take(writer.segment, frame):
                self._finish(call, ended)
        except Exception:  # one odd call must not stop metering
            log.exception("A frame of call %s:%d could not be read.", *key)
            self.totals.failed += 1

    def _interrupt(self, writer: Followed) -> None:
        """End the open calls of a relay that is gone."""
        for call in [c for c in self._open.values() if c.writer == writer.writer]:
            if not call.finishing:
                self.totals.interrupted += 1
                self._finish(call, call.interrupted())

    # -- finishing ------------------------------------------------------------------------------

    def _finish(self, call: OpenCall, ended: Ended) -> None:
        exchange = call.finish(ended)
        if exchange.reading.audit and len(self._counting) >= AUDITING_MAX:
            exchange = without_audit(exchange)
            self.totals.audits_dropped += 1
        if not (exchange.reading.count or exchange.reading.audit):
            self._keep(call, self._make(exchange))
            return
        self._counting.add(task := asyncio.create_task(self._count(call, exchange)))
        task.add_done_callback(self._counting.discard)

    async def _count(self, call: OpenCall, exchange: Exchange) -> None:
        """Make the records in a thread, since counting tokens takes long."""
        self._keep(call, await asyncio.to_thread(self._make, exchange))

    def _keep(self, call: OpenCall, records: Sequence[Record]) -> None:
        """Queue the records for writing; that of the call itself is last."""
        new = [record for record in records if record.source not in self._written]
        self._finished.append(Finished(call, list(map(encode, new))))
        if self._contents and new:
            self._contents.keep(call.reader.captured, new[-1])
        for record in new:
            self._on_record(record)

    def _confirm(self) -> bool:
        """Append records, and mark calls as done that the journal took; False if some must wait."""
        if self._finished and self.journal.blocked:
            return False
        if self._contents:
            self._contents.flush()
        appended = [[self._append(record) for record in one.records] for one in self._finished]
        self.journal.flush()
        waiting = []
        for one, numbers in zip(self._finished, appended, strict=True):
            pairs = zip(one.records, numbers, strict=True)
            one.records = [record for record, number in pairs if self.journal.forget(number)]
            if one.records:
                waiting.append(one)
                continue
            self.totals.metered += 1
            self.progress.writer(one.call.writer).done(one.call.number)
            self._open.pop((one.call.writer, one.call.number), None)
        self._finished = waiting
        return not waiting

    def _append(self, record: bytes) -> int:
        """The number by which the journal reports whether it lost the record."""
        self._kept += 1
        self.journal.append(self._kept, Kind.RECORD, record)
        return self._kept

    # -- state ----------------------------------------------------------------------------------

    async def upkeep(self) -> None:
        """Save the progress, then release segments that nothing needs any more."""
        self._upkept = monotonic()
        await self.journal.synced()
        for writer in list(self._follower.writers.values()):
            self._mark(writer)
        self.progress.records_writer = self.journal.writer
        self.progress.records_segment = self.journal.segment
        with suppress(OSError):
            self.progress.save(self._progress_path)
            self.saved = (self.progress.records_writer, self.progress.records_segment)
            for writer in list(self._follower.writers.values()):
                self._retire(writer)

    def _mark(self, writer: Followed) -> None:
        progress = self.progress.writer(writer.writer)
        mine = [call for call in self._open.values() if call.writer == writer.writer]
        progress.compact(call.number for call in mine)
        at = min((call.first for call in mine), default=writer.position)
        progress.segment, progress.offset = at

    def _retire(self, writer: Followed) -> None:
        mine = [call for call in self._open.values() if call.writer == writer.writer]
        needed = frozenset[int]().union(*(call.segments for call in mine))
        counters = read_counters(writer.path)
        self._follower.retire(writer, writer.segment, needed)
        if writer.writer not in self._follower.writers:
            for name, value in counters.items():
                self.progress.lost[name] = self.progress.lost.get(name, 0) + value
            self.progress.writers.pop(writer.writer, None)

    def close(self) -> None:
        self.journal.close()
        self._follower.close()

    def status(self) -> dict[str, object]:
        """For the health check: what was metered, waits or was lost, and the lag of relays."""
        lost = dict(self.progress.lost)
        for writer in self._follower.writers.values():
            for name, value in read_counters(writer.path).items():
                lost[name] = lost.get(name, 0) + value
        return {
            "ok": self.totals.failed == 0,
            "metered": self.totals.metered,
            "open": len(self._open),
            "interrupted": self.totals.interrupted,
            "failed": self.totals.failed,
            "orphan_frames": self.totals.orphan_frames,
            "audits_dropped": self.totals.audits_dropped,
            "write_errors": read_counters(self._records / self.journal.writer)["write_errors"],
            "damaged_bytes": sum(w.damaged_bytes for w in self._follower.writers.values()),
            "journal": {name: n for name, n in lost.items() if name not in LAG},
            "loop_lag": {name: lost.get(name, 0) for name in LAG},
        }


class _Source(msgspec.Struct):
    source: str = ""
