"""What one caller can use up: time, connections, descriptors, bytes and CPU."""

import asyncio
import socket
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from proxy.dialects.errors import redacted
from proxy.exchange import Outcome
from proxy.network import server_tls
from proxy.relay import acceptor, callers
from proxy.relay.fields import noted
from proxy.secrecy.scrubbing import scrubbed_target
from proxy.settings.config import CallerOptions, Listen, UpstreamOptions
from support.relay_bench import answering, bench, make_certificate, read_head, read_message
from support.wire import GET, OK, SLOW_S, to_the_end


async def test_slow_head(tmp_path: Path) -> None:
    """A head has a time from its first byte, however steadily it trickles."""

    async def trickle(writer: asyncio.StreamWriter) -> None:
        for byte in b"GET /openai/v1/x HTTP/1.1\r\nX-A: " + b"a" * 1000:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.02)

    async with bench(tmp_path, answering(OK), callers=CallerOptions(head_timeout_s=0.3)) as b:
        reader, writer = await b.open()
        writer.write(GET)  # an earlier request does not buy time
        assert (await read_message(reader)).body == b"hi"
        slow = asyncio.create_task(trickle(writer))
        answer = await asyncio.wait_for(read_head(reader), SLOW_S)
        slow.cancel()
    assert answer.line == b"HTTP/1.1 408 Request Timeout"
    assert answer.header(b"x-taximeter-error") == [b"head_timeout"]
    assert len(b.journal.begun) == 1


async def test_empty_lines_are_no_head(tmp_path: Path) -> None:
    """An empty line after a body, as old clients send it, starts no clock (RFC 9112, 2.2)."""
    async with bench(tmp_path, answering(OK), callers=CallerOptions(head_timeout_s=0.05)) as b:
        reader, writer = await b.open()
        for _ in range(2):
            writer.write(GET)
            assert (await read_message(reader)).body == b"hi"
            writer.write(b"\r\n")
            await asyncio.sleep(0.1)


async def test_silent_connection(tmp_path: Path) -> None:
    """A connection that says nothing, or nothing more, is closed after a while."""
    async with bench(tmp_path, answering(OK), callers=CallerOptions(idle_timeout_s=0.2)) as b:
        for request in (b"", GET):
            reader, writer = await b.open()
            writer.write(request)
            assert await to_the_end(reader) == (OK if request else b"")


async def test_many_idle_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many closes the one that idles longest; a call is no idle connection."""
    monkeypatch.setattr(callers, "FRESH_S", 0.0)
    release = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        await release.wait()
        writer.write(OK)

    async with bench(tmp_path, handle, callers=CallerOptions(idle_max=3)) as b:
        busy, writer = await b.open()
        writer.write(GET)
        while not b.journal.begun:
            await asyncio.sleep(0.005)
        idle = [await b.open() for _ in range(6)]
        for reader, _ in idle[:3]:
            assert await to_the_end(reader) == b""
        release.set()
        assert (await read_message(busy)).body == b"hi"
        for reader, writer in idle[4:]:  # and that one made room as well
            writer.write(GET)
            assert (await read_message(reader)).body == b"hi"


async def test_a_burst_of_new_connections_is_served(tmp_path: Path) -> None:
    """Far more callers than may idle connect before the first of them sends: none is cut."""
    async with bench(tmp_path, answering(OK), callers=CallerOptions(idle_max=3)) as b:
        opened = [await b.open() for _ in range(40)]
        await asyncio.sleep(0.1)
        for reader, writer in opened:
            writer.write(GET)
            assert (await read_message(reader)).body == b"hi"


async def test_those_of_a_burst_that_say_nothing_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they are not fresh any more, as many as are too many."""
    monkeypatch.setattr(callers, "FRESH_S", 0.3)
    async with bench(tmp_path, answering(OK), callers=CallerOptions(idle_max=3)) as b:
        opened = [await b.open() for _ in range(9)]
        began = asyncio.get_running_loop().time()
        for reader, _ in opened[:6]:
            assert await to_the_end(reader) == b""
        assert 0.2 < asyncio.get_running_loop().time() - began < 5
        for reader, writer in opened[6:]:
            writer.write(GET)
            assert (await read_message(reader)).body == b"hi"


