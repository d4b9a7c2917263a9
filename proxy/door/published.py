"""A file that the meter publishes, as a relay reads it: again once it has changed."""

import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Generic, TypeVar

import msgspec

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks for news
BYTES_MAX = 1024 * 1024  # the meter writes less

T = TypeVar("T")


class PublishedFile(Generic[T]):
    """`what` names it in a complaint, which is logged once.  `clock` is in seconds."""

    def __init__(
        self, path: Path, type: type[T], what: str, clock: Callable[[], float] = monotonic
    ) -> None:
        self._path, self._what = path, what
        self._clock = clock
        self._decoder = msgspec.json.Decoder(type)
        self._look_at = float("-inf")
        self._version = (0, 0)  # inode and time of change of what was read
        self._read: T | None = None
        self._complaint = ""

    def read(self) -> T | None:
        """What was published last, as far as it could be read; None: nothing yet."""
        now = self._clock()
        if now < self._look_at:
            return self._read
        self._look_at = now + LOOK_S
        try:
            stat = self._path.stat()
            version = (stat.st_ino, stat.st_mtime_ns)
            if version != self._version:
                with self._path.open("rb") as file:
                    self._read = self._decoder.decode(file.read(BYTES_MAX))
                self._version = version
        except FileNotFoundError:
            pass  # nothing was published yet; what was read grows stale
        except (OSError, msgspec.MsgspecError) as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("Cannot read %s (%s).", self._what, error)
        return self._read
