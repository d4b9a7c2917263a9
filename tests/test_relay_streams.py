"""Streams keep their pace, and no buffer grows between two slow peers."""

import asyncio
import gc
from collections import Counter
from pathlib import Path
from time import monotonic, monotonic_ns

import pytest
from aiohttp.http import HttpRequestParser, RawRequestMessage

from proxy.exchange import Kind, Outcome
from proxy.settings.config import JournalOptions
from support.relay_bench import ListJournal, answering, bench, read_chunked, read_head, read_message
from support.wire import SLOW_S

GET = b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
NOTHING_KEPT = JournalOptions(request_bytes_max=0, response_bytes_max=0)
MIB = 1 << 20


async def test_pacing(tmp_path: Path) -> None:
    """Chunks that arrive 10 ms apart are passed on 10 ms apart, one by one."""
    sent: list[float] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(STREAM)
        for n in range(30):
            await asyncio.sleep(0.01)
            sent.append(monotonic())
            writer.write(b"c\r\ndata: %04d\n\n\r\n" % n)
        writer.write(b"0\r\n\r\n")

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(GET)
        await read_head(reader)
        received = []
        for n in range(30):
            assert await reader.readuntil(b"\n\n\r\n") == b"c\r\ndata: %04d\n\n\r\n" % n
            received.append(monotonic())
        assert await reader.readexactly(5) == b"0\r\n\r\n"
        assert len(b.journal.payloads(Kind.RESPONSE)) == 30
    late = sorted(got - gone for got, gone in zip(received, sent, strict=True))
    assert late[15] < 0.005  # the median; a busy machine may hold up single ones
    assert late[-1] < 0.2


async def test_head_comes_before_the_body(tmp_path: Path) -> None:
    """A response head is passed on at once, however long the first token takes."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(STREAM)
        await reader.read()

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(GET)
        assert (await asyncio.wait_for(read_head(reader), 1)).line == b"HTTP/1.1 200 OK"


async def test_stamps_precede_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk is stamped before the caller has it: a slow caller is not a slow model."""
    stamps: list[int] = []
    append = ListJournal.append

    def stamped(
        journal: ListJournal, call: int, kind: int, payload: bytes, at_ns: int | None = None
    ) -> bool:
        if kind == Kind.RESPONSE:
            stamps.append(monotonic_ns())
        return append(journal, call, kind, payload)

    monkeypatch.setattr(ListJournal, "append", stamped)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    async with bench(tmp_path, answering(answer)) as b:
        await b.send(GET)
        delivered = monotonic_ns()
    assert len(stamps) == 1
    assert stamps[0] < delivered


async def test_openai_python_closes_after_done(tmp_path: Path) -> None:
    """If the caller closes between the last event and the terminator, all events are kept."""
    closed = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(STREAM + b"e\r\ndata: [DONE]\n\n\r\n")
        await closed.wait()
        writer.write(b"0\r\n\r\n")

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(GET)
        await reader.readuntil(b"[DONE]")
        writer.close()
        ended = await b.ended()
        closed.set()
    assert b.kept(Kind.RESPONSE) == b"data: [DONE]\n\n"
    assert ended.outcome is Outcome.CLIENT_GONE  # the meter knows the final event and says ok


