"""Turns the answer of one attempt into the caller's dialect, as the relay writes it: head and body.

A stream is passed on event by event; a whole answer, and an error, once all of it is here.
"""

from collections.abc import Mapping
from functools import cached_property
from time import time

from aiohttp.http import HttpVersion11, RawRequestMessage

from proxy.door.plan import Plan
from proxy.door.wire import END, with_headers
from proxy.gateway.chain import Target
from proxy.gateway.translation.answers import Between, Stream, error, streamed, whole
from proxy.gateway.translation.requests import APIS
from proxy.reading.inflate import Inflate
from proxy.relay.answers import ERROR_HEADER
from proxy.relay.http1 import framed

EVENTS = "text/event-stream"
JSON = "application/json"
LOSSES = "x-taximeter-losses"
WHOLE_BYTES_MAX = 64 * 1024 * 1024  # of an answer that has to be read whole
# What describes the provider's bytes, not ours.
_REPLACED = ("content-length", "content-encoding", "transfer-encoding", "content-type", "etag")


class Interpreter:
    """One answer.  Give it the head, then the body; `commit` and `more` are for streams."""

    def __init__(self, between: Between, losses: tuple[str, ...], *, chunks: bool) -> None:
        self.streams = False
        self.too_large = False  # or not to be decoded
        self._events = False  # the provider sends events
        self._ours = False  # an error that the relay itself wrote
        self._between = between
        self._losses = losses
        self._chunks = chunks  # the caller can read them
        self._inflate: Inflate | None = None
        self._body = bytearray()

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """The head is here."""
        self._ours = ERROR_HEADER in headers
        self._events = EVENTS in headers.get("content-type", "")
        wanted = self._between.stream and self._chunks
        self.streams = status < 400 and self._events and wanted
        encoding = headers.get("content-encoding", "identity")
        self._inflate = Inflate(encoding, WHOLE_BYTES_MAX) if encoding != "identity" else None

    @cached_property
    def _stream(self) -> Stream:
        return Stream(self._between)

    def plain(self, data: bytes) -> bytes:
        """A part of the body without its encoding."""
        if self._inflate is None:
            return data
        decoded = b"".join(self._inflate.feed(data))
        self.too_large = self.too_large or self._inflate.reason is not None
        return decoded

    def keep(self, data: bytes) -> None:
        """Remember a part of the body."""
        self._body += data
        self.too_large = self.too_large or len(self._body) > WHOLE_BYTES_MAX

    def commit(self, head: bytes, added: Mapping[str, str]) -> bytes:
        """The caller's head of a stream, and what is kept of it."""
        kept, self._body = bytes(self._body), bytearray()
        framing = {"content-type": self._kind, "transfer-encoding": "chunked"}
        return _head(head, {**added, **framing}) + self.more(kept)

    @property
    def _kind(self) -> str:
        """The type of a stream."""
        is_list = self._between.caller == "gemini" and self._between.as_list
        return JSON if is_list else f"{EVENTS}; charset=utf-8"

    def more(self, data: bytes) -> bytes:
        """What a part of the stream says.  Raises ValueError for an event that is too large."""
        said = self._stream.feed(data)
        return framed(said, chunked=True, last=False) if said else b""

    def end(self) -> bytes:
        """The end of the stream."""
        return framed(self._stream.close(), chunked=True, last=True)

    def whole(self, head: bytes, status: int, added: Mapping[str, str]) -> bytes:
        """All of an answer, or of an error.  Raises ValueError for what is no answer."""
        body, kind = bytes(self._body), JSON
        lost: tuple[str, ...] = ()
        if self._ours and not self._between.caller.startswith("gemini"):
            made = body  # in a form that both SDKs read
        elif status >= 400:
            made = error(self._between.caller, status, body)
        elif not self._between.stream:
            made, lost = whole(body, self._between)
        elif self._events:  # for a caller that reads no chunks
            made, kind = self._stream.feed(body) + self._stream.close(), self._kind
        else:
            made, kind = streamed(body, self._between), self._kind
        if listed := (*self._losses, *lost):
            added = {**added, LOSSES: ", ".join(listed)}
        sized = {"content-type": kind, "content-length": str(len(made))}
        return _head(head, {**added, **sized}) + made


def _head(head: bytes, added: Mapping[str, str]) -> bytes:
    """The provider's head, with what is ours in place of what describes its bytes."""
    first, *lines = head.removesuffix(END).split(b"\r\n")
    kept = [
        one for one in lines if one.partition(b":")[0].decode("latin-1").lower() not in _REPLACED
    ]
    return with_headers(b"\r\n".join([first, *kept]) + END, added)


def interpreter(
    plan: Plan, target: Target, losses: tuple[str, ...], request: RawRequestMessage
) -> Interpreter | None:
    """What turns a target's answer into the caller's dialect; None: it is in that."""
    translated = plan.translated(target)
    if translated is None:
        return None
    between = Between(
        caller=APIS[plan.facts.dialect, plan.facts.operation],
        provider=plan.route.candidates[target.candidate].api(plan.facts.operation),
        shows_usage=translated.shows_usage,
        stream=plan.facts.stream,
        as_list="alt=sse" not in request.path.partition("?")[2].split("&"),
        at=int(time()),
        asked=translated.asked,
    )
    return Interpreter(between, losses, chunks=request.version >= HttpVersion11)
