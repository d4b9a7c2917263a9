"""The few small frames without which a call has no row, kept in memory while the disk refuses."""

from typing import NamedTuple

from proxy.exchange import Kind
from proxy.frames import HEADER_BYTES

HELD_BYTES_MAX = 8 * 1024 * 1024
HEADS = frozenset({Kind.BEGUN, Kind.RESPONSE_HEAD})  # may take half of it; the rest is for ends


class Entry(NamedTuple):
    """A frame before it is written."""

    kind: int
    call: int
    at_ns: int
    payload: bytes


class Held:
    """Frames in the order they came."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    def keep(self, entry: Entry) -> bool:
        """Whether it is kept: if a row needs it, and there is room."""
        if entry.kind not in HEADS and entry.kind != Kind.ENDED:
            return False
        size = HEADER_BYTES + len(entry.payload)
        if self._bytes + size > (HELD_BYTES_MAX // 2 if entry.kind in HEADS else HELD_BYTES_MAX):
            return False
        self._entries.append(entry)
        self._bytes += size
        return True

    def take(self) -> list[Entry]:
        """All of them; none is held any more."""
        entries, self._entries, self._bytes = self._entries, [], 0
        return entries
