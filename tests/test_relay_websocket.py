"""WebSockets through the relay, from a real client to a real server and as raw bytes."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from proxy.exchange import Kind, Outcome
from proxy.settings.config import JournalOptions, Provider
from support.relay_bench import Bench, bench, listening, read_head, read_message

UPGRADE = (
    b"GET /openai/v1/realtime?model=m HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer sk-x\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)


def ups(b: Bench) -> list[bytes]:
    return b.journal.payloads(Kind.MESSAGE_UP)


def downs(b: Bench) -> list[bytes]:
    return b.journal.payloads(Kind.MESSAGE_DOWN)


async def unused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("nobody calls here")


@pytest.mark.parametrize("compress", [0, 15])
async def test_a_conversation(tmp_path: Path, compress: int) -> None:
    """Text, binary, ping, pong, subprotocol, large messages and the close code pass both ways."""
    large = "large " * 3_500_000  # 21 MB

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=["realtime"], autoping=False, max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
                await socket.close(code=4001, message=b"enough")
        return socket

    app = web.Application()
    app.router.add_get("/v1/realtime", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    providers = {"openai": Provider(name="openai", base_url=f"http://127.0.0.1:{port}")}
    async with bench(tmp_path, unused, providers=providers) as b, aiohttp.ClientSession() as client:
        url = f"ws://127.0.0.1:{b.port}/openai/v1/realtime?model=m"
        async with client.ws_connect(
            url, protocols=["realtime"], autoping=False, compress=compress, max_msg_size=0
        ) as socket:
            assert socket.protocol == "realtime"
            assert bool(socket.compress) is bool(compress)
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"
            await socket.send_bytes(b"\x00\xff")
            assert await socket.receive_bytes() == b"\x00\xff"
            await socket.send_str(large)
            assert await socket.receive_str() == large
            await socket.ping(b"are you there")
            pong = await socket.receive()
            assert (pong.type, pong.data) == (WSMsgType.PONG, b"are you there")
            close = await socket.receive()
            assert (close.type, close.data, close.extra) == (WSMsgType.CLOSE, 4001, "enough")
        ended = await b.ended()
    await runner.cleanup()
    assert ended.outcome is Outcome.OK
    assert b.journal.begun[0].websocket
    assert ups(b)[:3] == [b"\x01hello", b"\x02\x00\xff", b"\x01" + large.encode()]
    assert downs(b)[:4] == [*ups(b)[:3], b"\x0aare you there"]
    assert downs(b)[4] == b"\x08" + (4001).to_bytes(2) + b"enough"


async def raw_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Switches, says something at once, then echoes raw bytes until `x` comes."""
    head = await read_head(reader)
    assert head.header(b"upgrade") == [b"websocket"]
    assert head.header(b"connection") == [b"Upgrade"]
    assert head.header(b"authorization") == [b"Bearer sk-x"]
    writer.write(SWITCHED + b"\x81\x02hi")
    while (data := await reader.read(65_536)) != b"x":
        if not data:
            return
        writer.write(data)
        await writer.drain()


async def test_frames_pass_as_they_are(tmp_path: Path) -> None:
    """Masks, fragments and reserved bits pass unchanged, including frames that come early."""
    async with bench(tmp_path, raw_server) as b:
        reader, writer = await b.open()
        frames = b"\x01\x83\x01\x02\x03\x04" + bytes(
            (ord("a") ^ 1, ord("b") ^ 2, ord("c") ^ 3)
        )  # an unfinished text
        writer.write(UPGRADE + frames)
        got = await reader.readexactly(len(SWITCHED))
        assert got == SWITCHED
        assert await reader.readexactly(4) == b"\x81\x02hi"
        assert await reader.readexactly(len(frames)) == frames
        writer.write(b"\x80\x01d")
        assert await reader.readexactly(3) == b"\x80\x01d"
        writer.write(b"x")
        assert await reader.read() == b""
        ended = await b.ended()
    assert ups(b) == [b"\x01abcd"]
    assert downs(b) == [b"\x01hi", b"\x01abcd"]
    assert (ended.outcome, ended.error) == (Outcome.UPSTREAM_CUT, "ClosedWithoutCloseFrame")
    assert (ended.request_bytes, ended.response_bytes) == (4, 6)


async def test_not_frames_pass_too(tmp_path: Path) -> None:
    """Bytes that are not frames pass as well; they are counted, not kept."""
    async with bench(tmp_path, raw_server) as b:
        reader, writer = await b.open()
        writer.write(UPGRADE)
        await reader.readexactly(len(SWITCHED) + 4)
        writer.write(b"\xff\xff\xff garbage")
        assert await reader.readexactly(11) == b"\xff\xff\xff garbage"
        writer.write(b"more")
        assert await reader.readexactly(4) == b"more"
        writer.close()
        ended = await b.ended()
    assert ended.outcome is Outcome.CLIENT_GONE
    assert ended.dropped_bytes == 2 * 15


async def test_message_beyond_the_limit(tmp_path: Path) -> None:
    """A message beyond the limit is left out entirely."""
    limits = JournalOptions(request_bytes_max=3)
    async with bench(tmp_path, raw_server, journal=limits) as b:
        reader, writer = await b.open()
        writer.write(UPGRADE + b"\x81\x04long\x81\x02ok")
        await reader.readexactly(len(SWITCHED) + 4 + 10)
        writer.close()
        ended = await b.ended()
    assert ups(b) == [b"\x01ok"]
    assert ended.dropped_bytes == 4


async def test_upgrade_is_declined(tmp_path: Path) -> None:
    """An ordinary answer to an upgrade passes as one, and the connection can be used again."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_message(reader)
            writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        for call in (1, 2):
            writer.write(UPGRADE)
            response = await read_message(reader)
            assert (response.line, response.body) == (b"HTTP/1.1 401 No", b"no")
            assert (await b.ended(call)).outcome is Outcome.HTTP_ERROR


@pytest.mark.parametrize("slow", ["caller", "upstream"])
async def test_backpressure(tmp_path: Path, slow: str) -> None:
    """A peer that does not read stops the other from sending; no buffer grows between them."""
    sent = 0
    payload = b"\x82\x7f" + (1 << 20).to_bytes(8) + bytes(1 << 20)

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(payload)
            await writer.drain()
            sent += len(payload)

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(SWITCHED)
        await (pour(writer) if slow == "caller" else asyncio.sleep(5))

    limits = JournalOptions(request_bytes_max=0, response_bytes_max=0)
    async with bench(tmp_path, upstream, journal=limits) as b:
        reader, writer = await b.open()
        writer.write(UPGRADE)
        await reader.readexactly(len(SWITCHED))
        pouring = asyncio.create_task(pour(writer)) if slow == "upstream" else None
        await asyncio.sleep(0.3)
        before = sent
        await asyncio.sleep(0.2)
        assert before == sent < 24 * (1 << 20)
        if pouring:
            pouring.cancel()


async def test_websocket_to_nobody(tmp_path: Path) -> None:
    """A WebSocket request to a provider that is down is answered 502."""
    async with listening(unused) as port:
        gone = f"http://127.0.0.1:{port}"
    providers = {"openai": Provider(name="openai", base_url=gone)}
    async with bench(tmp_path, unused, providers=providers) as b:
        response = await b.send(UPGRADE)
    assert response.line == b"HTTP/1.1 502 Bad Gateway"
