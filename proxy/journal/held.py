"""Frames that are not in a file yet: those to write next, and those that wait for the disk."""

from typing import NamedTuple

from proxy.exchange import Kind
from proxy.journal.frames import HEADER_BYTES, Unpacked

HELD_BYTES_MAX = 8 * 1024 * 1024
HEADS = frozenset({Kind.BEGUN, Kind.RESPONSE_HEAD})  # take half of it at most; ends need the rest


class Entry(NamedTuple):
    """A frame before it is written."""

    kind: int
    call: int
    at_ns: int
    payload: bytes


class Buffer:
    """What the next system call writes."""

    def __init__(self) -> None:
        self.frames: list[Unpacked] = []
        self.size = 0

    def add(self, frame: Unpacked) -> None:
        self.frames.append(frame)
        self.size += HEADER_BYTES + len(frame[3])

    def take(self) -> list[Entry]:
        """Empty the buffer; returns what was in it."""
        entries = [Entry(*frame) for frame in self.frames]
        self.clear()
        return entries

    def clear(self) -> None:
        self.frames.clear()
        self.size = 0


class Held:
    """The few small frames that a call's row needs, in order, while the disk refuses."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []  # in order
        self._bytes = 0
        self._waiting: set[int] = set()  # calls with a frame that is held
        self._unbegun: set[int] = set()  # calls whose BEGUN is held
        self._lost: set[int] = set()  # calls whose BEGUN found no room, until they end

    def __bool__(self) -> bool:
        return bool(self.entries)

    def keep(self, entry: Entry) -> bool:
        """Hold the frame if a row needs it and there is room; returns whether it is held."""
        if entry.call in self._lost:
            if entry.kind == Kind.ENDED:
                self._lost.discard(entry.call)
            return False
        if entry.kind not in HEADS and entry.kind != Kind.ENDED:
            return False
        size = HEADER_BYTES + len(entry.payload)
        room = self._bytes + size <= HELD_BYTES_MAX // (2 if entry.kind in HEADS else 1)
        if entry.kind == Kind.BEGUN:
            (self._unbegun if room else self._lost).add(entry.call)
        if room:
            self._waiting.add(entry.call)
            self.entries.append(entry)
            self._bytes += size
        return room

    def blocks(self, call: int) -> bool:
        """Whether a frame of this call is held, or its BEGUN was lost: no later one may pass."""
        return call in self._waiting or call in self._lost

    def take(self, *, begun_only: bool = False) -> list[Entry]:
        """Release all held frames; or only those of calls whose BEGUN is already in a file."""
        taken, self.entries = self.entries, []
        if begun_only:
            self.entries = [entry for entry in taken if entry.call in self._unbegun]
            taken = [entry for entry in taken if entry.call not in self._unbegun]
        else:
            self._unbegun.clear()
        self._bytes = sum(HEADER_BYTES + len(entry.payload) for entry in self.entries)
        self._waiting = {entry.call for entry in self.entries}
        return taken
