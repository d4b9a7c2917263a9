"""Content encodings are undone however the bytes are cut; what is broken is said, not raised."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from itertools import pairwise

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.reason import Reason
from proxy.reading.inflate import STEP_BYTES_MAX, Inflate

PLAIN = ('{"text": "你好, ' + "tokens " * 400 + '"}').encode()
ENCODE: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
each_encoding = pytest.mark.parametrize("name", ENCODE)


def raw_deflate(data: bytes) -> bytes:
    """RFC 1951 without the zlib header that RFC 9110 asks for."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def inflated(name: str, *pieces: bytes, bytes_max: int = 1 << 30) -> tuple[bytes, Reason | None]:
    inflate = Inflate(name, bytes_max)
    out = b"".join(got for piece in pieces for got in inflate.feed(piece))
    return out, inflate.reason


def bytewise(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


@each_encoding
def test_whole_and_byte_by_byte(name: str) -> None:
    """An encoded body decodes the same in one piece and in single bytes."""
    data = ENCODE[name](PLAIN)
    assert inflated(name, data) == (PLAIN, None)
    assert inflated(name, *bytewise(data)) == (PLAIN, None)


@each_encoding
@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_cut_anywhere(name: str, cuts: list[int]) -> None:
    """It decodes the same however it is cut, empty pieces included."""
    data = ENCODE[name](PLAIN)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert inflated(name, *(data[a:b] for a, b in pairwise(edges))) == (PLAIN, None)


def test_deflate_without_its_header() -> None:
    """Deflate is read with the zlib header and without it: servers send both."""
    assert inflated("deflate", *bytewise(raw_deflate(PLAIN))) == (PLAIN, None)


def test_several_members_and_frames() -> None:
    """A gzip body of several members and a zstd body of several frames are read to the end."""
    assert inflated("gzip", gzip.compress(PLAIN) + gzip.compress(b"end")) == (PLAIN + b"end", None)
    frames = zstandard.compress(PLAIN) + zstandard.compress(b"end")
    assert inflated("zstd", *bytewise(frames)) == (PLAIN + b"end", None)


def test_padding_after_gzip_is_ignored() -> None:
    """Zero bytes after the last gzip member are padding."""
    assert inflated("gzip", gzip.compress(PLAIN) + b"\0" * 9, b"\0") == (PLAIN, None)


def test_stacked_encodings() -> None:
    """Encodings listed together were applied in that order, and are undone in reverse."""
    data = brotli.compress(gzip.compress(PLAIN))
    assert inflated("gzip, br", data) == (PLAIN, None)
    assert inflated("GZIP , identity,br", *bytewise(data)) == (PLAIN, None)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_header_that_lies(name: str) -> None:
    """A plain body under a header that says otherwise is read as it is."""
    assert inflated(name, *bytewise(PLAIN)) == (PLAIN, None)


@each_encoding
def test_cut_short(name: str) -> None:
    """A body that was cut gives what it had."""
    data = ENCODE[name](PLAIN * 50)
    out, reason = inflated(name, data[: len(data) // 2])
    assert (PLAIN * 50).startswith(out)
    assert reason is None


@each_encoding
def test_corrupt(name: str) -> None:
    """A corrupt body gives a reason and no exception."""
    data = bytearray(ENCODE[name](bytes(range(256)) * 64))
    data[8:40] = b"\xff" * 32
    assert inflated(name, bytes(data), b"more")[1] is Reason.CONTENT_ENCODING_CORRUPT


@pytest.mark.parametrize("name", ["aws-chunked", "gzip, nonsense", ", ".join(["gzip"] * 9)])
def test_unknown(name: str) -> None:
    """An encoding we do not know, or too many of them, is said."""
    assert inflated(name, b"data") == (b"", Reason.CONTENT_ENCODING_UNKNOWN)


@pytest.mark.parametrize("name", [*ENCODE, "gzip, zstd"])
def test_a_bomb_is_cut_off(name: str) -> None:
    """A small body that decodes to very much is given in small steps and then stopped."""
    data = bytes(16 * 1024 * 1024)
    for part in name.split(", "):
        data = ENCODE[part](data)
    inflate = Inflate(name, 8 * 1024 * 1024)
    steps = [len(piece) for piece in inflate.feed(data)]
    assert inflate.reason is Reason.DECODED_BODY_TOO_LARGE
    assert sum(steps) <= 8 * 1024 * 1024
    assert max(steps) <= 8 * STEP_BYTES_MAX


@each_encoding
@settings(max_examples=50)
@given(noise=st.binary(max_size=200))
def test_noise(name: str, noise: bytes) -> None:
    """Any bytes at all are taken without an exception."""
    inflated(name, noise[:3], noise[3:])
