"""The shared memory of the gate: a mapped file, one lock, and the changes that are made under it.

A process that dies while it writes leaves `dirty` set: the next one to take the lock (see
`mapped`) adds up all entries again.  Open one `Memory` per process and file.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from proxy.gate import layout
from proxy.gate.layout import (
    ACCOUNTS_MAX,
    AMOUNT_BYTES,
    DIGEST_BYTES,
    ENTRIES_MAX,
    ENTRY,
    I64,
    PROBES_MAX,
    SLOTS_MAX,
    U16,
    U64,
    account_at,
    entry_at,
    packed,
    slot_at,
)
from proxy.gate.mapped import fill, lock, unlock

FREE = bytes(DIGEST_BYTES)
NO_ENTRY = bytes(ENTRY.size)
_NO_ENTRIES = bytes(ENTRIES_MAX * ENTRY.size)
_DIRTY = slice(layout.DIRTY, layout.DIRTY + U64.size)
_ZERO, _ONE = U64.pack(0), U64.pack(1)


class Full(Exception):
    """There is no room for another account, slot or reservation."""


class Memory:
    """One mapping.  Raises OSError if there is no gate of this version at `path`."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            head = os.pread(self._fd, len(layout.MAGIC), 0)
            if head != layout.MAGIC or os.fstat(self._fd).st_size != layout.TOTAL_BYTES:
                raise OSError(f"{path} is not a gate of this version")
            self.map = mmap.mmap(self._fd, layout.TOTAL_BYTES)
        except BaseException:
            os.close(self._fd)
            raise
        self.inode = os.fstat(self._fd).st_ino

    @classmethod
    def made(cls, path: Path) -> "Memory":
        """The one at `path`; if there is none of this version, a new one.  Raises OSError."""
        with suppress(OSError):
            return cls(path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_name(f"{path.name}.new")
        fill(new, layout.MAGIC, layout.TOTAL_BYTES)
        new.replace(path)
        return cls(path)

    def close(self) -> None:
        self.map.close()
        os.close(self._fd)

    @contextmanager
    def locked(self, try_ns: int) -> Iterator[mmap.mmap]:
        """Hold the lock for a step that writes.  Raises Busy if it is not free within `try_ns`."""
        self.acquire(try_ns)
        done = False
        try:
            yield self.map
            done = True
        finally:
            self.release(done=done)

    def acquire(self, try_ns: int) -> None:
        """Take the lock; whoever takes it releases it.  Raises Busy."""
        lock(self._fd, try_ns)
        if self.u64(layout.DIRTY):
            self._add_up()
        self.map[_DIRTY] = _ONE

    def release(self, *, done: bool) -> None:
        """Give the lock back; a step that is not `done` may have written a part of its changes."""
        if done:
            self.map[_DIRTY] = _ZERO
        unlock(self._fd)

    # -- numbers --------------------------------------------------------------------------------

    def u64(self, at: int) -> int:
        value: int = U64.unpack_from(self.map, at)[0]
        return value

    def put_u64(self, at: int, value: int) -> None:
        U64.pack_into(self.map, at, value)

    def amount(self, at: int) -> int:
        return int.from_bytes(self.map[at : at + AMOUNT_BYTES], "little")

    def put_amount(self, at: int, units: int) -> None:
        self.map[at : at + AMOUNT_BYTES] = packed(units)

    # -- accounts -------------------------------------------------------------------------------

    def find(self, digest: bytes) -> int | None:
        """The number of an account; None: there is none."""
        first = layout.place(digest)
        for step in range(PROBES_MAX):
            number = (first + step) % ACCOUNTS_MAX
            at = account_at(number)
            if self.map[at : at + DIGEST_BYTES] == digest:
                return number
        return None

    def make(self, digest: bytes, name: bytes, start: int) -> int:
        """Make an account that holds nothing.  Under the lock.  Raises Full."""
        first = layout.place(digest)
        for step in range(PROBES_MAX):
            number = (first + step) % ACCOUNTS_MAX
            at = account_at(number)
            if self.map[at : at + DIGEST_BYTES] == FREE:
                kept = name if len(name) <= layout.NAME_BYTES_MAX else b""
                body = U16.pack(len(kept)) + kept
                self.map[at + DIGEST_BYTES : at + layout.NAME] = bytes(layout.NAME - DIGEST_BYTES)
                self.map[at + layout.NAME : at + layout.NAME + len(body)] = body
                I64.pack_into(self.map, at + layout.START, start)
                self.map[at : at + DIGEST_BYTES] = digest
                self.put_u64(layout.MADE, self.u64(layout.MADE) + 1)
                return number
        raise Full

    def remove(self, number: int) -> None:
        """Free an account that holds nothing.  Under the lock."""
        at = account_at(number)
        self.map[at : at + DIGEST_BYTES] = FREE

    def name(self, number: int) -> bytes:
        """The name of an account; b"": too long to be kept."""
        at = account_at(number) + layout.NAME
        length: int = U16.unpack_from(self.map, at)[0]
        return self.map[at + U16.size : at + U16.size + length]

    def accounts(self) -> Iterator[int]:
        """The numbers of all accounts."""
        for number in range(ACCOUNTS_MAX):
            at = account_at(number)
            if self.map[at : at + DIGEST_BYTES] != FREE:
                yield number

    # -- slots and entries ----------------------------------------------------------------------

    def writer(self, slot: int) -> str:
        """Whose slot it is; "": nobody's."""
        at = slot_at(slot)
        return self.map[at : at + layout.WRITER_BYTES].rstrip(b"\0").decode()

    def claim(self, writer: str) -> int:
        """Take a slot for a relay, or find its own.  Under the lock.  Raises Full."""
        owners = [self.writer(slot) for slot in range(SLOTS_MAX)]
        if writer in owners:
            return owners.index(writer)
        if "" not in owners:
            raise Full
        slot = owners.index("")
        at = slot_at(slot)
        name = writer.encode()[: layout.WRITER_BYTES]
        self.map[at + layout.WRITER_BYTES : at + layout.SLOT_HEAD_BYTES] = bytes(
            layout.SLOT_HEAD_BYTES - layout.WRITER_BYTES
        )
        self.map[at : at + layout.WRITER_BYTES] = name.ljust(layout.WRITER_BYTES, b"\0")
        return slot

    def give_back(self, slot: int) -> None:
        """Free the slot of a relay that is gone, and all entries in it.  Under the lock."""
        for number, *_ in self.entries(slot):
            self.free(slot, number)
        at = slot_at(slot)
        self.map[at : at + layout.WRITER_BYTES] = bytes(layout.WRITER_BYTES)

    def entries(self, slot: int) -> Iterator[tuple[int, int, int, int]]:
        """(number, call, account, amount) of what is held back by the calls of a slot.

        Without the lock an entry may be read while it is written.
        """
        first = entry_at(slot, 0)
        data = self.map[first : first + len(_NO_ENTRIES)]
        if data == _NO_ENTRIES:
            return
        for number, (call, account, _, amount) in enumerate(ENTRY.iter_unpack(data)):
            if call:
                yield number, call, account, int.from_bytes(amount, "little")

    def free(self, slot: int, number: int) -> None:
        """Free an entry, and count it no more.  Under the lock."""
        at = entry_at(slot, number)
        _, account, _, amount = ENTRY.unpack_from(self.map, at)
        self.map[at : at + ENTRY.size] = NO_ENTRY
        reserved = account_at(account) + layout.RESERVED
        self.put_amount(reserved, self.amount(reserved) - int.from_bytes(amount, "little"))

    def _add_up(self) -> None:
        """Somebody died while writing: add up what the entries say."""
        sums: dict[int, int] = {}
        for slot in range(SLOTS_MAX):
            for _, _, account, units in self.entries(slot):
                sums[account] = sums.get(account, 0) + units
        for number in self.accounts():
            self.put_amount(account_at(number) + layout.RESERVED, sums.get(number, 0))