async def test_slow_caller(tmp_path: Path) -> None:
    """A caller that does not read stops the provider; the time it takes is counted."""
    sent = 0

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_message(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        for _ in range(64):
            writer.write(bytes(MIB))
            await writer.drain()
            sent += MIB

    async with bench(tmp_path, upstream, journal=NOTHING_KEPT) as b:
        reader, writer = await b.open()
        writer.write(GET)
        await read_head(reader)
        await asyncio.sleep(0.3)
        before = sent
        await asyncio.sleep(0.2)
        assert before == sent < 32 * MIB
        size = 0
        while size < 64 * MIB:
            size += len(await reader.read(MIB))
        ended = await b.ended()
    assert (ended.outcome, ended.response_bytes) == (Outcome.OK, 64 * MIB)
    assert ended.dropped_bytes == 64 * MIB
    assert ended.caller_wait_us > 300_000


async def test_slow_upstream(tmp_path: Path) -> None:
    """A provider that does not read stops the caller."""
    go = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await go.wait()
        size = 0
        while size < 64 * MIB:
            size += len(await reader.read(MIB))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with bench(tmp_path, upstream, journal=NOTHING_KEPT) as b:
        reader, writer = await b.open()
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        sent = 0

        async def upload() -> None:
            nonlocal sent
            for _ in range(64):
                writer.write(bytes(MIB))
                await writer.drain()
                sent += MIB

        uploading = asyncio.create_task(upload())
        await asyncio.sleep(0.3)
        before = sent
        await asyncio.sleep(0.2)
        assert before == sent < 32 * MIB
        go.set()
        await uploading
        assert (await read_message(reader)).line == b"HTTP/1.1 200 OK"
        assert (await b.ended()).request_bytes == 64 * MIB


async def test_both_directions_at_once(tmp_path: Path) -> None:
    """A provider may answer while it reads: an echo of a large body does not lock up."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        left = 16 * MIB
        while left:
            data = await reader.read(65_536)
            left -= len(data)
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with bench(tmp_path, upstream, journal=NOTHING_KEPT) as b:
        reader, writer = await b.open()
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (16 * MIB))
        body = bytes(range(256)) * (16 * MIB // 256)
        writer.write(body)
        await read_head(reader)
        assert await asyncio.wait_for(read_chunked(reader), 10) == body
        assert (await b.ended()).outcome is Outcome.OK


async def test_a_waiting_stream_holds_no_request(tmp_path: Path) -> None:
    """Thousands of them wait for minutes: each gives up its head, and what read it."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(STREAM)
        await reader.read()

    def held() -> int:
        gc.collect()  # what other tests have left
        kinds = (RawRequestMessage, HttpRequestParser)
        return sum(isinstance(one, kinds) for one in gc.get_objects())

    before = held()
    async with bench(tmp_path, upstream) as b:
        for body in (b"", b"{}") * 10:  # in one piece and in two
            reader, writer = await b.open()
            writer.write(
                b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n" + body
            )
            await asyncio.sleep(0.01)
            writer.write(b"{}"[len(body) :])
            await read_head(reader)
        assert held() <= before


async def test_what_follows_a_stream_is_read_however_it_is_cut(tmp_path: Path) -> None:
    """A part of the next request may have come with the one that is answered."""
    seen: list[tuple[bytes, bytes]] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_message(reader)
            seen.append((request.line, request.body))
            writer.write(STREAM)
            await asyncio.sleep(0.01)
            writer.write(b"1\r\na\r\n0\r\n\r\n")

    head = b"POST /openai/v1/%d HTTP/1.1\r\nHost: x\r\n"
    sized = [head % n + b"Content-Length: 6\r\n\r\n\r\n\r\n{}" for n in (1, 2)]
    chunked = head % 3 + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    requests = b"".join([sized[0], chunked, b"\r\n", sized[1], GET])

    async def cut(at: int) -> None:
        reader, writer = await b.open()
        writer.write(requests[:at])
        await asyncio.sleep(0.02)
        writer.write(requests[at:])
        for _ in range(4):
            await read_head(reader)
            assert await read_chunked(reader) == b"a"

    async with bench(tmp_path, upstream) as b:
        await asyncio.gather(
            *(asyncio.wait_for(cut(at), SLOW_S) for at in range(1, len(requests), 2))
        )
    lines = [b"POST /v1/%d HTTP/1.1" % n for n in (1, 2, 3)] + [b"GET /v1/x HTTP/1.1"]
    bodies = (b"\r\n\r\n{}", b"\r\n\r\n{}", b"{}", b"")
    assert Counter(seen) == dict.fromkeys(zip(lines, bodies, strict=True), len(requests) // 2)
