"""Says in the log what a journal cannot keep, and why: at once, then once a minute while it lasts.

A disk that refuses does so many times a second, and the counters have every one of them; the log
is for whoever reads it.
"""

import logging
from time import monotonic

log = logging.getLogger(__name__)

EVERY_S = 60.0


class Complaint:
    """What one writer has to complain about; `name` is its own in the lines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._why = ""
        self._frames = self._bytes = 0  # dropped, and not said yet
        self._said_at = -EVERY_S
        self._again = False  # whether there was trouble since the last line

    def because(self, why: str) -> None:
        """There is trouble: a sentence without its full stop, the newest of which is said."""
        self._why = why
        self._again = True
        self.speak()

    def dropped(self, size: int) -> None:
        """A frame of `size` bytes was not kept."""
        self._frames += 1
        self._bytes += size

    def speak(self) -> None:
        """Say what has come since the last line, unless that is less than a minute ago."""
        now = monotonic()
        if not (self._again or self._frames) or now - self._said_at < EVERY_S:
            return
        log.error(
            "Journal of %s: %s.  %s; calls go on.",
            self._name,
            self._why or "some frames could not be kept",
            f"{self._frames:,} frames ({self._bytes:,} bytes) were dropped since the last line"
            if self._frames
            else "Nothing was dropped so far",
        )
        self._said_at = now
        self._why, self._again = "", False
        self._frames = self._bytes = 0
