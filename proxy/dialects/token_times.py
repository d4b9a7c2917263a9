"""When tokens arrived, in bounded memory.

A proxy sees chunks: tokens that arrive at the same instant count as one arrival, and a gap is the
time between two arrivals.  Percentiles come from a histogram whose buckets grow by 2 %, which is
their precision.
"""

import math

from proxy.exchange import Timing

GROWTH = math.log(1.02)
BUCKET_MAX = 2_500  # 1.02**2500 microseconds are 10**15 years: a bound if a clock jumps


class TokenTimes:
    """Collects arrival times, in ns since the call began."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._first_visible: int | None = None
        self._last: int | None = None
        self._gaps: dict[int, int] = {}  # bucket → how many; at most BUCKET_MAX buckets
        self._gap_max_us = 0

    def token(self, at_ns: int, *, visible: bool = True) -> None:
        """Record a document with generated tokens; reasoning is not visible to a user."""
        if self._last is not None and at_ns != self._last:
            gap_us = max(0, at_ns - self._last) // 1000
            bucket = 0 if gap_us < 1 else min(1 + int(math.log(gap_us) / GROWTH), BUCKET_MAX)
            self._gaps[bucket] = self._gaps.get(bucket, 0) + 1
            self._gap_max_us = max(self._gap_max_us, gap_us)
        if self._first is None:
            self._first = at_ns
        if visible and self._first_visible is None:
            self._first_visible = at_ns
        self._last = at_ns

    @property
    def any(self) -> bool:
        """Whether any token arrived."""
        return self._first is not None

    def timing(self) -> Timing:
        """The timing so far."""
        return Timing(
            first_token_ns=self._first,
            first_visible_ns=self._first_visible,
            last_token_ns=self._last,
            gap_p50_us=self._percentile(0.50),
            gap_p95_us=self._percentile(0.95),
            gap_max_us=self._gap_max_us if self._gaps else None,
        )

    def _percentile(self, share: float) -> int | None:
        """The lower edge of the bucket with the gap of this rank (nearest rank)."""
        rank = math.ceil(share * sum(self._gaps.values()))
        for bucket in sorted(self._gaps):
            rank -= self._gaps[bucket]
            if rank <= 0:
                low = 0 if bucket == 0 else round(math.exp((bucket - 1) * GROWTH))
                return min(low, self._gap_max_us)
        return None
