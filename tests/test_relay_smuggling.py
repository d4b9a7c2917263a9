"""No caller and no provider can put a message into another caller's connection.

`test_relay_hygiene.py` has what is refused because it is not HTTP.
"""

import asyncio
from pathlib import Path

import pytest

from proxy.settings.config import UpstreamOptions
from support.relay_bench import Message, answering, bench, read_message
from support.wire import GET, OK, to_the_end

SMUGGLED = b"GET /openai/v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding: identity\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding:\x0bchunked\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding: chunked, identity\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: %d\r\nX: a\r\n Transfer-Encoding: chunked\r\n",
        b"Content-Length: %d\r\nX: a\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 0\r\nContent-Length: %d\r\n",
        b"Content-Length: 0, %d\r\n",
        b"Content-Length: -%d\r\n",
        b"Content-Length: 0x%d\r\n",
        b"Content-Length: %d, %d\r\n",
        b"Content-Length : %d\r\n",
        b"Connection: Content-Length\r\nContent-Length: %d\r\n",
        b"Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\nX: %d\r\n",
    ],
)
async def test_smuggled_request(tmp_path: Path, head: bytes) -> None:
    """However a body's end is written, no request that stands in a body is ever served as one."""
    seen: list[Message] = []
    body = b"0\r\n\r\n" + SMUGGLED
    head = head.replace(b"%d", b"%d" % len(body))
    async with bench(tmp_path, answering(OK, seen)) as b:
        _, writer = await b.open()
        writer.write(POST + head + b"\r\n" + body)
        for _ in range(2):  # others come over the same pooled connection
            await b.send(GET)
        await asyncio.sleep(0.05)
    # Behind a body that ends with `0` the rest is a request of this caller's own, and known to us.
    for message in seen:
        if b"smuggled" in message.line:
            assert head.startswith(b"Transfer-Encoding: chunked\r\nConnection"), head
    assert len(b.journal.begun) == len(seen)


@pytest.mark.parametrize(
    "chunks",
    [
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"-1\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"3\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"\r\n\r\n",
    ],
)
async def test_bad_chunks(tmp_path: Path, chunks: bytes) -> None:
    """A size that two parsers could read in two ways ends the call; nothing behind it is served."""
    seen: list[Message] = []
    limits = UpstreamOptions(idle_timeout_s=0.5)
    async with bench(tmp_path, answering(OK, seen), upstream=limits) as b:
        reader, writer = await b.open()
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + SMUGGLED)
        answer = await to_the_end(reader)
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not seen


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
@pytest.mark.parametrize("more", [b"garbage", OK.replace(b"hi", b"no"), b"\r\n\r\n" + OK, b"\0"])
async def test_garbage_after_an_answer(tmp_path: Path, more: bytes, pause_s: float) -> None:
    """What a provider sends beyond its answer is never the next caller's."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_message(reader)
            writer.write(OK if pause_s else OK + more)
            await asyncio.sleep(pause_s)
            writer.write(more if pause_s else b"")

    async with bench(tmp_path, handle) as b:
        for _ in range(4):
            answer = await b.send(GET)
            whole = (answer.line, answer.body) == (b"HTTP/1.1 200 OK", b"hi")
            assert whole or answer.header(b"x-taximeter-error") == [b"upstream_bad_response"]
            assert whole or not pause_s
            await asyncio.sleep(2 * pause_s)


async def test_chunked_in_http10(tmp_path: Path) -> None:
    """Its framing cannot be trusted: nothing after it is a request (RFC 9112, 6.1)."""
    head = b"POST /openai/v1/x HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n"
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen)) as b:
        reader, writer = await b.open()
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + SMUGGLED)
        answers = await asyncio.wait_for(reader.read(), 10)
    assert answers.count(b"HTTP/1.1 200 OK") == 1
    assert [m.body for m in seen] == [b"{}"]
