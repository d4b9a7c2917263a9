"""Framers of bodies that are made of lines: JSON lines and server-sent events.  Sans-I/O."""

import re
from collections.abc import Iterator

from proxy.dialects.contract import Json
from proxy.reading.document import Document, Item, Limits, value_of
from proxy.reading.repeats import REPEATED, Repeats

LINE_BYTES_MAX = 64 * 1024  # held back of one line; a longer one is passed on in pieces
EVENT_NAME_BYTES_MAX = 256
# An event as nearly all are sent: its name if it has one, and its data on one line.
_EVENT = re.compile(rb"(?:event: ?([^\r\n]*)\r?\n)?data: ?([^\r\n]*)\r?\n\r?\n")


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

    def with_held(self, data: bytes) -> bytes:
        """What is held back, and `data`, which follows it; nothing is held then."""
        if self._after_cr:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if self._held:
            data = bytes(self._held) + data
            self._held.clear()
        return data


class JsonLines:
    """One JSON value per line (Ollama, batch output files)."""

    stream = True

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines = _Lines(limits)
        self._document = Document(limits)

    def feed(self, data: bytes) -> Iterator[Item]:
        """See `proxy.reading.framers.Framer`."""
        for piece, ended in self._lines.feed(data):
            yield from self._line(piece, ended)

    def _line(self, piece: bytes, ended: bool) -> Iterator[Item]:
        self._document.feed(piece)
        if ended:
            document, self._document = self._document.close(), Document(self._limits)
            if document is not None:
                yield document, ""

    def close(self) -> Iterator[Item]:
        """See `proxy.reading.framers.Framer`."""
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
        self.repeats = Repeats()

    def feed(self, data: bytes) -> Iterator[Item]:
        """See `proxy.reading.framers.Framer`."""
        if self._field is None and self._document is None and not self._name and b"\n" in data:
            data = self._lines.with_held(data)
            at = 0
            while (event := self._whole(data, at)) is not None:
                at = event.end()
                name, said = event.groups()
                if (text := self.repeats.text(name, said)) is not None:
                    yield REPEATED, text
                elif (value := value_of(said)) is not None:
                    self.repeats.reads(name, said)
                    yield _told(value), _named(name or b"")
            data = data[at:]
        for piece, ended in self._lines.feed(data):
            if ended and not piece and self._field is None:
                yield from self._dispatch()
            else:
                self._take(piece)
            if ended:
                self._field = None

    def _whole(self, data: bytes, at: int) -> re.Match[bytes] | None:
        """The event at `at` if it is of the usual form, whole, and within all limits.

        Nearly all are, and this takes a quarter of the time of going line by line.
        """
        event, limits = _EVENT.match(data, at), self._limits
        if event is None or len(event[2]) > limits.document_bytes_max:
            return None
        return event if limits.spend_all(2 if event[1] is None else 3) else None

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
                self._name = _named(piece)
        if self._field == b"data" and self._document is not None:
            self._document.feed(piece)

    def _dispatch(self) -> Iterator[Item]:
        name, document = self._name, self._document
        self._name, self._document = "", None
        if document is not None and (value := document.close()) is not None:
            self.repeats.reads(None, b"")
            yield _told(value), name

    def close(self) -> Iterator[Item]:
        """See `proxy.reading.framers.Framer`."""
        for piece, _ in self._lines.close():
            self._take(piece)
        for value, name in self._dispatch():
            if not isinstance(value, str) or value == "[DONE]":
                yield value, name


def _named(piece: bytes) -> str:
    return piece[:EVENT_NAME_BYTES_MAX].decode("utf-8", "replace")


def _told(value: Json) -> Json:
    return value.strip() if isinstance(value, str) else value
