"""Logs what a journal cannot keep, and why: at once, then once a minute while it lasts.

A disk that fails does so many times a second.  The counters have every failure; the log is for
people.
"""

import logging
from time import monotonic

log = logging.getLogger(__name__)

EVERY_S = 60.0
# Promises nothing: what is dropped a moment later is told a minute later.
HELD = "Rows and small calls are held in memory; larger ones lose their usage until this is fixed"


class Complaint:
    """What one writer has to report; `name` is the writer's in the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._why = ""
        self._frames = self._bytes = 0  # dropped, and not reported yet
        self._said_at = -EVERY_S
        self._again = False  # whether there was trouble since the last report

    def because(self, why: str) -> None:
        """Report trouble: a sentence without its full stop, of which the newest is logged."""
        self._why = why
        self._again = True
        self.speak()

    def dropped(self, size: int) -> None:
        """Report that a frame of `size` bytes was not kept."""
        self._frames += 1
        self._bytes += size

    def speak(self) -> None:
        """Log what is new since the last report, unless that is less than a minute ago."""
        now = monotonic()
        if not (self._again or self._frames) or now - self._said_at < EVERY_S:
            return
        log.error(
            "Journal of %s: %s.  %s.  Calls are still forwarded.",
            self._name,
            self._why or "some frames were not kept",
            f"Frames dropped since the last report: {self._frames:,} ({self._bytes:,} bytes)"
            if self._frames
            else HELD,
        )
        self._said_at = now
        self._why, self._again = "", False
        self._frames = self._bytes = 0
