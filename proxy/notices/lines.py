"""A file of lines, each with its checksum: what was half written is recognised and left out."""

import zlib
from collections.abc import Iterator

DIGITS = 8  # of the CRC-32, in hexadecimal


def line(document: bytes) -> bytes:
    """`document`, which has no line break, as a line."""
    return b"%08x %s\n" % (zlib.crc32(document), document)


def documents(data: bytes) -> Iterator[bytes | None]:
    """The documents in `data`, in order; None for each line that is damaged or torn."""
    for each in data.split(b"\n"):
        digits, space, document = each[:DIGITS], each[DIGITS : DIGITS + 1], each[DIGITS + 1 :]
        if not each:
            continue
        whole = space == b" " and digits == b"%08x" % zlib.crc32(document)
        yield document if whole else None
