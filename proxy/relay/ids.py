"""Ids of calls."""

import os

IDS_AT_ONCE = 64
# RFC 9562, 4: what the first byte of the version's field and that of the variant's become.
VERSION = bytes(byte & 0x0F | 0x70 for byte in range(256))
VARIANT = bytes(byte & 0x3F | 0x80 for byte in range(256))


class CallIds:
    """UUIDv7 (RFC 9562, 5.7): sorts by time, unique without coordination.

    The kernel is asked for the random bits of many at a time.
    """

    def __init__(self) -> None:
        self._ends: list[str] = []  # of the next ids
        self._ms = -1
        self._begin = ""  # of an id of this millisecond

    def new(self, wall_ns: int) -> str:
        if not self._ends:
            self._ends = _ends()
        ms = wall_ns // 1_000_000
        if ms != self._ms:
            digits = f"{ms:012x}"
            self._ms, self._begin = ms, f"{digits[:8]}-{digits[8:]}-"
        return self._begin + self._ends.pop()


def _ends() -> list[str]:
    """Ten bytes each, random but for version and variant."""
    data = bytearray(os.urandom(IDS_AT_ONCE * 10))
    data[0::10] = data[0::10].translate(VERSION)
    data[2::10] = data[2::10].translate(VARIANT)
    digits = data.hex()
    return [
        f"{digits[at : at + 4]}-{digits[at + 4 : at + 8]}-{digits[at + 8 : at + 20]}"
        for at in range(0, len(digits), 20)
    ]
