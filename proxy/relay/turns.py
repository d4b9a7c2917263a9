"""Whether a response runs on a WebSocket: what is said on it tells.  No I/O.

On a socket that nobody here can read, a second of silence does.
"""

import re

from proxy.exchange import Kind

SILENCE_NS = 1_000_000_000
# OpenAI's realtime and Responses sockets, and Gemini's live ones.
_BEGINS = re.compile(rb'"type"\s*:\s*"response\.created"|"modelTurn"')
_ENDS = re.compile(
    rb'"type"\s*:\s*"(?:response\.(?:done|completed|failed|incomplete|cancelled)|error)"'
    rb'|"turnComplete"\s*:\s*true'
)


class Turn:
    """Of one socket; the clock is that of `time.monotonic_ns`."""

    __slots__ = ("_readable", "_runs", "_said_ns")

    def __init__(self, now_ns: int) -> None:
        self._readable = self._runs = False
        self._said_ns = now_ns

    def note(self, kind: Kind, payload: bytes, now_ns: int) -> None:
        """A message passed."""
        self._said_ns = now_ns
        if kind is Kind.MESSAGE_DOWN:
            if _ENDS.search(payload):
                self._readable, self._runs = True, False
            elif _BEGINS.search(payload):
                self._readable = self._runs = True

    def is_over(self, now_ns: int) -> bool:
        """Whether no response runs, as far as can be told."""
        return not self._runs and (self._readable or now_ns - self._said_ns > SILENCE_NS)
