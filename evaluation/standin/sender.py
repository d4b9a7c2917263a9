"""Sends an answer: paced, compressed, in pieces or cut off, as the steering says."""

import asyncio
import hashlib
import zlib
from collections.abc import Callable, Mapping
from random import Random

import brotli  # type: ignore[import-untyped]  # ships no types
import zstandard
from aiohttp import web

from evaluation.standin.answers import Answer, Request
from evaluation.standin.steering import Steering

PREFERRED = ("br", "zstd", "gzip", "deflate")


class Sent:
    """What was sent: bytes on the wire, and the output tokens in them."""

    def __init__(self) -> None:
        self.bytes = 0
        self.tokens = 0
        self.outcome = "ok"  # ok | error_event | cut | client_gone
        self._hash = hashlib.sha256()

    def add(self, data: bytes, tokens: int = 0) -> None:
        self.bytes += len(data)
        self.tokens += tokens
        self._hash.update(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class Pace:
    """When output is due, on the loop's clock; slow calls are drawn from the seed."""

    def __init__(self, steering: Steering, seed: str, in_flight: int) -> None:
        slow = steering.slow_share > Random(f"{seed}/slow").random()
        crowded = steering.crowd is not None and in_flight > steering.crowd
        self._factor = steering.slow_factor if slow else 1.0
        self._factor *= steering.crowd_factor if crowded else 1.0
        self._steering = steering
        self._start = asyncio.get_running_loop().time()

    async def head(self) -> None:
        await self._until(self._steering.head_s)

    async def tokens(self, count: int) -> None:
        """Wait until `count` output tokens are due."""
        steering = self._steering
        made = count / steering.tokens_per_s if steering.tokens_per_s else 0.0
        await self._until(steering.head_s + steering.first_token_s + made)

    async def _until(self, after_s: float) -> None:
        if after_s:
            due = self._start + after_s * self._factor
            wait = due - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)


class AnswerSender:
    """Sends one answer and records in `sent` what was sent."""

    def __init__(
        self, http: web.BaseRequest, request: Request, sent: Sent, in_flight: int = 1
    ) -> None:
        self._http = http
        self._steering = request.steering
        self._pace = Pace(request.steering, request.seed, in_flight)
        self._coding = _coding(request.steering.encoding, request.headers)
        self._coder = _coder(self._coding)
        self._sent = sent

    async def send(self, answer: Answer) -> web.StreamResponse:
        """Send all of `answer`, or as much of it as the steering allows."""
        headers = {**answer.headers, "content-type": answer.content_type}
        if self._coding:
            headers["content-encoding"] = self._coding
        await self._pace.head()
        if not answer.stream:
            await self._pace.tokens(answer.steps[0].tokens)
            if not self._steering.chunk_bytes and self._steering.cut_after is None:
                return self._at_once(answer, headers)
        response = web.StreamResponse(status=answer.status, headers=headers)
        try:
            await (self._stream if answer.stream else self._pieces)(response, answer)
        except ConnectionResetError:
            if self._sent.outcome == "ok":
                self._sent.outcome = "client_gone"
        return response

    def _at_once(self, answer: Answer, headers: dict[str, str]) -> web.Response:
        """The fastest way: aiohttp sends head and body in one write."""
        data = self._coder.whole(answer.steps[0].data)
        self._sent.add(data, answer.steps[0].tokens)
        return web.Response(status=answer.status, headers=headers, body=data)

    async def _pieces(self, response: web.StreamResponse, answer: Answer) -> None:
        """Send one body with its length, in pieces or cut in the middle."""
        data = self._coder.whole(answer.steps[0].data)
        response.content_length = len(data)
        await response.prepare(self._http)
        if self._steering.cut_after is not None:
            await self._write(response, data[: len(data) // 2])
            self._cut()
        await self._write(response, data, answer.steps[0].tokens)

    async def _stream(self, response: web.StreamResponse, answer: Answer) -> None:
        error_after, cut_after = self._steering.error_after, self._steering.cut_after
        if self._http.version >= (1, 1):
            response.enable_chunked_encoding()
        await response.prepare(self._http)
        for step in answer.steps:
            after = self._sent.tokens + step.tokens
            if error_after is not None and after > error_after:
                await self._write(response, self._coder.piece(answer.error_event))
                self._sent.outcome = "error_event"
                break
            if cut_after is not None and after > cut_after:
                self._cut()
            await self._pace.tokens(after)
            await self._write(response, self._coder.piece(step.data), step.tokens)
        if end := self._coder.end():
            await self._write(response, end)

    def _cut(self) -> None:
        """Break the connection in the middle of the body.  Raises ConnectionResetError."""
        self._sent.outcome = "cut"
        if self._http.transport is not None:
            if self._steering.reset:
                self._http.transport.abort()
            else:
                self._http.transport.close()  # bytes already written still arrive
        raise ConnectionResetError("cut by the steering")

    async def _write(self, response: web.StreamResponse, data: bytes, tokens: int = 0) -> None:
        size = self._steering.chunk_bytes or len(data) or 1
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            await response.write(piece)
            self._sent.add(piece)
            if len(piece) < len(data):
                await asyncio.sleep(0)  # so that pieces are sent separately
        self._sent.tokens += tokens


class Coder:
    """Compresses a stream so that every piece can be decoded as soon as it arrives."""

    def __init__(
        self,
        compress: Callable[[bytes], bytes] = bytes,
        flush: Callable[[], bytes] = bytes,
        finish: Callable[[], bytes] = bytes,
    ) -> None:
        self._compress, self._flush, self.end = compress, flush, finish

    def piece(self, data: bytes) -> bytes:
        return self._compress(data) + self._flush()

    def whole(self, data: bytes) -> bytes:
        return self._compress(data) + self.end()


def _coder(coding: str) -> Coder:
    if coding in ("gzip", "deflate"):
        deflate = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
        return Coder(deflate.compress, lambda: deflate.flush(zlib.Z_SYNC_FLUSH), deflate.flush)
    if coding == "br":
        br = brotli.Compressor()
        return Coder(br.process, br.flush, br.finish)
    if coding == "zstd":
        zstd = zstandard.ZstdCompressor().compressobj()
        block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return Coder(zstd.compress, lambda: zstd.flush(block), zstd.flush)
    return Coder()


def _coding(asked: str, headers: Mapping[str, str]) -> str:
    """The content coding to use: that of the steering, if the caller accepts it."""
    taken = {c.partition(";")[0].strip() for c in headers.get("accept-encoding", "").split(",")}
    if asked == "accept":
        return next((coding for coding in PREFERRED if coding in taken), "")
    return asked if asked in taken else ""
