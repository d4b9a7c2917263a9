"""Decompresses our copy of a body, however it is cut, in bounded steps.  Sans-I/O.

gzip, deflate (zlib and raw: RFC 9110, 8.4.1.2, notes that both are sent), br, zstd, and stacks of
them.  A body that is declared as gzip or zstd and does not begin like it is passed through: clients
and recordings that decode a body often keep the header.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

from pricing.reason import Reason

STEP_BYTES_MAX = 256 * 1024  # decoded bytes yielded at once
ENCODINGS_MAX = 4  # encodings stacked on one body
ZSTD_SLICE_BYTES = 64  # a four-byte block may hold 128 KiB, so 64 bytes give 2 MiB at most
ZSTD_WINDOW_BYTES_MAX = 8 * 1024 * 1024  # RFC 9659: the most that HTTP content may ask for


class _Codec(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decodes to; raises `_BROKEN` if it cannot."""


_BROKEN = (zlib.error, brotli.error, zstandard.ZstdError)


class Inflate:
    """Decodes one body.  Never raises: `reason` says what stopped it; the rest is dropped."""

    def __init__(self, content_encoding: str, bytes_max: int) -> None:
        """`content_encoding` is the header; more than `bytes_max` decoded bytes are dropped."""
        self.reason: Reason | None = None
        self._room = bytes_max
        self._codecs: list[_Codec] = []
        names = [name.strip().lower() for name in content_encoding.split(",")]
        # Encodings are listed in the order in which they were applied.
        for name in reversed([name for name in names if name not in ("", "identity")]):
            codec = _CODECS.get(name)
            if codec is None or len(self._codecs) == ENCODINGS_MAX:
                self.reason = Reason.CONTENT_ENCODING_UNKNOWN
                return
            self._codecs.append(codec())

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded bytes of `data`, `STEP_BYTES_MAX` or a little more at a time."""
        if self.reason is not None:
            return
        try:
            for piece in self._through(data, 0):
                if len(piece) > self._room:
                    self.reason = Reason.DECODED_BODY_TOO_LARGE
                    yield piece[: self._room]  # independent of how the body was cut
                    return
                self._room -= len(piece)
                yield piece
        except _BROKEN:
            self.reason = Reason.CONTENT_ENCODING_CORRUPT

    def _through(self, data: bytes, stage: int) -> Iterator[bytes]:
        if stage == len(self._codecs):
            if data:
                yield data
            return
        for piece in self._codecs[stage].feed(data):
            yield from self._through(piece, stage + 1)


class _Zlib:
    """gzip in any number of members, or deflate with or without its header."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._start: bytes | None = b""  # the first two bytes; None once they are known
        self._plain = False
        self._padding = False
        self._inner = zlib.decompressobj(31)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See `_Codec`."""
        if self._start is not None:
            data = self._start + data
            if len(data) < 2:
                self._start = data
                return
            self._begin(data)
        if self._plain:
            yield data
            return
        while data and not (self._inner.eof and not self._next_member(data)):
            if piece := self._inner.decompress(data, STEP_BYTES_MAX):
                yield piece
            data = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail

    def _begin(self, data: bytes) -> None:
        self._start = None
        if self._gzip:
            self._plain = data[:2] != b"\x1f\x8b"
            return
        header = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0  # RFC 1950, 2.2
        self._inner = zlib.decompressobj(15 if header else -15)

    def _next_member(self, data: bytes) -> bool:
        """Start the next gzip member; whatever follows the last one is padding."""
        self._padding = self._padding or not self._gzip or data[0] != 0x1F
        if self._padding:
            return False
        self._inner = zlib.decompressobj(31)
        return True


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See `_Codec`."""
        if data and self._inner.is_finished():
            raise brotli.error("data after the end")  # as if both came at once
        while True:
            piece: bytes = self._inner.process(data, output_buffer_limit=STEP_BYTES_MAX)
            data = b""
            if piece:
                yield piece
            if not piece or self._inner.is_finished():  # it may hold back decoded bytes
                return


class _Zstd:
    """Any number of frames."""

    MAGIC = (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60)))

    def __init__(self) -> None:
        self._start: bytes | None = b""
        self._plain = False
        self._inner = self._frame()

    @staticmethod
    def _frame() -> "zstandard.ZstdDecompressionObj":  # a name of the type stubs only
        return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX).decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See `_Codec`."""
        if self._start is not None:
            data = self._start + data
            if len(data) < 4:
                self._start = data
                return
            self._start = None
            self._plain = not data.startswith(self.MAGIC)
        if self._plain:
            yield data
            return
        while data:
            piece = self._inner.decompress(data[:ZSTD_SLICE_BYTES])
            data = data[ZSTD_SLICE_BYTES:]
            if piece:
                yield piece
            if self._inner.eof:
                data = self._inner.unused_data + data
                self._inner = self._frame()


_CODECS: Mapping[str, Callable[[], _Codec]] = {
    "gzip": lambda: _Zlib(gzip=True),
    "x-gzip": lambda: _Zlib(gzip=True),
    "deflate": lambda: _Zlib(gzip=False),
    "br": _Brotli,
    "zstd": _Zstd,
}
