"""A table that all relays of a machine share: a mapped file, with a place for each name.

    magic | places, each: digest of the name, when it was last used, its state, a checksum

Instants are seconds since the epoch, so that they hold for every process and after a restart of
the machine.  A place that somebody died in while writing it fails its checksum and is free.
"""

import logging
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Generic, TypeVar
from zlib import crc32

from proxy.gate.mapped import Busy, fill, lock, unlock

log = logging.getLogger(__name__)

T = TypeVar("T")

PROBES_MAX = 16  # places in which a name may be; the longest unused one makes room
TRY_NS = 5_000_000  # for the lock: a turn of whoever holds it; waiting stops the whole relay
AHEAD_S = 5.0  # a place that was used later than this from now is of a clock that was put back
PLACES_AT = 64
LOOK_S = 1.0  # between two looks whether the file is still the one that is mapped
AWAY_S = 0.25  # after a lock that was not free, before the next try: each stops the relay
_HEAD = struct.Struct("<16sd")
_SUM = struct.Struct("<I")


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[T]):
    """What a table holds.  `empty` is the state of a name that has no place."""

    magic: bytes
    what: str  # for complaints
    places: int
    fields: struct.Struct
    empty: T
    pack: Callable[[T], tuple[float, ...]]
    unpack: Callable[[tuple[float, ...]], T]

    @cached_property
    def used(self) -> int:
        """Bytes of a place."""
        return _HEAD.size + self.fields.size + _SUM.size

    @cached_property
    def place(self) -> int:
        """Bytes from one place to the next."""
        return -(-self.used // 8) * 8

    @cached_property
    def total(self) -> int:
        """Bytes of the file."""
        return PLACES_AT + self.places * self.place


@lru_cache(maxsize=4096)
def _digest(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Table(Generic[T]):
    """One mapping.  Raises OSError if there can be none.

    A file that is none of this version is replaced: whoever mapped it finds another one there.
    """

    def __init__(self, path: Path, kind: Kind[T]) -> None:
        self._kind = kind
        self._new = bytes(kind.used)
        if not path.exists():
            self._make(path, replace=False)
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if not self._is_ours(fd):
            os.close(fd)
            self._make(path, replace=True)
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._fd = fd
        try:
            self._map = mmap.mmap(fd, kind.total)
        except BaseException:
            os.close(fd)
            raise
        self.inode = os.fstat(fd).st_ino

    def close(self) -> None:
        self._map.close()
        os.close(self._fd)

    def change(self, name: str, now: float, to: Callable[[T], T]) -> T:
        """Put a name into its next state, in one locked step.  Raises Busy."""
        digest = _digest(name)
        lock(self._fd, TRY_NS)
        try:
            at, before = self._find(digest, now)
            state = to(before)
            if state != before:
                self._put(at, digest, now, state)
        finally:
            unlock(self._fd)
        return state

    def seen(self, name: str, now: float) -> T | None:
        """The state of a name, without the lock; None: somebody may be writing it now."""
        state, torn = self._kind.empty, False
        digest = _digest(name)
        for at in self._places(digest):
            data = self._map[at : at + self._kind.used]
            if data == self._new:
                break
            found, used = self._read(data, now)
            if found == digest:
                return self._kind.unpack(self._kind.fields.unpack_from(data, _HEAD.size))
            torn = torn or not used
        return None if torn else state

    def _places(self, digest: bytes) -> Iterator[int]:
        """Where a name may be."""
        kind = self._kind
        first = int.from_bytes(digest[:4], "little")
        for step in range(PROBES_MAX):
            yield PLACES_AT + (first + step) % kind.places * kind.place

    def _find(self, digest: bytes, now: float) -> tuple[int, T]:
        """Where a name is, or will be, and its state."""
        kind = self._kind
        oldest, oldest_used = -1, float("inf")
        for at in self._places(digest):
            data = self._map[at : at + kind.used]
            if data == self._new:  # it was never used: nothing can be behind it
                return (oldest if oldest_used == 0.0 else at), kind.empty
            found, used = self._read(data, now)
            if found == digest:
                return at, kind.unpack(kind.fields.unpack_from(data, _HEAD.size))
            if used < oldest_used:
                oldest, oldest_used = at, used
        return oldest, kind.empty

    def _read(self, data: bytes, now: float) -> tuple[bytes, float]:
        """Whose a place is, and when it was last used; (b"", 0) if it is free."""
        digest, used = _HEAD.unpack_from(data)
        (checksum,) = _SUM.unpack_from(data, len(data) - _SUM.size)
        if checksum != crc32(data[: -_SUM.size]) or used > now + AHEAD_S:
            return b"", 0.0
        return digest, used

    def _put(self, at: int, digest: bytes, now: float, state: T) -> None:
        data = _HEAD.pack(digest, now) + self._kind.fields.pack(*self._kind.pack(state))
        self._map[at : at + self._kind.used] = data + _SUM.pack(crc32(data))

    def _is_ours(self, fd: int) -> bool:
        begins = os.pread(fd, len(self._kind.magic), 0) == self._kind.magic
        return begins and os.fstat(fd).st_size == self._kind.total

    def _make(self, path: Path, *, replace: bool) -> None:
        """Make the file; unless it is to `replace` one, another relay's that was first stays."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            fill(own, self._kind.magic, self._kind.total)
            if replace:
                own.replace(path)
                return
            with suppress(FileExistsError):
                os.link(own, path)
        finally:
            own.unlink(missing_ok=True)


class Shared(Generic[T]):
    """The table at a path, opened when it is first used, and again if its file was replaced.

    `clock` is monotonic, in seconds; `lost` is called before another file is mapped, which knows
    nothing of what was said before.
    """

    def __init__(
        self, path: Path, kind: Kind[T], clock: Callable[[], float], lost: Callable[[], None]
    ) -> None:
        self._path, self._kind = path, kind
        self._clock, self._lost = clock, lost
        self._table: Table[T] | None = None
        self._look_at = 0.0  # when to look for the file again
        self._away_until = 0.0  # until then, the lock is not tried
        self._complaint = ""

    def close(self) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None

    @property
    def busy(self) -> bool:
        """Whether the lock was not free a moment ago: others may know more than this process."""
        return self._clock() < self._away_until

    def change(self, name: str, wall: float, to: Callable[[T], T]) -> T | None:
        """The next state, as all relays have it; None: it cannot be read or written now."""
        table = None if self.busy else self._opened()
        if table is None:
            return None
        try:
            return table.change(name, wall, to)
        except Busy:
            self._away_until = self._clock() + AWAY_S
            return None

    def seen(self, name: str, wall: float) -> T | None:
        """The state, as all relays have it; None: it cannot be read now.  Usually takes no lock."""
        table = self._opened()
        found = None if table is None else table.seen(name, wall)
        return self.change(name, wall, lambda state: state) if found is None else found

    def _opened(self) -> Table[T] | None:
        now = self._clock()
        if now < self._look_at:
            return self._table
        self._look_at = now + LOOK_S
        with suppress(OSError):  # it was removed
            if self._table is not None and self._path.stat().st_ino == self._table.inode:
                return self._table
        self.close()
        self._lost()
        try:
            self._table = Table(self._path, self._kind)
        except OSError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("Cannot share %s with other relays: %s.", self._kind.what, error)
        return self._table
