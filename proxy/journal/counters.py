"""Named counters in a memory-mapped page of a file, which can be written even on a full disk.

One process adds; any other may read, even after the writer is gone.  A counter's position in the
page is its position in `COUNTER_NAMES`: add names only at the end.
"""

import mmap
import os
import struct
from pathlib import Path

COUNTERS = "counters"  # the file's name in a writer's directory
# How late the relay's event loop was: ticks by upper bound, those beyond, and the sum.
LAG_BOUNDS_MS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
LAG_COUNTS = (*(f"lag_{ms}ms" for ms in LAG_BOUNDS_MS), "lag_longer")
LAG_SUM = "lag_us"
LAG = (*LAG_COUNTS, LAG_SUM)
COUNTER_NAMES = (
    "calls_begun",
    "calls_ended",
    "calls_lost",  # their first frame could not be written, so they will have no row
    "frames_dropped",
    "bytes_dropped",
    "write_errors",
    "segments",
    *LAG,
    "stale_connections",  # idle connections that a provider closed: no call was sent on them
)
_PLACES = {name: at for at, name in enumerate(COUNTER_NAMES)}
CALLS_BEGUN, CALLS_ENDED = _PLACES["calls_begun"], _PLACES["calls_ended"]


class Counters:
    """Named u64 counters in a small memory-mapped file.  Raises OSError if it cannot be made."""

    def __init__(self, path: Path) -> None:
        with path.open("x+b") as file:
            os.chmod(path, 0o600)
            file.write(bytes(mmap.PAGESIZE))
            file.flush()
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.values = memoryview(self._map).cast("Q")

    def add(self, name: str, by: int = 1) -> None:
        self.values[_PLACES[name]] += by

    def read(self) -> dict[str, int]:
        return _counters(self._map)

    def close(self) -> None:
        self.values.release()
        self._map.close()


def open_calls(values: memoryview) -> int:
    """The calls that begun and have not ended, by the values of a page."""
    begun: int = values[CALLS_BEGUN]
    ended: int = values[CALLS_ENDED]
    return begun - ended


def _counters(page: bytes | mmap.mmap) -> dict[str, int]:
    values = struct.unpack_from(f"={len(COUNTER_NAMES)}Q", page)
    return dict(zip(COUNTER_NAMES, values, strict=True))


def read_counters(writer: Path) -> dict[str, int]:
    """The counters of the writer in this directory; all zero if they cannot be read."""
    try:
        return _counters((writer / COUNTERS).read_bytes())
    except (OSError, struct.error):
        return dict.fromkeys(COUNTER_NAMES, 0)
