"""Walks the state table that opens `proxy/relay/call.py`: every line, over real sockets.

Each situation is played between a raw caller and a raw upstream.  What the caller received and the
row that the meter makes of the journal must be what the line says.
"""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from pricing import Status
from proxy.relay import call
from proxy.settings.config import Config, Provider, UpstreamOptions
from support.relay_bench import (
    Bench,
    Handler,
    bench,
    listening,
    make_certificate,
    metered,
    read_head,
    read_message,
)

TARIFF = """
provider = "openai"
source = "https://provider.example/prices"
checked = 2026-11-20

[[tariff]]
names = ["m"]
usd_per_mtok = { input = 2, output = 10 }
"""
ASK = b'{"model":"m","messages":[],"max_tokens":9}'
POST = b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
CHAT = POST + b"Content-Length: %d\r\n\r\n" % len(ASK) + ASK
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
EXPECTING = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ASK)
SIZED = b"Content-Length: %d\r\n\r\n"
HALF = b'{"id":"r","object":"chat.completion","model":"m","choices":[],'
REST = b'"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}'
WHOLE = HALF + REST
FAILED = b'{"error":{"message":"no"}}'
OK = b"HTTP/1.1 200 OK\r\n"
UNFRAMED = b"HTTP/1.0 200 OK\r\n\r\n"
IN_CHUNKS = OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(HALF), HALF)
UPGRADE = (
    b"GET /openai/v1/realtime?model=m HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
FRAME, CLOSE_FRAME = b"\x81\x02hi", b"\x88\x02\x03\xe8"
SOON = UpstreamOptions(idle_timeout_s=0.3, first_byte_timeout_s=0.3, connect_timeout_s=0.3)
HEAD_BYTES_MAX = SOON.head_bytes_max
TIMEOUT_S = 10.0


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# -- the table ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of the table, as text."""

    caller_gets: str
    outcome: str
    error_type: str


def tables() -> tuple[dict[str, Line], dict[str, str]]:
    """The lines by "section: situation", and what is charged by how the call ended."""
    lines: dict[str, Line] = {}
    charges: dict[str, str] = {}
    section = ""
    first, second = re.findall(r"^---.*\n((?:.+\n)+)", call.__doc__ or "", re.MULTILINE)
    for text in first.splitlines():
        if text.startswith("  "):
            situation, *cells = re.split(r" {2,}", text.strip())
            lines[f"{section}: {situation}"] = Line(*cells)
        else:
            section = text
    for text in second.splitlines():
        ended, charge = re.split(r" {2,}", text)
        charges[ended] = charge
    return lines, charges


LINES, CHARGES = tables()


# -- upstreams and callers ----------------------------------------------------------------------


def says(*parts: bytes, then: str = "waits", reads: bool = True) -> Handler:
    """Reads a request, answers in so many parts, and then waits, closes or resets."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (read_message(reader) if reads else read_head(reader))
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.1)
        if then == "waits":
            await reader.read()
        elif then == "resets":
            reset(writer)

    return handle


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends interim heads for as long as it can."""
    await read_message(reader)
    while True:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
        await writer.drain()


@dataclass
class Caller:
    """A raw caller, and everything that it received."""

    bench: Bench
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    received: bytes = b""
    left: bool = False

    async def read(self, until: Callable[[bytes], bool] = lambda _: False) -> None:
        """Until it has enough, or the relay ends the connection."""
        with suppress(ConnectionError):
            async with asyncio.timeout(TIMEOUT_S):
                while not until(self.received):
                    data = await self.reader.read(65_536)
                    if not data:
                        return
                    self.received += data

    async def read_half(self) -> None:
        await self.read(lambda data: HALF in data or FRAME in data)

    async def leave(self) -> None:
        self.left = True
        self.writer.close()
        await self.bench.ended()

    async def stop_relay(self, *, hurry: bool) -> None:
        at_once = asyncio.Event()
        if hurry:
            at_once.set()
        await self.bench.relay.finish(self.bench.callers, TIMEOUT_S, at_once)


async def listens(caller: Caller) -> None:
    """Reads until the answer is whole or the connection ends."""
    await caller.read(lambda data: Answer(data).whole)


async def leaves_after_half(caller: Caller) -> None:
    await caller.read_half()
    await caller.leave()


async def leaves_soon(caller: Caller) -> None:
    await asyncio.sleep(0.1)
    await caller.leave()


async def leaves_when_noted(caller: Caller) -> None:
    """Reads nothing of a large answer, and leaves when upstream has delivered it."""
    await caller.bench.ended()
    reset(caller.writer)
    caller.left = True


async def damages_its_body(caller: Caller) -> None:
    await asyncio.sleep(0.1)
    caller.writer.write(b"xyz\r\n")
    await listens(caller)


async def damages_its_body_later(caller: Caller) -> None:
    await caller.read_half()
    await damages_its_body(caller)


async def lets_the_relay_drain(caller: Caller) -> None:
    await caller.read_half()
    stopping = asyncio.create_task(caller.stop_relay(hurry=False))
    await listens(caller)
    await stopping


async def hurries_the_relay(caller: Caller) -> None:
    await caller.read_half()
    await caller.stop_relay(hurry=True)
    await listens(caller)


# -- what the caller received -------------------------------------------------------------------


class Answer:
    """The final answer in what a caller received, as far as it got."""

    def __init__(self, data: bytes) -> None:
        self.status, self.whole, self.error, self.body = 0, False, b"", b""
        while True:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                return
            self.status = int(head.split()[1])
            if self.status >= 200 or self.status == 101:
                break
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        self.error = fields.get(b"x-taximeter-error", b"")
        if fields.get(b"transfer-encoding") == b"chunked":
            while (found := re.match(rb"([0-9a-f]+)\r\n", data)) and not self.whole:
                size, start = int(found[1], 16), found.end()
                self.body += data[start : start + size]
                self.whole = size == 0 and data[start:] == b"\r\n"
                data = data[start + size + 2 :]
        else:
            self.body = data
            self.whole = len(data) == int(fields.get(b"content-length", b"-1"))


def gets(caller: Caller) -> str:
    """What the caller got, in the words of the table."""
    if caller.left:
        return "nothing"
    answer = Answer(caller.received)
    if answer.status == 101:
        assert answer.body.removesuffix(CLOSE_FRAME) == FRAME
        return "the frames"
    if answer.error:
        assert answer.whole
        return f"{answer.status} {answer.error.decode()}"
    if answer.whole:
        assert answer.body == (WHOLE if answer.status == 200 else FAILED)
        return "the answer"
    assert answer.body == HALF
    return "a broken end"


# -- the situations -----------------------------------------------------------------------------

Around = Callable[[Path], AbstractAsyncContextManager[dict[str, object]]]


@asynccontextmanager
async def nothing_more(_: Path) -> AsyncIterator[dict[str, object]]:
    yield {}


def providers(base_url: str) -> dict[str, object]:
    return {"providers": {"openai": Provider(name="openai", base_url=base_url)}}


def at(base_url: str, **environ: str) -> Around:
    """The provider is there, and the environment names these outgoing proxies."""

    @asynccontextmanager
    async def around(_: Path) -> AsyncIterator[dict[str, object]]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            yield providers(base_url)

    return around


@asynccontextmanager
async def full_backlog(_: Path) -> AsyncIterator[dict[str, object]]:
    """A listener that accepts nobody, its queue already full."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            yield providers(f"http://127.0.0.1:{full.getsockname()[1]}")


@asynccontextmanager
async def untrusted(folder: Path) -> AsyncIterator[dict[str, object]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*make_certificate(folder))
    async with listening(says(), ssl=context) as port:
        yield providers(f"https://localhost:{port}")


@asynccontextmanager
async def plain_text(_: Path) -> AsyncIterator[dict[str, object]]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"220 smtp.example ready\r\n")

    async with listening(handle) as port:
        yield providers(f"https://localhost:{port}")


@asynccontextmanager
async def refusing_proxy(_: Path) -> AsyncIterator[dict[str, object]]:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    async with listening(says(refusal)) as port:
        around = at("https://provider.test", HTTPS_PROXY=f"http://127.0.0.1:{port}")
        async with around(Path()) as changes:
            yield changes


@asynccontextmanager
async def bug(_: Path) -> AsyncIterator[dict[str, object]]:
    def fail(*_: object) -> None:
        raise RuntimeError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call.Call, "_decide", fail)
        yield {}


@dataclass(kw_only=True)
class Situation:
    """How it comes about: what upstream and caller do, and where upstream is."""

    upstream: Handler = field(default_factory=says)
    request: bytes = CHAT
    caller: Callable[[Caller], Awaitable[None]] = listens
    around: Around = nothing_more
    limits: UpstreamOptions = field(default_factory=UpstreamOptions)


def failed(line: bytes, *, reads: bool = True) -> Handler:
    return says(line + SIZED % len(FAILED) + FAILED, reads=reads)


def whole(line: bytes) -> Handler:
    return says(line + SIZED % len(WHOLE) + WHOLE)


BY_LENGTH = OK + SIZED % len(WHOLE) + HALF
SITUATIONS = {
    "Connecting to upstream: refused": Situation(around=at("http://127.0.0.1:1")),
    "Connecting to upstream: no reply": Situation(around=full_backlog, limits=SOON),
    "Connecting to upstream: name not found": Situation(around=at("http://nowhere.invalid")),
    "Connecting to upstream: certificate not trusted": Situation(around=untrusted),
    "Connecting to upstream: upstream speaks no TLS": Situation(around=plain_text),
    "Connecting to upstream: outgoing proxy is down": Situation(
        around=at("https://provider.test", HTTPS_PROXY="http://127.0.0.1:1")
    ),
    "Connecting to upstream: outgoing proxy refuses": Situation(around=refusing_proxy),
    "Waiting for the response head: closed": Situation(upstream=says(then="closes")),
    "Waiting for the response head: reset": Situation(upstream=says(then="resets")),
    "Waiting for the response head: silence": Situation(upstream=says(), limits=SOON),
    "Waiting for the response head: upload not taken": Situation(
        upstream=lambda _reader, _writer: asyncio.sleep(TIMEOUT_S),
        request=POST + SIZED % (1 << 25) + bytes(1 << 25),
        limits=SOON,
    ),
    "Waiting for the response head: not HTTP": Situation(upstream=says(b"220 ready\r\n\r\n")),
    "Waiting for the response head: head too large": Situation(
        upstream=says(
            OK + (b"X-A: %b\r\n" % (b"a" * 60_000)) * (HEAD_BYTES_MAX // 50_000) + b"\r\n"
        )
    ),
    "Waiting for the response head: endless interim heads": Situation(upstream=endless),
    "Waiting for the response head: unrequested upgrade": Situation(upstream=says(SWITCHED)),
    "Response: 2xx": Situation(upstream=whole(OK)),
    "Response: 4xx": Situation(upstream=failed(b"HTTP/1.1 429 Too Many\r\n")),
    "Response: 5xx": Situation(upstream=failed(b"HTTP/1.1 503 Overloaded\r\n")),
    "Response: 4xx, not 100 Continue": Situation(
        upstream=failed(b"HTTP/1.1 413 Too Large\r\n", reads=False),
        request=EXPECTING,
    ),
    "Response: 4xx amid the upload": Situation(
        upstream=failed(b"HTTP/1.1 401 No\r\n", reads=False),
        request=CHUNKED + b"1\r\n{\r\n",
    ),
    "Response body: Content-Length, closed": Situation(upstream=says(BY_LENGTH, then="closes")),
    "Response body: Content-Length, reset": Situation(upstream=says(BY_LENGTH, then="resets")),
    "Response body: chunked, closed": Situation(upstream=says(IN_CHUNKS, then="closes")),
    "Response body: chunked, reset": Situation(upstream=says(IN_CHUNKS, then="resets")),
    "Response body: chunked, damaged": Situation(upstream=says(IN_CHUNKS, b"xyz\r\n")),
    "Response body: neither, closed": Situation(upstream=says(UNFRAMED + WHOLE, then="closes")),
    "Response body: neither, reset": Situation(upstream=says(UNFRAMED + HALF, then="resets")),
    "Response body: silence": Situation(upstream=says(IN_CHUNKS), limits=SOON),
    "Caller: leaves during connecting": Situation(around=full_backlog, caller=leaves_soon),
    "Caller: leaves before the head": Situation(caller=leaves_soon),
    "Caller: leaves amid the body": Situation(upstream=says(IN_CHUNKS), caller=leaves_after_half),
    "Caller: leaves after its end": Situation(
        upstream=says(OK + SIZED % 200_000 + HALF + b" " * (200_000 - len(WHOLE)) + REST),
        caller=leaves_when_noted,
    ),
    "Caller: sends a damaged body": Situation(
        upstream=says(reads=False), request=CHUNKED, caller=damages_its_body
    ),
    "Caller: damages its body later": Situation(
        upstream=says(IN_CHUNKS, reads=False), request=CHUNKED, caller=damages_its_body_later
    ),
    "Caller: stops sending its body": Situation(
        upstream=says(reads=False), request=POST + SIZED % 100 + b"ten bytes.", limits=SOON
    ),
    "WebSocket: refused": Situation(upstream=failed(b"HTTP/1.1 401 No\r\n"), request=UPGRADE),
    "WebSocket: ends with a close frame": Situation(
        upstream=says(SWITCHED + FRAME + CLOSE_FRAME, then="closes"), request=UPGRADE
    ),
    "WebSocket: ends without one": Situation(
        upstream=says(SWITCHED + FRAME, then="closes"), request=UPGRADE
    ),
    "WebSocket: caller leaves": Situation(
        upstream=says(SWITCHED + FRAME), request=UPGRADE, caller=leaves_after_half
    ),
    "WebSocket: relay stops": Situation(
        upstream=says(SWITCHED + FRAME), request=UPGRADE, caller=hurries_the_relay
    ),
    "Relay: stops, drains": Situation(upstream=says(BY_LENGTH, REST), caller=lets_the_relay_drain),
    "Relay: stops, hurries": Situation(upstream=says(BY_LENGTH), caller=hurries_the_relay),
    "Relay: has a bug": Situation(upstream=whole(OK), around=bug),
}


def test_every_line_is_played() -> None:
    """No line without a situation, and none is missing from the table."""
    assert list(SITUATIONS) == list(LINES)
    assert len(CHARGES) == 5


@pytest.mark.parametrize("name", SITUATIONS)
async def test_a_line_says_what_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The caller gets what its line says, and the row says the rest."""
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    played, line = SITUATIONS[name], LINES[name]
    async with (
        played.around(tmp_path) as changes,
        bench(tmp_path, played.upstream, None, upstream=played.limits, **changes) as b,
    ):
        caller = Caller(b, *await b.open())
        caller.writer.write(played.request)
        await asyncio.wait_for(played.caller(caller), TIMEOUT_S)
        ended = await b.ended()
        said = gets(caller)
        journal, begun = b.journal, b.journal.begun
    assert len(begun) == 1
    openai = Provider(name="openai", base_url=begun[0].upstream)
    row = metered(
        journal, Config(data=tmp_path, providers={"openai": openai}), {"openai.toml": TARIFF}
    )
    assert ended.sent == ("onnecting" not in name)
    if ended.request_bytes == len(ASK):
        assert row.request_model == "m"
    if played.request == CHAT:
        assert row.request_bytes == len(ASK)
    assert Line(said, row.outcome, row.error_type or "-") == line
    if row.is_socket:  # its responses have rows of their own, and these have none
        assert row.cost_status == Status.NOT_BILLED
    elif not ended.sent or CHARGES.get(row.outcome, "").startswith("nothing"):
        assert row.cost_status == Status.NOT_BILLED
        assert row.cost_usd == 0
    elif not row.http_status:
        assert (row.cost_usd, row.cost_status) == (None, Status.UNPRICED)
        assert "no_response" in row.reasons
        assert bool(row.input_tokens_total) == ("floor_usd" in row.receipt)
    elif row.outcome == "ok" and played.request != UPGRADE:
        assert row.cost_status == Status.EXACT
        assert row.cost_usd == Decimal("0.00008")
    else:
        assert row.cost_status not in (Status.NOT_BILLED, Status.EXACT)
