"""A hostile provider: what it sends is bounded, and a lie never looks like a clean end."""

import asyncio
import zlib
from pathlib import Path

import pytest

from proxy.exchange import Outcome
from proxy.relay import attempt, websocket
from proxy.settings.config import UpstreamOptions
from support.relay_bench import Handler, answering, bench, read_head, read_message
from support.wire import GET, SLOW_S

HEAD_BYTES_MAX = UpstreamOptions().head_bytes_max


def endless(first: bytes, more: bytes) -> Handler:
    """An upstream that begins an answer and never comes to its end."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(first)
        while True:
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(0)

    return handle


@pytest.mark.parametrize(
    "handler",
    [
        endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"),
        endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 1000),
        endless(b"HTTP/1.1 200 ", b"a" * 1000),
        endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        answering(
            b"HTTP/1.1 200 OK\r\n"
            + b"".join(
                b"X-%d: %b\r\n" % (n, b"a" * 60_000) for n in range(HEAD_BYTES_MAX // 50_000)
            )
            + b"Content-Length: 0\r\n\r\n"
        ),
        answering(b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n"),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!"),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi"),
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ],
    ids=lambda handler: "",
)
async def test_hostile_head(tmp_path: Path, handler: Handler) -> None:
    """A head without end, or with two meanings, is 502: bounded in size and number."""
    async with bench(tmp_path, handler) as b:
        reader, writer = await b.open()
        writer.write(GET)
        async with asyncio.timeout(10):
            while (answer := await read_head(reader)).line.split()[1].startswith(b"1"):
                pass
        assert answer.line == b"HTTP/1.1 502 Bad Gateway"
        assert answer.header(b"x-taximeter-error") == [b"upstream_bad_response"]
        assert (await b.ended()).outcome is Outcome.UPSTREAM_CUT


def test_interim_limit() -> None:
    """A provider that says "still working" each second is far from the limit."""
    assert UpstreamOptions().idle_timeout_s <= attempt.INTERIM_MAX


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"Content-Length: 10\r\n\r\n", b"hi"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nhi\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", b"ffffffffffffffffff\r\nx"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", b"7fffffffffffffff\r\nx"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", b"-1\r\nx"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi", b"X\r\n0\r\n\r\n"),
    ],
)
async def test_lies_about_length(tmp_path: Path, first: bytes, then: bytes) -> None:
    """An answer that is shorter than announced, or has no such chunk, ends broken, never clean."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + first)
        await asyncio.sleep(0.05)
        writer.write(then)
        await writer.drain()

    async with bench(tmp_path, handle) as b:
        reader, writer = await b.open()
        writer.write(GET)
        with pytest.raises(asyncio.IncompleteReadError):
            await asyncio.wait_for(read_message(reader), SLOW_S)
        assert (await b.ended()).outcome is Outcome.UPSTREAM_CUT


def test_deflate_bomb_in_a_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that inflates without end is given up, with what its direction says later."""
    monkeypatch.setattr(websocket, "INFLATED_BYTES_MAX", 1 << 22)
    deflate = zlib.compressobj(wbits=-15)
    bomb = deflate.compress(bytes(1 << 24)) + deflate.flush(zlib.Z_SYNC_FLUSH)[:-4]
    reader = websocket.MessageReader(deflate=True, message_bytes_max=1 << 20)
    frame = b"\xc2\x7f" + len(bomb).to_bytes(8) + bomb
    assert list(reader.feed(frame)) == []
    assert reader.skipped_bytes == len(bomb)
    with pytest.raises(ValueError, match="reserved bits"):
        list(reader.feed(frame))
