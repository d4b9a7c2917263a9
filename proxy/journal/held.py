"""Frames that are not in a file yet: those to write next, and those that wait for the disk."""

from typing import NamedTuple

from proxy.exchange import Kind
from proxy.journal.frames import HEADER_BYTES, Unpacked

HELD_BYTES_MAX = 8 * 1024 * 1024
HELD_CALL_BYTES_MAX = 128 * 1024  # of bodies of one call: small calls survive whole
BODIES = frozenset({Kind.REQUEST, Kind.RESPONSE, Kind.MESSAGE_UP, Kind.MESSAGE_DOWN})
# How full it may be for another frame of a kind: bodies make way for rows, and a row that has begun
# needs its end.
_SHARES: dict[int, float] = {kind: 0.375 for kind in BODIES}
_SHARES |= {Kind.BEGUN: 0.75, Kind.RESPONSE_HEAD: 0.75, Kind.ENDED: 1.0}


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
    """What waits for the disk, in order: frames that rows need, and the bodies of small calls.

    It is written at once when there is room, beyond the `limit` of the journal's bytes if need be.
    So that a small journal does not grow to a multiple of it, it bounds the bodies as well.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.entries: list[Entry] = []  # in order
        self._bytes = 0
        self._bodies: dict[int, int] = {}  # call → bytes of its bodies that are held
        self._waiting: set[int] = set()  # calls with a frame that is held
        self._unbegun: set[int] = set()  # calls whose BEGUN is held
        self._lost: set[int] = set()  # calls whose BEGUN found no room, until they end

    def __bool__(self) -> bool:
        return bool(self.entries)

    def keep(self, entry: Entry, *, full: bool = False) -> bool:
        """Hold the frame if there is room for its kind; returns whether it is held.

        `full`: the journal is at its limit, where a call that is on disk may only end.
        """
        if entry.call in self._lost:
            if entry.kind == Kind.ENDED:
                self._lost.discard(entry.call)
            return False
        if entry.kind not in _SHARES:
            return False
        size = HEADER_BYTES + len(entry.payload)
        room = self._bytes + size <= HELD_BYTES_MAX * _SHARES[entry.kind]
        if entry.kind in BODIES:
            room = room and self._bytes + size <= self._limit * _SHARES[entry.kind]
            of_call = self._bodies.get(entry.call, 0) + size
            room = room and of_call <= HELD_CALL_BYTES_MAX
            room = room and not (full and entry.call not in self._unbegun)
            if room:
                self._bodies[entry.call] = of_call
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
        self._bodies = {call: size for call, size in self._bodies.items() if call in self._unbegun}
        self._bytes = sum(HEADER_BYTES + len(entry.payload) for entry in self.entries)
        self._waiting = {entry.call for entry in self.entries}
        return taken
