"""How many spans go into one request: halved after a timeout, grown again on success.  Pure.

A receiver that takes longer for a request than the timeout allows never accepts it, however often
it is sent.  Its spans may have arrived all the same; sent again, they have the same ids.
"""

SPANS_MAX = 512  # in one request, as in the SDK: rarely too large, so rarely encoded twice
GROW_AFTER = 4  # successes in a row, so that few requests are sent in vain at the limit


class Pace:
    """`size` is the number of spans for the next request."""

    def __init__(self) -> None:
        self.size = SPANS_MAX
        self._successes = 0

    def halve(self, sent: int) -> None:
        """A request of `sent` spans timed out."""
        self.size = max(1, sent // 2)
        self._successes = 0

    def grow(self) -> None:
        """A request was accepted."""
        if self.size == SPANS_MAX:
            return
        self._successes += 1
        if self._successes == GROW_AFTER:
            self._successes = 0
            self.size = min(SPANS_MAX, self.size + max(1, self.size // 4))
