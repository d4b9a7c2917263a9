"""Removes the bulk of a JSON document that is too large, so that its `usage` can be read.

Long strings (images, audio, embeddings in base64) become "", and numbers in arrays are dropped; all
objects, keys and short strings stay.  Works on bytes as they arrive, cut anywhere.
"""

import re

STRING_BYTES_MAX = 4096  # of one string; a longer one becomes ""
DEPTH_MAX = 256
TOKENS_MAX = 2_000_000  # structural characters examined: a few seconds of work

_STRUCTURE = re.compile(rb'["\[\]{}]')
_STRING_END = re.compile(rb'["\\]')


class PruningError(ValueError):
    """The document is too large even without its bulk, or is not JSON."""


class Pruner:
    """Takes the bytes of one JSON document; `out` is what is left of it.

    Raises PruningError past `bytes_max` kept bytes, `DEPTH_MAX` or `TOKENS_MAX`.
    """

    def __init__(self, bytes_max: int) -> None:
        self.out = bytearray()
        self._bytes_max = bytes_max
        self._tokens = 0
        self._stack: list[int] = []  # of each open array: its elements kept; of an object: -1
        self._string: bytearray | None = None  # the kept part of the current string
        self._long = False  # that string is longer than STRING_BYTES_MAX
        self._escape = False  # the next byte belongs to a backslash

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        at = 0
        while at < len(data):
            kept = self._string
            at = self._outside(data, at) if kept is None else self._inside(data, at, kept)

    def _outside(self, data: bytes, at: int) -> int:
        """Copy or drop the bytes up to the next quote or bracket, then process that."""
        found = _STRUCTURE.search(data, at)
        end = found.start() if found else len(data)
        if not self._stack or self._stack[-1] < 0:
            self.out += data[at:end]  # commas, colons and numbers of an object
        if found is None:
            return end
        self._spend()
        sign = data[end : end + 1]
        if sign in b"]}":
            if not self._stack:
                raise PruningError("not JSON")
            self._stack.pop()
            self.out += sign
            return end + 1
        self._begin_element()
        if sign == b'"':
            self._string, self._long = bytearray(), False
        elif len(self._stack) == DEPTH_MAX:
            raise PruningError("nested too deeply")
        else:
            self._stack.append(0 if sign == b"[" else -1)
            self.out += sign
        return end + 1

    def _begin_element(self) -> None:
        """Put a comma before all but the first element: those of arrays were dropped."""
        if self._stack and self._stack[-1] >= 0:
            if self._stack[-1]:
                self.out += b","
            self._stack[-1] += 1

    def _inside(self, data: bytes, at: int, kept: bytearray) -> int:
        """Keep or drop the next piece of a string."""
        if self._escape:
            self._escape = False
            self._keep(kept, data[at : at + 1])
            return at + 1
        found = _STRING_END.search(data, at)
        end = found.start() if found else len(data)
        self._keep(kept, data[at:end])
        if found is None:
            return end
        self._spend()
        if data[end] == 0x5C:
            self._escape = True
            self._keep(kept, b"\\")
        else:
            self.out += b'"' + kept + b'"'
            self._string = None
        return end + 1

    def _spend(self) -> None:
        self._tokens += 1
        if self._tokens > TOKENS_MAX or len(self.out) > self._bytes_max:
            raise PruningError("too large")

    def _keep(self, kept: bytearray, piece: bytes) -> None:
        if not self._long and len(kept) + len(piece) > STRING_BYTES_MAX:
            self._long = True
            kept.clear()
        elif not self._long:
            kept += piece
