"""From decoded bytes to documents: one JSON body, or the events of a stream.  Sans-I/O.

Every framer takes bytes, however they are cut, and yields `(document, event name)`; at the end,
`close` yields what is left.  Data that is not JSON comes as text.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from pricing.reason import Reason
from proxy.dialects.contract import Json
from proxy.reading.document import Document, Limits, decode
from proxy.reading.eventstream import EventStream

LINE_BYTES_MAX = 64 * 1024  # held back of one line; a longer one is passed on in pieces
EVENT_NAME_BYTES_MAX = 256

Item = tuple[Json, str]


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


class _Lines:
    """Lines that end in LF, CR or CRLF.  Yields (bytes, whether the line ends here)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = bytearray()
        self._after_cr = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        if not data:
            return
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        for line in data.splitlines(keepends=True):
            content = line.rstrip(b"\r\n")
            if len(content) < len(line):
                if not self._limits.spend(1):
                    return
                yield bytes(self._held) + content, True
                self._held.clear()
                continue
            self._held += content
            if len(self._held) > LINE_BYTES_MAX:
                yield bytes(self._held), False
                self._held.clear()

    def close(self) -> Iterator[tuple[bytes, bool]]:
        if self._held:
            yield bytes(self._held), True


class JsonLines:
    """One JSON value per line (Ollama, batch output files)."""

    stream = True

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines = _Lines(limits)
        self._document = Document(limits)

    def feed(self, data: bytes) -> Iterator[Item]:
        """See `Framer`."""
        for piece, ended in self._lines.feed(data):
            yield from self._line(piece, ended)

    def _line(self, piece: bytes, ended: bool) -> Iterator[Item]:
        self._document.feed(piece)
        if ended:
            document, self._document = self._document.close(), Document(self._limits)
            if document is not None:
                yield document, ""

    def close(self) -> Iterator[Item]:
        """See `Framer`."""
        for piece, _ in self._lines.close():
            yield from self._line(piece, False)
        document = self._document.close()
        if document is not None and not isinstance(document, str):  # text: a line cut short
            yield document, ""


class ServerSentEvents:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6, without a BOM.

    Unlike the standard, it also yields an event that the body ends in, since some providers omit
    the last blank line.  If that event was cut, it is not JSON, and is dropped.
    """

    stream = True

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines = _Lines(limits)
        self._document: Document | None = None
        self._name = ""
        self._field: bytes | None = None  # of the current line; None at its start

    def feed(self, data: bytes) -> Iterator[Item]:
        """See `Framer`."""
        for piece, ended in self._lines.feed(data):
            if ended and not piece and self._field is None:
                yield from self._dispatch()
            else:
                self._take(piece)
            if ended:
                self._field = None

    def _take(self, piece: bytes) -> None:
        """Process a line or a piece of one.  A comment has no field name."""
        if self._field is None:
            self._field, _, piece = piece.partition(b":")
            piece = piece.removeprefix(b" ")
            if self._field == b"data":
                if self._document is None:
                    self._document = Document(self._limits)
                else:
                    self._document.feed(b"\n")
            elif self._field == b"event":
                self._name = piece[:EVENT_NAME_BYTES_MAX].decode("utf-8", "replace")
        if self._field == b"data" and self._document is not None:
            self._document.feed(piece)

    def _dispatch(self) -> Iterator[Item]:
        name, document = self._name, self._document
        self._name, self._document = "", None
        if document is not None and (value := document.close()) is not None:
            yield value.strip() if isinstance(value, str) else value, name

    def close(self) -> Iterator[Item]:
        """See `Framer`."""
        for piece, _ in self._lines.close():
            self._take(piece)
        for value, name in self._dispatch():
            if not isinstance(value, str) or value == "[DONE]":
                yield value, name


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
