"""A minimal HTTP/1.1 client for benchmarks: it must cost less than what it measures."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

HEAD_END, CHUNKED_END, EVENT_END = b"\r\n\r\n", b"\r\n0\r\n\r\n", b"\n\n"
READ_BUFFER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """One request, ready to send."""

    host: str
    port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CallTimes:
    """Seconds from the first byte sent to the first event of the body, or else to its end."""

    first_s: float
    total_s: float


def ask(url: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> LoadRequest:
    """A POST of JSON to `url`."""
    parts = urlsplit(url)
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "Authorization: Bearer sk-standin-load\r\nContent-Type: application/json\r\n"
        f"{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return LoadRequest(str(parts.hostname), int(parts.port or 80), head.encode() + body)


class Connection:
    """One connection, kept alive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, request: LoadRequest) -> "Connection":
        return cls(
            *await asyncio.open_connection(request.host, request.port, limit=READ_BUFFER_BYTES)
        )

    async def call(self, request: LoadRequest) -> CallTimes:
        """Send it and read the whole response.  Raises RuntimeError unless its status is 200."""
        start = time.perf_counter()
        self._writer.write(request.data)
        head = await self._reader.readuntil(HEAD_END)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"unexpected response: {head[:80]!r}")
        length = _content_length(head)
        if length is not None:
            await self._reader.readexactly(length)
            end = time.perf_counter() - start
            return CallTimes(end, end)
        await self._reader.readuntil(EVENT_END)
        first = time.perf_counter() - start
        await self._reader.readuntil(CHUNKED_END)
        return CallTimes(first, time.perf_counter() - start)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def one_by_one(connection: Connection, request: LoadRequest, calls: int) -> list[CallTimes]:
    """Make `calls` calls, one after another."""
    return [await connection.call(request) for _ in range(calls)]


async def at_once(request: LoadRequest, *, concurrency: int, seconds: float) -> float:
    """Calls a second over `concurrency` connections, each of which is always busy."""
    loop = asyncio.get_running_loop()
    done, start = 0, loop.time()

    async def worker() -> None:
        nonlocal done
        connection = await Connection.open(request)
        while loop.time() < start + seconds:
            await connection.call(request)
            done += 1
        await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())
    return done / (loop.time() - start)


def _content_length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return None
