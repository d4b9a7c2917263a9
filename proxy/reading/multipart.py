"""The plain fields of a multipart/form-data request, without its files.  Sans-I/O.

RFC 7578.  A transcription names its model in one field and has megabytes of audio in another.
"""

import re

FIELDS_MAX = 64
FIELD_BYTES_MAX = 64 * 1024  # kept of a value; a longer one is cut
HEADER_BYTES_MAX = 16 * 1024  # of one part

_NAME = re.compile(rb'[;\s]name="?([^";\r\n]*)', re.IGNORECASE)
_FILENAME = re.compile(rb"[;\s]filename\*?=", re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary="?([^";,]+)', re.IGNORECASE)


def boundary_of(content_type: str) -> bytes:
    """The boundary in a multipart content type; b"" for any other type."""
    found = _BOUNDARY.search(content_type)
    multipart = content_type.strip().lower().startswith("multipart/form-data")
    return found[1].strip().encode("latin-1", "replace") if multipart and found else b""


class Multipart:
    """Takes the body; `close` returns the fields: text by name, `{"bytes": size}` for files."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._held = bytearray(b"\r\n")  # makes the first delimiter look like the others
        self._fields: dict[str, object] = {}
        self._in_head = False
        self._name: str | None = None  # of the current part; None outside of one
        self._is_file = False
        self.files = False  # a part was a file, whose content is not kept
        self._value = bytearray()
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._held += data
        while self._head() if self._in_head else self._body():
            pass

    def close(self) -> dict[str, object]:
        """The fields; a part that was cut is left out."""
        return self._fields

    def _body(self) -> bool:
        """Read up to the next delimiter; returns whether there was one."""
        at = self._held.find(self._delimiter)
        end = at if at >= 0 else max(0, len(self._held) - len(self._delimiter) + 1)
        self._size += end
        if not self._is_file:
            self._value += self._held[: min(end, FIELD_BYTES_MAX - len(self._value))]
        if at < 0:
            del self._held[:end]
            return False
        del self._held[: at + len(self._delimiter)]
        if self._name is not None and len(self._fields) < FIELDS_MAX:
            value = (
                {"bytes": self._size} if self._is_file else self._value.decode("utf-8", "replace")
            )
            self._fields[self._name] = value
        self._in_head = True
        return True

    def _head(self) -> bool:
        """Read the headers of a part; returns whether they are complete."""
        at = self._held.find(b"\r\n\r\n")
        if at < 0:
            del self._held[: max(0, len(self._held) - HEADER_BYTES_MAX)]
            return False
        head = bytes(self._held[:at])
        del self._held[: at + 4]
        name = _NAME.search(head)
        self._name = name[1].decode("utf-8", "replace") if name else None
        self._is_file = _FILENAME.search(head) is not None
        self.files = self.files or self._is_file
        self._value, self._size, self._in_head = bytearray(), 0, False
        return True
