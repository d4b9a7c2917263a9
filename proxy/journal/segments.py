"""How a journal lies on disk: writers' directories, their segments, their locks."""

import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

LOCK = "lock"  # held by the writer for its life
STAMP = "%Y%m%dT%H%M%S.%f"
STAMP_CHARS = 22


def segment_name(number: int) -> str:
    """The file of a writer's segment; they count from 1."""
    return f"{number:010}.seg"


def segments(writer: Path) -> list[int]:
    """The numbers of the segments that are there, in order."""
    try:
        return sorted(int(name[:-4]) for name in os.listdir(writer) if name.endswith(".seg"))
    except FileNotFoundError:
        return []


def writer_name(directory: Path, name: str, after: str = "") -> str:
    """`<start time>-<name>-<random>`, sorting after all writers there and after `after`.

    Readers go by that order, so a clock that was set back must not undo it.
    """
    stamp = f"{datetime.now(UTC):{STAMP}}"
    with suppress(FileNotFoundError):
        after = max(after, *(entry.lstrip(".") for entry in os.listdir(directory)), "")
    if stamp <= (last := after[:STAMP_CHARS]):
        with suppress(ValueError):  # not a name of ours
            latest = datetime.strptime(last, STAMP).replace(tzinfo=UTC)
            stamp = f"{latest + timedelta(microseconds=1):{STAMP}}"
    return f"{stamp}-{name}-{secrets.token_hex(3)}"


def total_bytes(directory: Path) -> int:
    """What all writers under `directory` hold on disk."""
    total = 0
    with suppress(OSError):
        for writer in os.scandir(directory):
            with suppress(OSError):
                total += sum(entry.stat().st_size for entry in os.scandir(writer.path))
    return total
