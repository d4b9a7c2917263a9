"""The pools that all relays of a machine share: a mapped file, with a place for each pool.

    magic | places, each: digest of the pool's name, when it was last used, its state, a checksum

Instants are seconds since the epoch, so that they hold for every process and after a restart of
the machine.  A place that somebody died in while writing it fails its checksum and is free.
"""

import mmap
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

from proxy.gate.mapped import fill, lock, unlock
from proxy.gateway.pools import Pool

MAGIC = b"TAXPOOL1"
POOLS_MAX = 2_048
PROBES_MAX = 16  # places in which a pool may be; the longest unused one makes room
TRY_NS = 5_000_000  # for the lock: a turn of whoever holds it; waiting stops the whole relay
AHEAD_S = 5.0  # a place that was used later than this from now is of a clock that was put back
PLACE = struct.Struct("<16s9dI")
_SUM = struct.Struct("<I")
_NEW = bytes(PLACE.size)  # a place that was never used: no pool can be behind it
PLACES_AT = 64
PLACE_BYTES = 96
TOTAL_BYTES = PLACES_AT + POOLS_MAX * PLACE_BYTES


class PoolMemory:
    """One mapping.  Raises OSError if there can be none.

    A file that is none of this version is replaced: whoever mapped it finds another one there.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            _make(path, replace=False)
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if not _is_ours(fd):
            os.close(fd)
            _make(path, replace=True)
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._fd = fd
        try:
            self._map = mmap.mmap(fd, TOTAL_BYTES)
        except BaseException:
            os.close(fd)
            raise
        self.inode = os.fstat(fd).st_ino

    def close(self) -> None:
        self._map.close()
        os.close(self._fd)

    def change(self, name: str, now: float, to: Callable[[Pool], Pool]) -> Pool:
        """Put a pool into its next state, in one locked step.  Raises Busy."""
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        lock(self._fd, TRY_NS)
        try:
            at, before = self._find(digest, now)
            pool = to(before)
            if pool != before:
                self._put(at, digest, now, pool)
        finally:
            unlock(self._fd)
        return pool

    def _find(self, digest: bytes, now: float) -> tuple[int, Pool]:
        """Where a pool is, or will be, and its state."""
        first = int.from_bytes(digest[:4], "little")
        oldest, oldest_used = -1, float("inf")
        for step in range(PROBES_MAX):
            at = PLACES_AT + (first + step) % POOLS_MAX * PLACE_BYTES
            data = self._map[at : at + PLACE.size]
            if data == _NEW:
                return (oldest if oldest_used == 0.0 else at), Pool()
            found, used, pool = _read(data, now)
            if found == digest:
                return at, pool
            if used < oldest_used:
                oldest, oldest_used = at, used
        return oldest, Pool()

    def _put(self, at: int, digest: bytes, now: float, pool: Pool) -> None:
        values = (
            *(now, pool.closed_until, pool.probing_until, float(pool.closings), pool.credit),
            *(pool.credit_at, pool.room, pool.refill_s, pool.room_at),
        )
        data = PLACE.pack(digest, *values, 0)[: -_SUM.size]
        self._map[at : at + PLACE.size] = data + _SUM.pack(crc32(data))


def _read(data: bytes, now: float) -> tuple[bytes, float, Pool]:
    digest, used, until, probing, closings, *rest, checksum = PLACE.unpack(data)
    if checksum != crc32(data[: -_SUM.size]) or used > now + AHEAD_S:
        return b"", 0.0, Pool()
    credit, credit_at, room, refill_s, room_at = rest
    pool = Pool(
        closed_until=until,
        probing_until=probing,
        closings=int(closings),
        credit=credit,
        credit_at=credit_at,
        room=room,
        refill_s=refill_s,
        room_at=room_at,
    )
    return digest, used, pool


def _is_ours(fd: int) -> bool:
    return os.pread(fd, len(MAGIC), 0) == MAGIC and os.fstat(fd).st_size == TOTAL_BYTES


def _make(path: Path, *, replace: bool) -> None:
    """Make the file; unless it is to `replace` one, another relay's that was first stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    own = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        fill(own, MAGIC, TOTAL_BYTES)
        if replace:
            own.replace(path)
            return
        with suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink(missing_ok=True)
