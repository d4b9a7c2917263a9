"""From decoded bytes to documents: one JSON body, or the events of a stream.  Sans-I/O.

Every framer takes bytes, however they are cut, and yields `(document, event name)`; at the end,
`close` yields what is left.  Data that is not JSON comes as text.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from pricing.reason import Reason
from proxy.reading.document import Document, Item, Limits, decode
from proxy.reading.eventstream import EventStream
from proxy.reading.line_framers import JsonLines, ServerSentEvents


class Framer(Protocol):
    """Finds the documents in a body."""

    stream: bool  # several documents that arrive over time

    def feed(self, data: bytes) -> Iterator[Item]:
        """Yield the documents that `data` completes."""

    def close(self) -> Iterator[Item]:
        """Yield what the end of the body completes."""


class Whole:
    """One document.  If it turns out to have one JSON value per line, each is a document."""

    stream = False

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._document = Document(limits)

    def feed(self, data: bytes) -> Iterator[Item]:
        """See `Framer`."""
        self._document.feed(data)
        return iter(())

    def close(self) -> Iterator[Item]:
        """See `Framer`."""
        document = self._document.close()
        lines = document.split("\n") if isinstance(document, str) else []
        if len(lines) > 1 and all(line.startswith("{") for line in lines if line):
            for line in lines:
                with suppress(ValueError):
                    yield decode(line.encode()), ""
        elif document is not None:
            if isinstance(document, str) and document.startswith("{"):
                self._limits.flag(Reason.BODY_NOT_JSON)  # cut short, or damaged
            yield document, ""


class JsonArray:
    """The elements of a top-level array, each when it is complete (Gemini without alt=sse)."""

    stream = True

    _STRUCTURE = re.compile(rb'["\[\]{}]')
    _STRING_END = re.compile(rb'["\\]')

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._document: Document | None = None
        self._depth = 0
        self._in_string = False
        self._escape = False

    def feed(self, data: bytes) -> Iterator[Item]:
        """See `Framer`."""
        start = at = 0  # start: of the bytes that the open element has not got yet
        while at < len(data):
            if self._escape:
                self._escape = False
                at += 1
                continue
            pattern = self._STRING_END if self._in_string else self._STRUCTURE
            found = pattern.search(data, at)
            if found is None or not self._limits.spend(1):
                break
            at = found.end()
            if not self._in_string and found.group() in b"{[" and self._depth == 1:
                self._document, start = Document(self._limits), found.start()
            self._step(found.group())
            if self._depth == 1 and found.group() in b"]}" and self._document is not None:
                self._document.feed(data[start:at])
                document, self._document = self._document.close(), None
                if document is not None:
                    yield document, ""
        if self._document is not None:
            self._document.feed(data[start:])

    def _step(self, sign: bytes) -> None:
        if self._in_string:
            self._escape = sign == b"\\"
            self._in_string = self._escape
        elif sign == b'"':
            self._in_string = True
        else:
            self._depth += 1 if sign in b"[{" else -1

    def close(self) -> Iterator[Item]:
        """See `Framer`.  An element that was cut is dropped."""
        return iter(())


class AmazonEvents:
    """application/vnd.amazon.eventstream; the event name is `:event-type` or `:exception-type`."""

    stream = True

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._events = EventStream()

    def feed(self, data: bytes) -> Iterator[Item]:
        """See `Framer`."""
        try:
            for headers, payload in self._events.feed(data):
                name = headers.get(":event-type") or headers.get(":exception-type") or ""
                document = Document(self._limits)
                document.feed(payload)
                yield document.close(), str(name)
        except ValueError:
            self._limits.flag(Reason.EVENT_STREAM_CORRUPT)

    def close(self) -> Iterator[Item]:
        """See `Framer`."""
        return iter(())


class Opaque:
    """Audio, images, zip files: nothing to read."""

    stream = False

    def feed(self, data: bytes) -> Iterator[Item]:
        """See `Framer`."""
        return iter(())

    def close(self) -> Iterator[Item]:
        """See `Framer`."""
        return iter(())


SNIFF_BYTES = 8  # enough to recognise "retry:"
_SSE_START = (b"data:", b"event:", b"id:", b"retry:", b":")
_LINES = ("ndjson", "jsonl", "json-lines", "jsonlines")
_BINARY = ("audio/", "video/", "image/", "application/octet-stream", "application/zip")


def choose(content_type: str, start: bytes, limits: Limits) -> Framer:
    """The framer for a body that begins with `start` (without BOM and leading space).

    The bytes take precedence over the header: errors of a stream come as plain JSON under
    text/event-stream, and some servers declare a stream as application/json.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/vnd.amazon.eventstream":
        return AmazonEvents(limits)
    if start.startswith(b"{"):
        return JsonLines(limits) if any(name in kind for name in _LINES) else Whole(limits)
    if start.startswith(b"["):
        return JsonArray(limits)
    if kind == "text/event-stream" or start.startswith(_SSE_START):
        return ServerSentEvents(limits)
    if kind.startswith(_BINARY):
        return Opaque()
    return Whole(limits)
