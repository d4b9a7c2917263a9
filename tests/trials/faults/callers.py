"""Applications that call through the proxy and remember how each call ended."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import cast

import msgspec

from trials.bench import load

OK = b"HTTP/1.1 200"
END, LAST_CHUNK = b"data: [DONE]", b"\r\n0\r\n\r\n"
TAIL_BYTES = 64  # of an answer, in which both are
TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The length of an answer, and how slowly it is streamed."""

    tokens: int = 8
    seconds: float = 1.0

    @property
    def model(self) -> str:
        """The model's name, from which the stand-in takes its orders."""
        pace = f",tokens-per-s={self.tokens / self.seconds:g}" if self.seconds else ""
        return f"gpt-4o-mini@output-tokens={self.tokens}{pace}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCall:
    """One call as its caller saw it.  `finished`: status 200 and the final event arrived."""

    ticket: str
    finished: bool
    error: str = ""  # what the caller saw if it did not finish


class Connection(asyncio.Protocol):
    """Sends one request as soon as it is connected, and reads until the connection ends.

    A client that connects first and sends later would measure itself: with thousands of calls on a
    busy machine, several SDKs leave a new connection silent for as long as servers keep one.
    """

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._begin = self._tail = b""
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if len(self._begin) < len(OK):
            self._begin = (self._begin + data)[: len(OK)]
        self._tail = (self._tail + data)[-TAIL_BYTES:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():  # it is, if its caller gave up
            self.ended.set_result(exc)

    @property
    def error(self) -> str:
        """What is wrong with the answer; "": nothing.  To be asked at its end."""
        if self._begin != OK:
            return self._begin.decode(errors="replace") or "no answer"
        whole = END in self._tail and self._tail.endswith(LAST_CHUNK)
        return "" if whole else "no final event"


class Callers:
    """Makes calls named by their tags and prompts: `ticket` each, `group` as team and session."""

    def __init__(self, proxy_url: str, group: str) -> None:
        self._url = f"{proxy_url}/openai/v1/chat/completions"
        self.group = group
        self._made = 0
        self.seen: list[SeenCall] = []

    async def make(self, count: int, streams: Sequence[Stream], random: Random) -> None:
        """Start `count` calls within half a second, each on a connection of its own."""
        await asyncio.gather(
            *(self._call(random.choice(streams), random.uniform(0, 0.5)) for _ in range(count))
        )

    async def keep_on(self, per_s: float, stream: Stream, stop: asyncio.Event) -> None:
        """Start `per_s` calls a second until `stop`, each on a connection of its own."""
        running = []
        while not stop.is_set():
            running.append(asyncio.create_task(self._call(stream, 0)))
            await asyncio.sleep(1 / per_s)
        await asyncio.gather(*running)

    async def _call(self, stream: Stream, after_s: float) -> None:
        self._made += 1
        ticket = f"{self.group}-{self._made}"
        await asyncio.sleep(after_s)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                error = await _one(self._request(ticket, stream))
        except (OSError, TimeoutError) as failure:
            error = type(failure).__name__
        self.seen.append(SeenCall(ticket=ticket, finished=not error, error=error))

    def _request(self, ticket: str, stream: Stream) -> load.LoadRequest:
        body = {
            "model": stream.model,
            "messages": [{"role": "user", "content": f"ticket {ticket}"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = {
            "connection": "close",
            "x-taximeter-ticket": ticket,
            "x-taximeter-team": self.group,
            "x-taximeter-session": self.group,
        }
        return load.ask(self._url, msgspec.json.encode(body), headers)


async def _one(request: load.LoadRequest) -> str:
    """One call on a connection of its own: what its caller saw that is wrong, or "".

    Raises OSError if the connection broke.
    """
    loop = asyncio.get_running_loop()
    made = partial(Connection, request.data)
    transport, connection = await loop.create_connection(made, request.host, request.port)
    try:
        if (failure := await connection.ended) is not None:
            raise failure
    finally:
        transport.abort()
    return connection.error
