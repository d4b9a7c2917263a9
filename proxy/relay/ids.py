"""Ids of calls."""

import os

IDS_AT_ONCE = 64
VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}  # RFC 9562, 4.1


class CallIds:
    """UUIDv7 (RFC 9562, 5.7): sorts by time, unique without coordination.

    The kernel is asked for the random bits of many at a time.
    """

    def __init__(self) -> None:
        self._random: list[str] = []  # 19 hexadecimal digits for each of the next ids

    def new(self, wall_ns: int) -> str:
        if not self._random:
            digits = os.urandom(IDS_AT_ONCE * 10).hex()
            self._random = [digits[at : at + 19] for at in range(0, len(digits), 20)]
        ms, bits = f"{wall_ns // 1_000_000:012x}", self._random.pop()
        return f"{ms[:8]}-{ms[8:]}-7{bits[:3]}-{VARIANT[bits[3]]}{bits[4:7]}-{bits[7:]}"
