"""Applications that call through the proxy and remember how each call ended."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import aiohttp

END = b"data: [DONE]"
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


class Callers:
    """Makes calls named by their tags and prompts: `ticket` each, `group` as team and session."""

    def __init__(self, proxy_url: str, group: str) -> None:
        self._url = f"{proxy_url}/openai/v1/chat/completions"
        self.group = group
        self._made = 0
        self.seen: list[SeenCall] = []

    async def make(self, count: int, streams: Sequence[Stream], random: Random) -> None:
        """Start `count` calls within half a second, each on a connection of its own."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(
                *(
                    self._call(session, random.choice(streams), random.uniform(0, 0.5))
                    for _ in range(count)
                )
            )

    async def keep_on(self, per_s: float, stream: Stream, stop: asyncio.Event) -> None:
        """Start `per_s` calls a second until `stop`, each on a connection of its own."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            running = []
            while not stop.is_set():
                running.append(asyncio.create_task(self._call(session, stream, 0)))
                await asyncio.sleep(1 / per_s)
            await asyncio.gather(*running)

    async def _call(self, session: aiohttp.ClientSession, stream: Stream, after_s: float) -> None:
        self._made += 1
        ticket = f"{self.group}-{self._made}"
        await asyncio.sleep(after_s)
        body = {
            "model": stream.model,
            "messages": [{"role": "user", "content": f"ticket {ticket}"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = {
            "authorization": "Bearer sk-standin-faults",
            "x-taximeter-ticket": ticket,
            "x-taximeter-team": self.group,
            "x-taximeter-session": self.group,
        }
        tail, error = b"", ""
        try:
            async with session.post(self._url, json=body, headers=headers) as response:
                async for chunk in response.content.iter_any():
                    tail = (tail + chunk)[-64:]
                error = "" if response.status == 200 else f"HTTP {response.status}"
        except (aiohttp.ClientError, TimeoutError) as failure:
            error = type(failure).__name__
        finished = not error and END in tail
        error = error or ("" if finished else "no final event")
        self.seen.append(SeenCall(ticket=ticket, finished=finished, error=error))
