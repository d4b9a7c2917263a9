"""Transport faults that users of other proxies reported, played over raw sockets."""

import asyncio
import os
import resource
import socket
import struct
from pathlib import Path

import pytest
import zstandard

from proxy.exchange import Kind, Outcome
from proxy.serving.listening import bind
from proxy.settings.config import Config, Listen, Provider, UpstreamOptions
from support.relay_bench import (
    Message,
    answering,
    bench,
    listening,
    metered,
    read_chunked,
    read_head,
    read_message,
)
from support.relay_processes import relays

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
UPGRADE = (
    b"GET /openai/v1/realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
FILES = 64  # that a relay may open before it raises the limit, beyond those of the tests


@pytest.mark.parametrize(("status", "size"), [(b"401 No", 300_000), (b"429 Slow", 20_000_000)])
async def test_a_refusal_amid_an_upload_arrives(tmp_path: Path, status: bytes, size: int) -> None:
    """It is heard although the provider resets the connection under the rest of the body."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(
            b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
        )
        await writer.drain()
        writer.close()

    head = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    async with bench(tmp_path, refuse) as b:
        response = await b.send(head + b"x" * size)
    assert (response.line, response.body) == (b"HTTP/1.1 " + status, b"no")


async def test_a_reset_after_the_whole_request_may_have_cost(tmp_path: Path) -> None:
    """The provider had all of it: the row must not say that nothing was sent."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async with bench(tmp_path, reset) as b:
        answer = await b.send(POST)
        ended = await b.ended()
    assert answer.header(b"x-taximeter-error") == [b"upstream_reset"]
    assert (ended.outcome, ended.sent) == (Outcome.UPSTREAM_CUT, True)


async def test_a_network_beside_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider in a network of `NO_PROXY` is called past the outgoing proxy, key and all."""
    seen: list[Message] = []
    one = {"openai": Provider(name="openai", base_url="http://192.0.2.1")}  # RFC 5737: nobody's
    soon = UpstreamOptions(connect_timeout_s=0.2)
    async with listening(answering(OK, seen)) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        async with bench(tmp_path / "through", answering(OK), providers=one) as b:
            assert (await b.send(GET)).body == b"hi"
        monkeypatch.setenv("NO_PROXY", "192.0.0.0/16")
        async with bench(tmp_path / "past", answering(OK), providers=one, upstream=soon) as b:
            assert (await b.send(GET)).line.startswith(b"HTTP/1.1 50")
    assert len(seen) == 1


async def test_an_offer_of_http2_is_declined(tmp_path: Path) -> None:
    """A client that offers h2c, as curl --http2 does, is answered in HTTP/1.1."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen)) as b:
        answer = await b.send(b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
    assert answer.body == b"hi"
    assert [name for name, _ in seen[0].headers] == [b"Host"]


def test_both_loopbacks_answer() -> None:
    """Those who resolve `localhost` to ::1 get a connection, wherever the machine has it."""
    with bind(Listen(port=0), "proxy") as listening:
        for sock in listening.sockets:
            host, port = sock.getsockname()[:2]
            socket.create_connection((host, port), 5).close()


async def test_each_event_in_a_frame_of_its_own(tmp_path: Path) -> None:
    """A stream of zstd frames passes unchanged, into the journal as well."""
    frames = [zstandard.compress(b"data: %d\n\n" % n) for n in range(5)]

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        head = b"Content-Encoding: zstd\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + head)
        for frame in frames:
            writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))
            await writer.drain()
            await asyncio.sleep(0.005)
        writer.write(b"0\r\n\r\n")

    async with bench(tmp_path, stream) as b:
        reader, writer = await b.open()
        writer.write(GET)
        assert (await read_head(reader)).header(b"content-encoding") == [b"zstd"]
        assert await read_chunked(reader) == b"".join(frames)
        await b.ended()
        assert b.kept(Kind.RESPONSE) == b"".join(frames)


async def test_upgrade_required(tmp_path: Path) -> None:
    """426, on which agents fall back to plain HTTP, passes with its headers and its body."""
    refusal = b"HTTP/1.1 426 Upgrade Required\r\nX-Why: plan\r\nContent-Length: 2\r\n\r\nno"
    async with bench(tmp_path, answering(refusal)) as b:
        answer = await b.send(UPGRADE)
    assert (answer.line, answer.body) == (b"HTTP/1.1 426 Upgrade Required", b"no")
    assert answer.header(b"x-why") == [b"plan"]


