"""Frames that are not in a file yet: those to be written next, and those that wait for the disk."""

from typing import NamedTuple

from proxy.exchange import Kind
from proxy.journal.frames import HEADER_BYTES, header

HELD_BYTES_MAX = 8 * 1024 * 1024
HEADS = frozenset({Kind.BEGUN, Kind.RESPONSE_HEAD})  # may take half of it; the rest is for ends


class Entry(NamedTuple):
    """A frame before it is written."""

    kind: int
    call: int
    at_ns: int
    payload: bytes


class Buffer:
    """What the next system call writes: `parts` are its bytes, `size` of them, for `entries`."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.entries: list[Entry] = []
        self.size = 0

    def add(self, entry: Entry) -> None:
        head = header(*entry)
        self.parts += (head, entry.payload)
        self.entries.append(entry)
        self.size += len(head) + len(entry.payload)

    def clear(self) -> None:
        self.parts.clear()
        self.entries.clear()
        self.size = 0


class Held:
    """The few small frames without which a call has no row, while the disk refuses, in order."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._bytes = 0
        self._waiting: set[int] = set()  # calls of which something is held
        self._unbegun: set[int] = set()  # those of which the beginning is
        self._lost: set[int] = set()  # calls whose beginning found no room, until they end

    def __bool__(self) -> bool:
        return bool(self._entries)

    def keep(self, entry: Entry) -> bool:
        """Whether it is kept: if a row needs it, and there is room."""
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
            self._entries.append(entry)
            self._bytes += size
        return room

    def blocks(self, call: int) -> bool:
        """Whether something of this call waits or its beginning was lost: nothing may overtake."""
        return call in self._waiting or call in self._lost

    def take(self, *, begun_only: bool = False) -> list[Entry]:
        """Those that are held, which they are no more; or those of calls that a file has begun."""
        taken, self._entries = self._entries, []
        if begun_only:
            self._entries = [entry for entry in taken if entry.call in self._unbegun]
            taken = [entry for entry in taken if entry.call not in self._unbegun]
        else:
            self._unbegun.clear()
        self._bytes = sum(HEADER_BYTES + len(entry.payload) for entry in self._entries)
        self._waiting = {entry.call for entry in self._entries}
        return taken
