"""Callers for benchmarks: raw connections that cost less than what they measure."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from urllib.parse import urlsplit

HEAD_END, CHUNKED_END = b"\r\n\r\n", b"\r\n0\r\n\r\n"
TOKEN = "sk-bench-" + "0" * 32
SETTLE_S = 30.0  # for calls in flight when the time is over


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """One request, ready to send."""

    host: str
    port: int
    data: bytes


def ask(url: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> LoadRequest:
    """A POST of JSON to `url`."""
    parts = urlsplit(url)
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nAccept: application/json\r\n"
        f"User-Agent: bench/1\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return LoadRequest(str(parts.hostname), int(parts.port or 80), head.encode() + body)


class Caller(asyncio.Protocol):
    """One connection that sends the same request again and again."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._head = b""
        self._left = -1  # of a body with a length; -1: the head has not come, -2: chunked
        self._tail = b""
        self._began = 0.0
        self._done: asyncio.Future[float] | None = None
        self.again = False  # send the next request as soon as an answer is there
        self.calls = 0

    @classmethod
    async def open(cls, request: LoadRequest) -> "Caller":
        """A connection for this request.  Raises OSError."""
        loop = asyncio.get_running_loop()
        made = partial(cls, request.data)
        return (await loop.create_connection(made, request.host, request.port))[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def send(self) -> None:
        """Send the request; the connection must be free."""
        self._head, self._left, self._tail = b"", -1, b""
        self._began = time.perf_counter()
        self.transport.write(self._request)

    async def call(self) -> float:
        """One call; returns its seconds.  Raises RuntimeError without the expected answer."""
        if self.transport.is_closing():
            raise RuntimeError("the connection was closed")
        self._done = asyncio.get_running_loop().create_future()
        self.send()
        return await self._done

    async def last(self) -> None:
        """Wait for the call that is in flight, and begin no other."""
        self.again = False
        self._done = asyncio.get_running_loop().create_future()
        await self._done

    def data_received(self, data: bytes) -> None:
        if self._left == -1:
            self._head += data
            end = self._head.find(HEAD_END)
            if end < 0:
                return
            if not self._head.startswith(b"HTTP/1.1 200"):
                self._fail(f"unexpected response: {self._head[:200]!r}")
                return
            length = _content_length(self._head[: end + 2])
            data = self._head[end + 2 if length is None else end + 4 :]
            self._left = -2 if length is None else length
        if self._left == -2:
            self._tail = (self._tail + data)[-len(CHUNKED_END) :]
            if self._tail != CHUNKED_END:
                return
        else:
            self._left -= len(data)
            if self._left > 0:
                return
        self._answered()

    def _answered(self) -> None:
        self.calls += 1
        done, self._done = self._done, None
        if done is not None:
            done.set_result(time.perf_counter() - self._began)
        elif self.again:
            self.send()

    def close(self) -> None:
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was closed")

    def _fail(self, what: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(RuntimeError(what))
        self.again = False


class Callers:
    """Connections to one address."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._callers = callers

    @classmethod
    async def connect(cls, request: LoadRequest, count: int) -> "Callers":
        """Open them, and make a call on each, so that everything behind is open as well."""
        opened = [await Caller.open(request) for _ in range(count)]
        await asyncio.gather(*(caller.call() for caller in opened))
        return cls(opened)

    @property
    def calls(self) -> int:
        """How many have been answered."""
        return sum(caller.calls for caller in self._callers)

    def start(self) -> None:
        """Keep every connection busy from now on."""
        for caller in self._callers:
            caller.again = True
            caller.send()

    async def stop(self) -> None:
        """Let calls in flight end.  Raises RuntimeError if a connection had broken."""
        if broken := sum(not caller.again for caller in self._callers):
            raise RuntimeError(f"{broken} connections broke under load")
        async with asyncio.timeout(SETTLE_S):
            await asyncio.gather(*(caller.last() for caller in self._callers))

    async def paced(self, per_s: float, seconds: float) -> list[float]:
        """Begin calls at a steady rate; returns the seconds that each took."""
        loop, free = asyncio.get_running_loop(), list(self._callers)
        seconds_of, tasks = list[float](), set[asyncio.Task[None]]()

        async def one(caller: Caller) -> None:
            seconds_of.append(await caller.call())
            free.append(caller)

        begin = loop.time()
        for number in range(int(per_s * seconds)):
            await asyncio.sleep(max(0.0, begin + number / per_s - loop.time()))
            if free:  # else the proxy does not keep up, which the rate of calls shows
                tasks.add(asyncio.create_task(one(free.pop())))
        await asyncio.gather(*tasks)
        return seconds_of

    def close(self) -> None:
        for caller in self._callers:
            caller.close()


def _content_length(head: bytes) -> int | None:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    return int(lower[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else None
