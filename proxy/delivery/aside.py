"""The file of rows that an exporter will never accept: as many as fit, the others are counted."""

import errno
import os
from pathlib import Path

ASIDE_BYTES_MAX = 64 * 1024 * 1024


def keep_aside(path: Path, line: bytes) -> None:
    """Append `line`, unless the file is full.  Raises OSError, and then leaves no part of it."""
    size = path.stat().st_size if path.exists() else 0
    if size + len(line) > ASIDE_BYTES_MAX:
        return
    with open(path, "ab", buffering=0, opener=_private) as file:
        if file.write(line) != len(line):
            file.truncate(size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
