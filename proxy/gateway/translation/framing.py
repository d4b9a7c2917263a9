"""Server-sent events: apart and together.  However the bytes are cut, the events are the same."""

import re
from collections.abc import Iterator

import msgspec

EVENT_BYTES_MAX = 16 * 1024 * 1024  # of one event that is not whole yet
_BLANK = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")


class Events:
    """Feed it bytes; it gives the data of each event."""

    def __init__(self) -> None:
        self._rest = b""
        self._seen = 0  # of the rest, what has no end of an event in it

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What became whole.  Raises ValueError for an event that is too large."""
        self._rest += data
        while found := _BLANK.search(self._rest, max(0, self._seen - 3)):
            event, self._rest = self._rest[: found.start()], self._rest[found.end() :]
            self._seen = 0
            if body := _data(event):
                yield body
        self._seen = len(self._rest)
        if self._seen > EVENT_BYTES_MAX:
            raise ValueError("an event of the stream is too large")

    def close(self) -> Iterator[bytes]:
        """The last event, if no blank line follows it."""
        rest, self._rest = self._rest, b""
        if body := _data(rest):
            yield body


def _data(event: bytes) -> bytes:
    lines = [line[5:] for line in _LINE.split(event) if line.startswith(b"data:")]
    return b"\n".join(line.removeprefix(b" ") for line in lines)


def data_event(document: object, name: str = "") -> bytes:
    """One event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(document) + b"\n\n"
