"""Ids of calls."""

import os


def new_call_id(wall_ns: int) -> str:
    """A UUIDv7 (RFC 9562, 5.7): sorts by time, unique without coordination."""
    random = int.from_bytes(os.urandom(10))
    value = (wall_ns // 1_000_000) << 80 | 7 << 76 | (random >> 68) << 64
    value |= 0b10 << 62 | random & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
