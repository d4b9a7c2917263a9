"""The journal's frames: bytes to values and back.  No I/O.

A segment file is `MAGIC`, then frames.  A frame is a 25-byte header and a payload:

    length u32 | crc32 u32 | kind u8 | call u64 | at_ns u64 | payload

in little-endian byte order.  `length` is that of the payload; the CRC covers everything after
itself.  `at_ns` is the writer's monotonic clock; the wall-clock time of a call is in its `Begun`,
so a clock that is set back cannot make a duration negative.  A finished segment ends with a SEAL.
Whatever a crash leaves, the frames before the first bad one are whole: `Scan` stops there and says
why.
"""

import struct
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import NamedTuple

from isal.isal_zlib import crc32

MAGIC = b"TAXIJNL1"
SEAL = 0  # the kind of a segment's last frame
FRAME_BYTES_MAX = 64 * 1024 * 1024  # a greater length means that the segment is damaged

_HEADER = struct.Struct("<IIBQQ")
_BODY = struct.Struct("<BQQ")
HEADER_BYTES = _HEADER.size
_pack_body = _BODY.pack
_pack_sum = struct.Struct("<II").pack
_CRC_FROM = 8  # the CRC starts after itself
_COPIED_BYTES_MAX = 4096  # a payload this small costs less to copy than a piece of its own


Unpacked = tuple[int, int, int, bytes]  # kind, call, at_ns, payload


class Frame(NamedTuple):
    """One thing that happened; `start` and `end` are its offsets in the segment."""

    kind: int
    call: int
    at_ns: int
    payload: bytes
    start: int
    end: int


class Stop(Enum):
    """Why a scan ended."""

    MORE = auto()  # the bytes end, perhaps inside a frame: read on when there are more
    SEALED = auto()  # the segment is finished
    DAMAGED = auto()  # not a frame: nothing from this offset on can be trusted


def header(kind: int, call: int, at_ns: int, payload: bytes) -> bytes:
    """The header of a frame; the payload follows it in the file.

    Raises ValueError for a payload over `FRAME_BYTES_MAX`.
    """
    if len(payload) > FRAME_BYTES_MAX:
        raise ValueError(f"frame payload of {len(payload)} bytes exceeds {FRAME_BYTES_MAX}")
    body = _pack_body(kind, call, at_ns)
    return _pack_sum(len(payload), crc32(payload, crc32(body))) + body


def packed(frames: Iterable[Unpacked]) -> list[bytes]:
    """Frames as they lie in a file, in as few pieces as are worth a copy.

    All frames of a turn of the loop are packed at once, since that costs a third of one at a time.
    """
    pieces, small = list[bytes](), list[bytes]()
    for kind, call, at_ns, payload in frames:
        size = len(payload)
        if size < _COPIED_BYTES_MAX:
            data = _pack_body(kind, call, at_ns) + payload
            small += (_pack_sum(size, crc32(data)), data)
        else:
            small.append(header(kind, call, at_ns, payload))
            pieces += (b"".join(small), payload)
            small.clear()
    if small:
        pieces.append(b"".join(small))
    return pieces


class Scan:
    """Iterates over the frames of `data`, which begins at `offset` in its segment.

    After the iteration, `stop` says why it ended and `offset` where the next frame begins.
    """

    def __init__(self, data: bytes, offset: int) -> None:
        self._data = data
        self._base = offset
        self.offset = offset
        self.stop = Stop.MORE

    def __iter__(self) -> Iterator[Frame]:
        data, size = self._data, len(self._data)
        at = 0
        if self._base == 0:
            if not MAGIC.startswith(data[: len(MAGIC)]):
                self.stop = Stop.DAMAGED
                return
            if size < len(MAGIC):
                return
            at = len(MAGIC)
            self.offset = at
        while at + HEADER_BYTES <= size:
            length, crc, kind, call, at_ns = _HEADER.unpack_from(data, at)
            if length > FRAME_BYTES_MAX:
                self.stop = Stop.DAMAGED
                return
            end = at + HEADER_BYTES + length
            if end > size:
                return
            if crc32(memoryview(data)[at + _CRC_FROM : end]) != crc:
                self.stop = Stop.DAMAGED
                return
            self.offset = self._base + end
            if kind == SEAL:
                self.stop = Stop.SEALED
                return
            start = self._base + at
            yield Frame(kind, call, at_ns, data[at + HEADER_BYTES : end], start, self.offset)
            at = end

    def wanted(self) -> int:
        """How many bytes the next frame takes from `offset` on, as far as its header is there."""
        at = self.offset - self._base
        if len(self._data) - at < HEADER_BYTES:
            return HEADER_BYTES
        length: int = _HEADER.unpack_from(self._data, at)[0]
        return HEADER_BYTES + min(length, FRAME_BYTES_MAX)
