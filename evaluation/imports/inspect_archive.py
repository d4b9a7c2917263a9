"""Logs of Inspect as it writes them: `.eval`, a ZIP archive with a file for each sample.

Its members are compressed with Zstandard, which `zipfile` does not know before Python 3.14: only
the directory is read with it.  What is unpacked is limited, whatever the archive says of itself.
"""

import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any
from zlib import crc32

import msgspec
import zstandard

from evaluation.imports.imported import NotReadable

SIGNATURE = b"PK\x03\x04"
SAMPLES = "samples/"
HEADERS = ("header.json", "_journal/start.json")  # the second if it was cut off
MEMBERS_MAX = 1_000_000
MEMBER_BYTES_MAX = 512 * 1024 * 1024
TOTAL_BYTES_MAX = 8 * 1024 * 1024 * 1024
_ZSTANDARD = 93  # APPNOTE 6.3.7, 4.4.5
_LOCAL_HEADER_BYTES = 30  # then a name and an extra field, whose lengths are in it: 4.3.7


class Archive:
    """A log.  Raises NotReadable if it is none, here and whenever something is read."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._left = TOTAL_BYTES_MAX
        try:
            self._zip = zipfile.ZipFile(BytesIO(content))
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise NotReadable(f"not a whole ZIP archive: {error}") from error
        # A sample that was run again is there twice, and the last one counts.
        self._members = self._zip.NameToInfo
        if len(self._members) > MEMBERS_MAX:
            raise NotReadable(f"more than {MEMBERS_MAX:,} files in the archive")

    def header(self) -> Mapping[str, Any]:
        """All of the log but its samples."""
        name = next((name for name in HEADERS if name in self._members), "")
        if not name:
            raise NotReadable("a ZIP archive, but not a log of Inspect: it has no header.json")
        return self._document(name)

    def samples(self) -> Iterator[Mapping[str, Any]]:
        """The samples, one after the other."""
        for name in self._members:
            if name.startswith(SAMPLES) and name.endswith(".json"):
                yield self._document(name)

    def _document(self, name: str) -> Mapping[str, Any]:
        try:
            found: Any = msgspec.json.decode(self._unpacked(self._members[name]))
        except (msgspec.DecodeError, RecursionError) as error:
            raise NotReadable(f"{name} in the archive is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise NotReadable(f"{name} in the archive is not a JSON object")
        return found

    def _unpacked(self, member: zipfile.ZipInfo) -> bytes:
        limit = min(MEMBER_BYTES_MAX, self._left)
        try:
            if member.compress_type == _ZSTANDARD:
                packed = BytesIO(self._packed(member))
                with zstandard.ZstdDecompressor().stream_reader(
                    packed, read_across_frames=True
                ) as stream:
                    data = stream.read(limit + 1)
            else:
                with self._zip.open(member) as file:
                    data = file.read(limit + 1)
        except (zipfile.BadZipFile, zstandard.ZstdError, NotImplementedError, EOFError) as error:
            raise NotReadable(f"{member.filename} in the archive is damaged: {error}") from error
        if len(data) > limit:
            raise NotReadable(f"{member.filename} in the archive is too large")
        if crc32(data) != member.CRC:
            raise NotReadable(f"{member.filename} in the archive is damaged")
        self._left -= len(data)
        return data

    def _packed(self, member: zipfile.ZipInfo) -> bytes:
        at = member.header_offset
        head = self._content[at : at + _LOCAL_HEADER_BYTES]
        if head[:4] != SIGNATURE or len(head) < _LOCAL_HEADER_BYTES:
            raise zipfile.BadZipFile("no header where the directory says")
        start = at + _LOCAL_HEADER_BYTES
        start += int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        return self._content[start : start + member.compress_size]