async def test_who_has_just_sent_a_request_makes_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has arrived and was not read yet may be a request: those that are silent go."""
    monkeypatch.setattr(callers, "FRESH_S", 0.0)
    limits = CallerOptions(idle_max=0, idle_timeout_s=0.2)
    async with bench(tmp_path, answering(OK), callers=limits) as b:
        with patch.object(b.callers, "_make_room"):
            opened = [await b.open() for _ in range(4)]
            while len(b.callers.idle) < 4:
                await asyncio.sleep(0.005)
        for _, writer in opened[:2]:
            writer.write(GET)  # at once, and the event loop has no turn to read it
        b.callers.rest(next(iter(b.callers.idle)))
        for reader, _ in opened[:2]:
            assert (await read_message(reader)).body == b"hi"
        for reader, _ in opened[2:]:
            assert await to_the_end(reader) == b""


async def test_a_request_at_the_end_of_the_idle_time_is_answered(tmp_path: Path) -> None:
    """A late event loop finds its time over and the request there, in one turn."""
    async with bench(tmp_path, answering(OK), callers=CallerOptions(idle_timeout_s=0.2)) as b:
        reader, writer = await b.open()
        while not b.callers.idle:
            await asyncio.sleep(0.005)
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, time.sleep, 0.3)
        loop.call_later(0.1, writer.write, GET)
        assert (await read_message(reader)).body == b"hi"


async def test_a_crowd_leaves_descriptors_for_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle connections take half of the descriptors at most, however fresh they are."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (12, 12))
    async with bench(tmp_path, answering(OK), callers=CallerOptions(idle_max=3)) as b:
        opened = [await b.open() for _ in range(8)]
        for reader, _ in opened[:2]:
            assert await asyncio.wait_for(to_the_end(reader), callers.FRESH_S / 2) == b""


async def test_large_head(tmp_path: Path) -> None:
    """A head has a size besides those of its lines."""
    async with bench(tmp_path, answering(OK)) as b:
        reader, writer = await b.open()
        writer.write(b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n")
        with suppress(ConnectionError):
            for n in range(200):
                writer.write(b"X-%d: " % n + b"a" * 60_000 + b"\r\n")
                await writer.drain()
        answer = await to_the_end(reader)
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # reset before it was read
    assert not b.journal.begun


async def test_stalled_body(tmp_path: Path) -> None:
    """A body that does not come ends its call, and upstream never sees it whole."""
    ended = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await read_message(reader)
        ended.set()

    async with bench(tmp_path, handle, upstream=UpstreamOptions(idle_timeout_s=0.3)) as b:
        head = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        answer = await b.send(head + b"ten bytes.")
        noted = await b.ended()
        await asyncio.wait_for(ended.wait(), SLOW_S)
    assert answer.line == b"HTTP/1.1 408 Request Timeout"
    assert answer.header(b"x-taximeter-error") == [b"request_timeout"]
    assert (noted.outcome, noted.request_bytes) == (Outcome.CLIENT_GONE, 10)


async def test_tls_handshakes(tmp_path: Path) -> None:
    """Who connects and does not shake hands is given up for others who do."""
    certificate, key = make_certificate(tmp_path)
    listening_socket = socket.create_server(("127.0.0.1", 0))
    listening_socket.setblocking(False)
    tls = server_tls(Listen(tls_cert=certificate, tls_key=key))
    with patch.object(acceptor, "OPENING_MAX", 2):
        made = acceptor.Acceptor([listening_socket], asyncio.Protocol, tls)
        address = listening_socket.getsockname()
        silent = [await asyncio.open_connection(*address) for _ in range(4)]
        for reader, _ in silent[:2]:
            assert await to_the_end(reader) == b""
        for _, writer in silent:
            writer.close()
        await asyncio.wait_for(made.stop(), SLOW_S)


@pytest.mark.parametrize(
    "text", ["eyJ-", "eyJ12345678.", "://a:", "://", "sk-", "a b ", "k=", ";k=", "%73", "-k", "&a="]
)
def test_scrubbing_takes_linear_time(text: str) -> None:
    """No value that fits a header holds the relay up, in whichever way it is written."""
    value = text * (65_536 // len(text))
    began = time.perf_counter()
    noted([(b"x-a", value.encode()), (value.encode(), b"1")])
    scrubbed_target("/v1/" + value + "?" + value)
    redacted(value)
    assert time.perf_counter() - began < 1
