"""Turns a decoded document into bounded, redacted JSON.  No I/O.

Patterns over raw bytes would miss secrets: escaped as \\u0040, split over events, or in JSON inside
a JSON string.  So values are redacted after decoding, each as a whole.  What does not fit is left
out visibly: the first elements of an array (the last messages of a chat are the new ones), the
largest values of an object, the end of a text.  The result depends on the value alone.
"""

import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from proxy.dialects.contract import Json
from proxy.reading.document import decode
from proxy.secrecy.kinds import CREDENTIAL
from proxy.secrecy.patterns import HIDDEN, is_secret
from proxy.secrecy.redaction import Redactor

DEPTH_MAX = 64  # of nested containers
NESTED_MAX = 3  # levels of JSON inside JSON strings
NESTED_CHARS_MAX = 1024 * 1024
KEY_CHARS_MAX = 256
BULK_CHARS_MIN = 1_024  # of base64: an image, audio, encrypted reasoning
ROOM_MIN = 64  # bytes; a container with less room is left out completely
NOTE_BYTES = 48  # at most, of a note that says how much was left out
CUT = "[cut]"

_BULK = re.compile(
    r"(?:data:[\w.+-]{1,64}/[\w.+-]{1,64}(?:;[\w=.+-]{1,64})*,)?"
    rf"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{{{BULK_CHARS_MIN},}}"
)
_number = msgspec.json.Encoder(decimal_format="number").encode
_encode = msgspec.json.encode


