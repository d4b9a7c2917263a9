"""A relay between a raw caller and a raw upstream, all in one loop, with a journal in a list.

Both ends are plain sockets, so that what is compared is what was on the wire.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import msgspec

from exporters.record import Record
from pricing import TariffBook
from proxy.exchange import Begun, Ended, Kind, ResponseHead
from proxy.gate.keeper import Keeper
from proxy.journal.frames import Frame
from proxy.metering.open_call import OpenCall
from proxy.metering.records import Metering
from proxy.relay.callers import Callers
from proxy.relay.relay import Relay
from proxy.settings.config import DIALECTS, Config, Provider
from support.wire import SLOW_S

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Message:
    """A request or response as it came off the wire."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]


async def read_head(reader: asyncio.StreamReader) -> Message:
    """A head, with an empty body."""
    data = await reader.readuntil(b"\r\n\r\n")
    line, *lines = data[:-4].split(b"\r\n")
    pairs = [(name, value) for name, _, value in (text.partition(b": ") for text in lines)]
    return Message(line, pairs, b"")


async def read_message(reader: asyncio.StreamReader, *, bodyless: bool = False) -> Message:
    """A head and the body that it announces; a response that announces none ends with EOF."""
    message = await read_head(reader)
    if bodyless or message.line.split()[1] in (b"204", b"304"):
        return message
    if b"chunked" in message.header(b"transfer-encoding"):
        return replace(message, body=await read_chunked(reader))
    if length := message.header(b"content-length"):
        return replace(message, body=await reader.readexactly(int(length[0])))
    return replace(message, body=await reader.read() if message.line.startswith(b"HTTP") else b"")


async def read_chunked(reader: asyncio.StreamReader) -> bytes:
    """A chunked body, its chunks joined."""
    body = b""
    while size := int((await reader.readuntil(b"\r\n")), 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"
    return body


def answering(response: bytes, seen: list[Message] | None = None) -> Handler:
    """An upstream that reads whole requests and gives each the same bytes, keep-alive."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_message(reader)
            if seen is not None:
                seen.append(request)
            writer.write(response)
            await writer.drain()

    return handle


@dataclass
class ListJournal:
    """The journal's interface over a list: (call, kind, payload), and "flush" or "settle"."""

    events: list[tuple[int, int, bytes] | str] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)
    lost: int = 0

    def begin(self, begun: Begun) -> int:
        self.begun.append(begun)
        self.events.append((len(self.begun), Kind.BEGUN, msgspec.json.encode(begun)))
        return len(self.begun)

    def append(self, call: int, kind: int, payload: bytes, at_ns: int | None = None) -> bool:
        self.events.append((call, kind, payload))
        return True

    def dropped(self, call: int) -> int:
        return self.lost

    def flush(self) -> None:
        self.events.append("flush")

    def settle(self) -> None:
        self.events.append("settle")

    def names(self) -> list[str]:
        """The kinds of frames in order, and what was done between them."""
        return [e if isinstance(e, str) else Kind(e[1]).name for e in self.events]

    def payloads(self, kind: Kind, call: int = 1) -> list[bytes]:
        return [e[2] for e in self.events if not isinstance(e, str) and e[:2] == (call, kind)]


@dataclass
class Bench:
    """A running relay.  `openai` goes to the upstream under test."""

    port: int
    upstream_port: int
    journal: ListJournal
    relay: Relay
    callers: Callers
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A caller's connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        self.writers.append(writer)
        return reader, writer

    async def send(self, request: bytes, *, bodyless: bool = False) -> Message:
        """One request on a connection of its own, and its response."""
        reader, writer = await self.open()
        writer.write(request)
        return await asyncio.wait_for(read_message(reader, bodyless=bodyless), SLOW_S)

    async def ended(self, call: int = 1) -> Ended:
        """How the call ended; waits for it."""
        async with asyncio.timeout(SLOW_S):
            while not (found := self.journal.payloads(Kind.ENDED, call)):
                await asyncio.sleep(0.005)
        assert len(found) == 1
        return msgspec.json.decode(found[0], type=Ended)

    def kept(self, kind: Kind, call: int = 1) -> bytes:
        """What the journal kept of a body."""
        return b"".join(self.journal.payloads(kind, call))

    def response_head(self, call: int = 1) -> ResponseHead:
        return msgspec.json.decode(
            self.journal.payloads(Kind.RESPONSE_HEAD, call)[0], type=ResponseHead
        )


@asynccontextmanager
async def listening(handler: Handler, **options: object) -> AsyncIterator[int]:
    """A raw server on a free port; its open connections are closed at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)  # type: ignore[arg-type]
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        while tasks:
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # the transports' own ends


@asynccontextmanager
async def bench(
    data: Path, handler: Handler, keeper: Keeper | None = None, **changes: object
) -> AsyncIterator[Bench]:
    """A relay in front of `handler`; `changes` are fields of its Config."""
    async with listening(handler) as upstream_port:
        base = f"http://127.0.0.1:{upstream_port}"
        providers = {
            "openai": Provider(name="openai", base_url=base, owns=("/v1/",)),
            "nested": Provider(name="nested", base_url=base + "/deep/er"),
            "unset": Provider(name="unset"),
        }
        if keeper is not None:  # whose answers have the provider's shape
            providers |= {n: Provider(name=n, base_url=base, dialect=n) for n in DIALECTS}
        config = replace(Config(data=data, providers=providers), **changes)  # type: ignore[arg-type]
        journal = ListJournal()
        relay = Relay(config, journal, keeper=keeper)
        callers = relay.callers()
        connect = partial(relay.connection, callers)
        server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        made = Bench(port, upstream_port, journal, relay, callers)
        try:
            yield made
        finally:
            server.close()
            for writer in made.writers:
                writer.close()
            await relay.finish(callers, 0, asyncio.Event())
            for writer in made.writers:
                with suppress(OSError):
                    await writer.wait_closed()


def metered(journal: ListJournal, config: Config, tariffs: Mapping[str, str]) -> Record:
    """The row that the meter makes of a journal with one call in it."""
    frames = [
        Frame(event[1], event[0], number, event[2], 0, 0)
        for number, event in enumerate(e for e in journal.events if not isinstance(e, str))
    ]
    opened = OpenCall.begin("w", 1, frames[0], config, None)
    (ended,) = filter(None, [opened.take(1, frame) for frame in frames[1:]])

    def claim(provider: str, items: Sequence[str], source: str) -> set[str]:
        return set(items)

    book = TariffBook.parse(tariffs)
    (row,) = Metering(config, book, claim).records(opened.finish(ended))
    return row


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and provider.test that no system trusts, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,DNS:provider.test"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key
