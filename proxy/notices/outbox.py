"""The outbox: which notices were told, and to which targets each still has to go.

An append-only file of lines, so that a notice survives `kill -9` from the moment `add` returns, and
a power cut from the next `sync` on.  Ids are remembered: the same notice is told once, whoever
evaluates the same spend again.  A notice that may have arrived before a crash is sent again under
its id.  If the disk refuses, everything goes on in memory and is written once it accepts.
"""

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from exporters.notify.notice import RESOLVED, Notice
from proxy.journal.disk import write_atomically
from proxy.notices.entries import Entry, Line, Settled, decode, is_over
from proxy.notices.lines import documents, line

log = logging.getLogger(__name__)

WAITING_MAX = 1000  # notices that wait for one target; beyond it the oldest are lost
AGE_MAX = timedelta(days=3)  # of a notice that waits: Standard Webhooks retries as long
REMEMBERED_MAX = 10_000  # ids of finished notices; beyond it the oldest are forgotten
FILE_BYTES_MAX = 4 * 1024 * 1024  # then the file is written anew, without what is finished


class Outbox:
    """The notices of one data directory.  Used from one event loop; writes are a few µs each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, Entry] = {}  # by key, oldest first
        self._by_id: dict[str, str] = {}  # id → key of the entry that told it
        self._open: dict[str, Entry] = {}  # ids that fire, oldest first
        # Target → keys of the entries that wait for it, oldest first.
        self._queues: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._unsaved = False  # whether the disk refused a line
        self._fd = -1
        self._size = 0
        self._dirty = False
        self._size_max = FILE_BYTES_MAX
        self.damaged = self.forgotten = self.write_errors = 0
        self._load()

    def add(self, notice: Notice, targets: Iterable[str], now: datetime | None = None) -> bool:
        """Keep `notice` for these targets.  False: it was told before, and nothing is done.

        One that tells of an end closes its id and those in `also`, and is kept only for targets
        that were told of the beginning or are about to be.
        """
        if notice.key in self._entries or (not notice.resolved and notice.id in self._by_id):
            return False
        ids = [notice.id, *notice.also]
        names = list(dict.fromkeys(targets))
        if notice.resolved:
            names = [name for name in names if self._told(notice.id, name)]
        entry = Entry(
            key=notice.key,
            ids=[] if notice.resolved else ids,
            at=now or datetime.now(UTC),
            until=notice.until,
            open=[] if notice.resolved else list(ids),
            notice=notice if names else None,
            waiting=names,
            ended=ids if notice.resolved else [],
        )
        self._write(entry)  # raises if it cannot be encoded, before anything is changed
        if not notice.resolved:  # what begins again can end again
            self._drop(notice.id + RESOLVED)
        self._take(entry)
        for name in names:
            self._limit(name)
        return True

    def told(self) -> Collection[str]:
        """The ids that fire, with those that another's message told: for `pricing.crossing`."""
        return self._open.keys()

    def adopt(self, id: str, targets: Iterable[str]) -> None:
        """Know that another machine told `targets` of this alert, which still fires."""
        if id not in self._by_id:
            now = datetime.now(UTC)
            told = dict.fromkeys(targets, now)
            entry = Entry(key=id, ids=[id], at=now, open=[id], delivered_at=told)
            self._write(entry)
            self._take(entry)

    def started_at(self, id: str) -> datetime | None:
        """When the message with this id was told; None: it had none of its own."""
        return self._entries[id].at if id in self._entries else None

    def end(self, ids: Iterable[str]) -> None:
        """Note that these alerts are over, without a message."""
        known = [id for id in ids if id in self._open]
        if known:
            now = datetime.now(UTC)
            key = f"{known[0]}#ended@{now.isoformat()}"
            entry = Entry(key=key, ids=[], at=now, until=now, ended=known)
            self._write(entry)
            self._take(entry)

    def forget(self, which: Callable[[str], bool]) -> None:
        """Let the alerts with these ids be told again.  An end that waits is still sent."""
        for key, entry in list(self._entries.items()):
            finished = [id for id in entry.ended if which(id)] and not entry.waiting
            if finished or any(map(which, entry.ids)):
                self._drop(key)
                for id in entry.ids:
                    self._by_id.pop(id, None)
                    self._open.pop(id, None)
        self._write_anew()

    def waiting(self, target: str) -> list[Notice]:
        """What this target has to be told, oldest first."""
        entries = (self._entries[key] for key in self._queues[target])
        return [entry.notice for entry in entries if entry.notice is not None]

    def done(self, key: str, target: str, *, lost: bool = False) -> bool:
        """Note that a notice reached `target`, or never will.  False: it was given up meanwhile."""
        entry = self._entries.get(key)
        if entry is None or target not in entry.waiting:
            return False
        settled = Settled(key=key, target=target, at=datetime.now(UTC), lost=lost)
        self._write(settled)
        self._settle(settled)
        return True

    def expired(self, target: str, now: datetime) -> list[Notice]:
        """What has waited for `target` for too long."""
        waiting = self.waiting(target)
        return [one for one in waiting if now - self._entries[one.key].at > AGE_MAX]

    def status(self) -> dict[str, int]:
        """What the outbox holds, and what it could not keep."""
        return {
            **{"remembered": len(self._entries), "firing": len(self._open)},
            **{"damaged": self.damaged, "forgotten": self.forgotten},
            "write_errors": self.write_errors,
        }

    async def sync(self) -> None:
        """Write what a failing disk refused before, and flush to the disk, in a thread."""
        if self._unsaved:
            self._write_anew()
        if self._dirty and self._fd >= 0:
            self._dirty = False
            with suppress(OSError):
                await asyncio.to_thread(_flush_and_close, os.dup(self._fd))

    def close(self) -> None:
        """Flush and close the file."""
        if self._unsaved:
            self._write_anew()
        if self._fd >= 0:
            _flush_and_close(self._fd)
            self._fd = -1

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        for name in entry.waiting if entry else ():
            self._queues[name].pop(key, None)

    def _told(self, id: str, target: str) -> bool:
        entry = self._entries.get(id)
        return entry is not None and (target in entry.waiting or target in entry.delivered_at)

    def _limit(self, target: str) -> None:
        queue = self._queues[target]
        while len(queue) > WAITING_MAX:
            self.done(next(iter(queue)), target, lost=True)

    def _take(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        for name in entry.waiting:
            self._queues[name][entry.key] = None
        for id in entry.ids:
            self._by_id.setdefault(id, entry.key)
        self._open |= dict.fromkeys(entry.open, entry)
        for id in entry.ended:
            if beginning := self._open.pop(id, None):
                beginning.open = [one for one in beginning.open if one != id]

    def _settle(self, settled: Settled) -> None:
        entry = self._entries.get(settled.key)
        if entry is None or settled.target not in entry.waiting:
            return
        entry.waiting = [name for name in entry.waiting if name != settled.target]
        self._queues[settled.target].pop(settled.key, None)
        if settled.lost:
            entry.lost = [*entry.lost, settled.target]
        else:
            entry.delivered_at = {**entry.delivered_at, settled.target: settled.at}
        if not entry.waiting:
            entry.notice = None

    def _load(self) -> None:
        """Read the file and write it anew: whole, and without what is finished."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            log.warning("Cannot read %s (%s); starting without earlier alerts.", self._path, error)
            data = b""
        for document in documents(data):
            try:
                read = None if document is None else decode(document)
            except msgspec.DecodeError:
                read = None
            if isinstance(read, Entry):
                self._take(read)
            elif isinstance(read, Settled):
                self._settle(read)
            else:
                self.damaged += 1
        if self.damaged:
            log.warning("%d lines of %s are damaged and were skipped.", self.damaged, self._path)
        self._write_anew()

    def _write(self, document: Line) -> None:
        """Append.  A failing disk is counted, and does not stop a notice."""
        data = line(msgspec.json.encode(document))
        if self._size + len(data) > self._size_max:
            self._write_anew()
        if self._unsaved or self._fd < 0:
            return  # `sync` writes all that is in memory
        try:
            written = os.write(self._fd, data)
        except OSError:
            written = 0
        if written == len(data):
            self._size += written
            self._dirty = True
            return
        self._fail("the disk is full or refuses")
        with suppress(OSError):  # no half of a line; a torn one would be skipped anyway
            os.ftruncate(self._fd, self._size)

    def _write_anew(self) -> None:
        """Replace the file by what still matters."""
        self._forget(datetime.now(UTC))
        data = b"".join(line(msgspec.json.encode(entry)) for entry in self._entries.values())
        try:
            write_atomically(self._path, data)
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            self._fail(str(error))
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size, self._unsaved = fd, len(data), False
        self._size_max = max(FILE_BYTES_MAX, 2 * len(data))

    def _fail(self, why: str) -> None:
        self.write_errors += 1
        if not self._unsaved:
            log.warning("Cannot write %s (%s); alerts are kept in memory.", self._path, why)
        self._unsaved = True

    def _forget(self, now: datetime) -> None:
        """Drop finished entries: those that cannot recur, and the oldest beyond the limit."""
        finished = [entry for entry in self._entries.values() if not entry.waiting]
        gone = [entry for entry in finished if is_over(entry, now)]
        kept = [entry for entry in finished if not is_over(entry, now)]
        oldest = kept[: max(len(kept) - REMEMBERED_MAX, 0)]
        self.forgotten += len(oldest)
        for entry in gone + oldest:
            del self._entries[entry.key]
            for id in entry.ids:
                if self._by_id.get(id) == entry.key:
                    del self._by_id[id]
            for id in entry.open:
                self._open.pop(id, None)


def _flush_and_close(fd: int) -> None:
    with suppress(OSError):
        os.fdatasync(fd)
    os.close(fd)