@pytest.mark.parametrize("code", [1000, 1011, 1013, 4000])
async def test_close_codes(tmp_path: Path, code: int) -> None:
    """A WebSocket ends for its caller with the code that the provider gave."""
    close = b"\x88\x06" + code.to_bytes(2) + b"over"

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(SWITCHED + close)
        await reader.read()

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(UPGRADE)
        assert await reader.readexactly(len(SWITCHED + close)) == SWITCHED + close
        writer.close()
        ended = await b.ended()
    assert ended.outcome is Outcome.OK


@pytest.mark.parametrize("path", [b"/v1/a%2Fb", b"/v1/a%3ab;c=1", b"/v1//x?q=%2f&&"])
async def test_escapes_stay_as_they_are(tmp_path: Path, path: bytes) -> None:
    """What is escaped stays so, in the letters in which it was."""
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen)) as b:
        await b.send(b"GET /openai" + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert seen[0].line == b"GET " + path + b" HTTP/1.1"


async def test_raw_text_in_a_target_is_refused(tmp_path: Path) -> None:
    """RFC 9112, 3.2: a target is ASCII."""
    async with bench(tmp_path, answering(OK)) as b:
        answer = await b.send("GET /openai/v1/ä HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.line == b"HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize("length", [b"2\r\nContent-Length: 2", b"2, 2"])
async def test_a_length_given_twice(tmp_path: Path, length: bytes) -> None:
    """RFC 9110, 8.6: the same length twice in a response is one."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nhi"
    async with bench(tmp_path, answering(answer)) as b:
        for _ in range(2):
            response = await b.send(GET)
            assert (response.body, response.header(b"content-length")) == (b"hi", [b"2"])


async def test_more_streams_than_a_shell_allows(tmp_path: Path) -> None:
    """A relay raises its own limit of open files: a shell's default is enough to start it."""

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await reader.read()

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with listening(wait) as port:
        soft = len(os.listdir("/proc/self/fd")) + FILES
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limits[1]))
        try:
            started = relays(tmp_path, port)
            [relay] = await started.__aenter__()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        try:
            opened = [await asyncio.open_connection("127.0.0.1", relay.port) for _ in range(soft)]
            for _, writer in opened:
                writer.write(GET)
            heads = [await asyncio.wait_for(read_head(reader), 20) for reader, _ in opened]
            for _, writer in opened:
                writer.close()
        finally:
            await started.__aexit__(None, None, None)
    assert {head.line for head in heads} == {b"HTTP/1.1 200 OK"}


TARIFF = """
provider = "anthropic"
source = "https://provider.example/prices"
checked = 2026-11-20

[[tariff]]
names = ["claude-sonnet-4-5"]
usd_per_mtok = { input = 3, output = 15, cache_read = 0.3, cache_write_5m = 3.75 }
"""
USAGE = b'{"input_tokens":2500,"cache_read_input_tokens":18000,"output_tokens":1}'


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_message_cut_in_mid_stream(tmp_path: Path, how: str) -> None:
    """The input was reported and is charged so; the output is what was seen, a lower bound."""
    start = b'{"type":"message_start","message":{"id":"m","type":"message","role":"assistant",'
    start += b'"model":"claude-sonnet-4-5","content":[],"usage":%b}}' % USAGE
    begin = b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'
    delta = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one "}}'
    events = [start, begin, *[delta] * 145]

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        head = b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + head)
        for event in events:
            kind = event.split(b'"')[3]
            data = b"event: %b\ndata: %b\n\n" % (kind, event)
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()
        await asyncio.sleep(0.1)  # a reset takes what the relay has not read yet
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    body = b'{"model":"claude-sonnet-4-5","max_tokens":999,"stream":true,"messages":[]}'
    head = b"POST /anthropic/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    async with listening(cut) as port:
        base_url = f"http://127.0.0.1:{port}"
        one = {"anthropic": Provider(name="anthropic", base_url=base_url, dialect="anthropic")}
        async with bench(tmp_path, cut, providers=one) as b:
            _, writer = await b.open()
            writer.write(head % len(body) + body)
            ended = await b.ended()
    config = Config(data=tmp_path, providers=one)
    row = metered(b.journal, config, {"anthropic.toml": TARIFF})
    assert ended.outcome is Outcome.UPSTREAM_CUT
    assert (row.input_tokens_total, row.cache_read_tokens) == (20_500, 18_000)
    assert row.output_tokens_total is not None
    assert abs(row.output_tokens_total - 145) < 145 * 0.2  # counted without their tokenizer
    assert row.cost_status == "estimated"