class Walker:
    """Takes the documents of one call; adds its redactions to `counts`, by kind."""

    def __init__(self, redactor: Redactor, counts: dict[str, int]) -> None:
        self._redactor = redactor
        self._counts = counts
        self._steps = 0
        self.cut = False  # part of the last document was left out

    def document(self, value: Json, bytes_max: int) -> str:
        """`value` as JSON of at most `bytes_max` bytes, which is at least `ROOM_MIN`."""
        self.cut = False
        self._steps = bytes_max  # values that may still be measured: bounds the work
        return self._value(value, bytes_max, 0).decode()

    def text(self, text: str, bytes_max: int) -> str:
        """`text` itself, not as JSON, in at most `bytes_max` bytes of UTF-8."""
        self.cut = False
        text = self._redacted(text, bytes_max)
        if len(text.encode()) <= bytes_max:
            return text
        self.cut = True
        return text.encode()[: max(0, bytes_max - len(CUT))].decode("utf-8", "ignore") + CUT

    def _value(self, value: Json, room: int, depth: int, nested: int = 0) -> bytes:
        if isinstance(value, str):
            return self._string(value, room, depth, nested)
        if isinstance(value, dict | list) and value:
            if room < ROOM_MIN or depth >= DEPTH_MAX:
                self.cut = True
                return _encode(CUT)
            if isinstance(value, dict):
                return self._object(value, room, depth, nested)
            return self._array(value, room, depth, nested)
        data = _number(value)
        if len(data) <= room:
            return data
        self.cut = True
        return _encode(CUT)

    def _array(self, value: list[Json], room: int, depth: int, nested: int) -> bytes:
        """Last elements first; each may take all the room that is left."""
        room -= 2
        parts: list[bytes] = []
        for index in range(len(value) - 1, -1, -1):
            free = room - 1 - (NOTE_BYTES if index else 0)
            if free < (ROOM_MIN if parts else len(CUT) + 2):
                self.cut = True
                parts.append(_encode(f"[{index + 1} earlier left out]"))
                break
            parts.append(self._value(value[index], free, depth + 1, nested))
            room -= len(parts[-1]) + 1
        return b"[" + b",".join(reversed(parts)) + b"]"

    def _object(self, value: dict[str, Json], room: int, depth: int, nested: int) -> bytes:
        """Small values first; each gets its share of the room and what earlier ones left over."""
        room -= 2 + NOTE_BYTES
        order = sorted(value, key=lambda key: self._size(value[key], room))
        parts: dict[str, bytes] = {}
        names: dict[str, bytes] = {}
        for number, key in enumerate(order):
            name = self._key(key, names)
            free = room // (len(order) - number) - len(name) - 2
            if free < len(CUT) + 2:
                self.cut = True
                continue
            names[key] = name
            parts[key] = self._member(key, value[key], free, depth, nested)
            room -= len(name) + len(parts[key]) + 2
        members = [names[key] + b":" + parts[key] for key in value if key in parts]
        if len(members) < len(value):
            members.append(b'"[left out]":%d' % (len(value) - len(members)))
        return b"{" + b",".join(members) + b"}"

    def _key(self, key: str, taken: Mapping[str, bytes]) -> bytes:
        """The redacted key; if redaction made it equal to another, it gets a number."""
        name, cut = self._redactor.redact(key, self._counts, KEY_CHARS_MAX)
        self.cut |= cut
        data = _encode(name)
        if name == key or data not in taken.values():
            return data
        return _encode(f"{name} {len(taken)}")

    def _member(self, key: str, value: Json, room: int, depth: int, nested: int) -> bytes:
        if value is None or isinstance(value, bool) or not is_secret(key.lower()):
            return self._value(value, room, depth + 1, nested)
        if value != HIDDEN:
            self._counts[CREDENTIAL] = self._counts.get(CREDENTIAL, 0) + 1
        return _encode(HIDDEN)

    def _string(self, value: str, room: int, depth: int, nested: int) -> bytes:
        if value[:1] in ("{", "[") and nested < NESTED_MAX and len(value) <= NESTED_CHARS_MAX:
            with suppress(ValueError):
                return self._nested(decode(value.encode("utf-8", "replace")), room, depth, nested)
        text = self._redacted(value, room)
        data = _encode(text)
        if len(data) <= room:
            return data
        self.cut = True
        low, high = 0, min(len(text), room)  # of characters that fit
        while low < high:
            middle = (low + high + 1) // 2
            fits = len(_encode(text[:middle] + CUT)) <= room
            low, high = (middle, high) if fits else (low, middle - 1)
        return _encode(text[:low] + CUT)

    def _nested(self, value: Json, room: int, depth: int, nested: int) -> bytes:
        """JSON inside a string, such as the arguments of a tool."""
        before = self.cut
        for free in (room - 2, room // 2 - 2):  # quotes and backslashes double
            self.cut = before
            data = _encode(self._value(value, max(free, 0), depth + 1, nested + 1).decode())
            if len(data) <= room:
                return data
        self.cut = True
        return _encode(CUT)

    def _redacted(self, text: str, room: int) -> str:
        """`text` redacted and without bulk data; not much longer than the room."""
        head = text[: 2 * BULK_CHARS_MIN]
        if len(text) > len(head) and (found := _BULK.match(head)) and found.end() == len(head):
            return f"[{len(text)} characters of data]"
        if len(text) >= BULK_CHARS_MIN:
            self.cut |= len(text) > (looked := 2 * room + NESTED_CHARS_MAX)
            text = _BULK.sub(_note, text[:looked])
        text, cut = self._redactor.redact(text, self._counts, room)
        self.cut |= cut
        return text

    def _size(self, value: Json, most: int) -> int:
        """About how many bytes `value` takes; counting stops soon after `most`."""
        if isinstance(value, str):
            return len(value) + 2
        if not isinstance(value, dict | list):
            return 4
        size = 2
        for part in reversed(value) if isinstance(value, list) else value.items():
            self._steps -= 1
            if self._steps < 0 or size > most:
                return most + 1
            if isinstance(part, tuple):
                size += len(part[0]) + 4
                part = part[1]  # noqa: PLW2901 — the value of the pair
            size += self._size(part, most - size)
        return size


def _note(found: re.Match[str]) -> str:
    return f"[{len(found[0])} characters of data]"
