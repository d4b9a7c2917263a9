"""Follows the relays' journals and turns every call into its record, exactly once.

A call is read as its frames arrive, so a long stream takes no memory and is ready when it ends.  A
response on a socket has its record when it ends, while the socket stays open.  The record journal
and the progress file say what has been done.  A call whose relay is gone becomes a record with
outcome `interrupted`.
"""

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from time import monotonic, monotonic_ns

from proxy.content.content_journal import ContentJournal
from proxy.exchange import Ended, Kind
from proxy.journal.counters import LAG, read_counters
from proxy.journal.follower import Followed, Follower, Position
from proxy.journal.frames import Frame
from proxy.journal.journal import Journal
from proxy.metering.making import MakeRecords, Making
from proxy.metering.open_call import OpenCall, without_audit
from proxy.metering.outbox import OnRecord, Outbox
from proxy.metering.progress import Progress, WriterProgress
from proxy.metering.recovery import recover
from proxy.metering.totals import Totals
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)

_BEGUN = Kind.BEGUN  # looked up once, not for each frame

SLICE_S = 0.02  # how long frames are processed before others get their turn
IDLE_S_MIN, IDLE_S_MAX = 0.005, 0.1
UPKEEP_S = 2.0
SETTLE_S = 0.1  # how often sockets are asked whether something ended without a message


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
        self._capturing = contents.capturing if contents else None
        places = Places(config.data)
        self._records = places.records
        self._progress_path = places.progress
        self.progress = Progress.load(self._progress_path)
        self.totals = Totals()
        written = recover(self._records, self.progress)
        self.saved = (self.progress.records_writer, self.progress.records_segment)
        self.journal = Journal(
            places.records, "meter", config.journal, self.progress.records_writer
        )
        self._follower = Follower(
            places.calls,
            {name: Position(w.segment, w.offset) for name, w in self.progress.writers.items()},
        )
        self._open: dict[tuple[str, int], OpenCall] = {}
        self._sockets: dict[tuple[str, int], OpenCall] = {}  # those of them that have responses
        self._restore()
        self._outbox = Outbox(self.journal, contents, on_record, written, self._taken)
        self._making = Making(make, self._outbox.keep)
        self._upkept = self._settled = monotonic()
        self.turn = asyncio.Lock()  # held while records are written or segments deleted

    def _restore(self) -> None:
        """Read on with the sockets that were open when the progress was saved."""
        for name, writer in self.progress.writers.items():
            for number, saved in writer.sockets.items():
                call = OpenCall.restore(name, number, saved, self._config, self._capturing)
                self._open[name, number] = self._sockets[name, number] = call

    # -- following ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow until cancelled."""
        idle_s = IDLE_S_MIN
        while True:
            async with self.turn:
                busy = await self.step()
                if monotonic() - self._upkept > UPKEEP_S:
                    await self.upkeep()
            idle_s = IDLE_S_MIN if busy else min(idle_s * 1.5, IDLE_S_MAX)
            await asyncio.sleep(0 if busy else idle_s)

    async def step(self) -> bool:
        """Read what there is, for a slice of time; returns whether there was anything."""
        if not self._outbox.write():
            return False  # no space for records: the calls wait on disk
        until = monotonic() + SLICE_S
        busy = False
        for writer in self._follower.scan():
            before, progress = None, self.progress.writer(writer.writer)
            while before != writer.position and monotonic() < until:
                before = writer.position
                for frame in self._follower.poll(writer):
                    busy = True
                    self._take(writer, progress, frame)
                    if monotonic() > until:
                        break
            if writer.finished:
                self._interrupt(writer.writer)
        for name in {name for name, _ in self._sockets} - self._follower.writers.keys():
            self._interrupt(name, lost=True)  # its journal was removed while no meter ran
        if not busy:
            self._settle()
        self._making.finish()
        self._outbox.write()
        await self._making.room()
        return busy

    async def drain(self) -> None:
        """Before stopping, read until every call of a dead writer has its record; no live one."""
        while True:
            await self.step()
            if not (self._follower.behind() or self._making or self._outbox):
                return
            await asyncio.sleep(IDLE_S_MIN)

    def _take(self, writer: Followed, progress: WriterProgress, frame: Frame) -> None:
        """Take one frame.  Never raises: a frame that cannot be read is counted."""
        progress.seen = max(progress.seen, frame.call)
        if progress.is_done(frame.call):
            return
        key = (writer.writer, frame.call)
        call = self._open.get(key)
        try:
            if frame.kind == _BEGUN:
                if call is None:
                    at = writer.writer, writer.segment, frame
                    self._open[key] = call = OpenCall.begin(*at, self._config, self._capturing)
                    if call.marks is not None:
                        self._sockets[key] = call
            elif call is None:
                self.totals.orphan_frames += 1
            elif ended := call.take(writer.segment, frame):
                self._finish(call, ended)
            elif call.marks is not None:
                self._answer(call)
        except Exception:  # one odd call must not stop metering
            log.exception("A frame of call %s:%d could not be read.", *key)
            self.totals.failed += 1

    def _interrupt(self, writer: str, *, lost: bool = False) -> None:
        """End the open calls of a relay that is gone; `lost`: and its journal, too."""
        for call in [c for c in self._open.values() if c.writer == writer]:
            if not call.finishing:
                if lost:
                    call.reader.lose()
                self.totals.interrupted += 1
                self._finish(call, call.interrupted())

    def _settle(self) -> None:
        """End what ends without a message; called when all frames are read."""
        if monotonic() - self._settled < SETTLE_S:
            return
        self._settled = monotonic()
        for call in self._sockets.values():
            if not call.finishing:
                call.settle(monotonic_ns())
                self._answer(call)

    # -- finishing ------------------------------------------------------------------------------

    def _answer(self, call: OpenCall) -> None:
        """Make the records of responses that have ended on a socket."""
        for number, exchange in call.answered():
            self._making.take(call, [exchange], number)

    def _finish(self, call: OpenCall, ended: Ended) -> None:
        exchange = call.finish(ended)
        if exchange.reading.audit and not self._making.may_audit():
            exchange = without_audit(exchange)
            self.totals.audits_dropped += 1
        cut = call.answered(ended.outcome)
        self._making.take(call, [*(response for _, response in cut), exchange])

    def _taken(self, call: OpenCall, number: int) -> None:
        """All records of a call, or of its response `number`, are in the journal."""
        self.totals.metered += 1
        if number and call.marks is not None:
            call.marks.confirm(number)
            return
        self.progress.writer(call.writer).done(call.number)
        self._open.pop((call.writer, call.number), None)
        self._sockets.pop((call.writer, call.number), None)

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
        saved = {call.number: call.save() for call in mine if call.marks is not None}
        progress.sockets = {number: one for number, one in saved.items() if one is not None}
        progress.compact(call.number for call in mine if call.number not in progress.sockets)
        at = min((call.first for call in mine), default=writer.position)
        progress.segment, progress.offset = at

    def _retire(self, writer: Followed) -> None:
        mine = [call for call in self._open.values() if call.writer == writer.writer]
        needed = frozenset[int]().union(*(call.segments for call in mine))
        counters = read_counters(writer.path)
        self._follower.retire(writer, writer.segment, needed)
        if writer.writer not in self._follower.writers:
            self.progress.lose(counters)
            self.progress.writers.pop(writer.writer, None)

    def close(self) -> None:
        self.journal.close()
        self._follower.close()

    def status(self) -> dict[str, object]:
        """For the health check: what was metered, waits or was lost, and the lag of relays."""
        lost = Counter(self.progress.lost)
        for writer in self._follower.writers.values():
            lost.update(read_counters(writer.path))
        failed = self.totals.failed + self._making.failed
        return {
            **asdict(self.totals),
            "ok": failed == 0,
            "failed": failed,
            "open": len(self._open),
            "write_errors": read_counters(self._records / self.journal.writer)["write_errors"],
            "damaged_bytes": sum(w.damaged_bytes for w in self._follower.writers.values()),
            "journal": {name: n for name, n in lost.items() if name not in LAG},
            "loop_lag": {name: lost[name] for name in LAG},
        }
