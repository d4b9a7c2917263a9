"""Cuts out of an error message what it repeats of its request: a prompt must not reach a row.

Both texts are compared with white space collapsed, and the request also as JSON writes it, since
providers quote what they could not parse.  No I/O.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator

from proxy.dialects.contract import Json

SHARED_CHARS_MIN = 16  # a shorter repetition is a word or two, such as a parameter's name
CUT = "[…]"  # replaces what is cut out
WITHHELD = "[withheld: the request cannot be compared]"
REQUEST_CHARS_MAX = 16 * 1024 * 1024  # compared of a request; of a larger one no message is kept
NEAR_CHARS_MAX = 256 * 1024  # of the request around what may be repeated; likewise
MESSAGE_CHARS_MAX = 4_000  # examined of a message
# Any shared text of 16 characters covers one whole block of 8 that begins at a multiple of 8.
_BLOCK = SHARED_CHARS_MIN // 2


class Messages:
    """The newest messages of the caller on a WebSocket."""

    BYTES_MAX = 1024 * 1024

    def __init__(self) -> None:
        self._kept: deque[tuple[int, Json]] = deque()
        self._size = 0
        self.lost = False  # one was too large to keep

    def add(self, document: Json, size: int) -> None:
        """Keep a message of `size` bytes, and drop the oldest ones that no longer fit."""
        self.lost = self.lost or size > self.BYTES_MAX
        self._kept.append((size, document))
        self._size += size
        while self._size > self.BYTES_MAX:
            self._size -= self._kept.popleft()[0]

    def documents(self) -> list[Json]:
        return [document for _, document in self._kept]


def without_echo(message: str, said: Iterable[Json]) -> str:
    """`message` without what it shares with the documents `said`."""
    message = collapsed(message[:MESSAGE_CHARS_MAX])
    if len(message) < SHARED_CHARS_MIN:
        return message
    blocks = {message[at : at + _BLOCK] for at in range(len(message) - _BLOCK + 1)}
    near: list[str] = []
    read = kept = 0
    for text in _texts(said):
        read += len(text)
        for piece in _near(text, blocks):
            near.append(piece)
            kept += len(piece)
        if read > REQUEST_CHARS_MAX or kept > NEAR_CHARS_MAX:
            return WITHHELD
    return _cut(message, "\0".join(near)) if near else message


def collapsed(text: str) -> str:
    return " ".join(text.split())


def _texts(values: Iterable[Json]) -> Iterator[str]:
    """The texts in `values`, collapsed, and as JSON escapes them; numbers as written.

    Names of fields count below the top level, where they are the API's own.
    """
    stack: list[tuple[Json, int]] = [(value, 0) for value in values]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, dict):
            stack += [(inner, depth + 1) for inner in value.values()]
            if depth:
                stack += [(name, depth) for name in value]
        elif isinstance(value, list):
            stack += [(inner, depth + 1) for inner in value]
        elif isinstance(value, str):
            yield collapsed(value)
            if (escaped := json.dumps(value)[1:-1]) != value:
                yield collapsed(escaped)
        elif value is not None and not isinstance(value, bool):
            yield str(value)


def _near(text: str, blocks: set[str]) -> Iterator[str]:
    """The parts of `text` that may hold 16 characters in common with a message of `blocks`."""
    start = end = 0
    for at in range(0, len(text) - _BLOCK + 1, _BLOCK):
        if text[at : at + _BLOCK] in blocks:
            if at > end:
                if end:
                    yield text[start:end]
                start = max(0, at - SHARED_CHARS_MIN)
            end = at + _BLOCK + SHARED_CHARS_MIN
    if end:
        yield text[start:end]


def _cut(message: str, near: str) -> str:
    """`message` without its substrings of at least 16 characters that `near` has, too."""
    pieces: list[str] = []
    at = start = 0
    while at + SHARED_CHARS_MIN <= len(message):
        end = at + SHARED_CHARS_MIN
        if message[at:end] not in near:
            at += 1
            continue
        while end < len(message) and message[at : end + 1] in near:
            end += 1
        pieces += (message[start:at], CUT)
        at = start = end
    return "".join((*pieces, message[start:]))
