"""Takes samples of this meter and of its budgets, and writes them every minute.

They are for looking back.  While the store is away the newest are kept, and the oldest are lost.
"""

import asyncio
import logging
import resource
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from exporters.clickhouse.samples import Sample
from exporters.record import PermanentError, TransientError
from proxy.budgets.samples import budget_samples
from proxy.health.samples import node_sample
from proxy.health.vitals import Status

EVERY_S = 10.0  # between two samples of the meter
WRITE_EVERY = 6  # samples of the meter; with each write goes one of the budgets
KEPT_MAX = 3_000  # samples while the store is away
PAGE_BYTES = resource.getpagesize()
STATM = Path("/proc/self/statm")

log = logging.getLogger(__name__)


class Writes(Protocol):
    """The part of `exporters.clickhouse.samples.SamplesTable` that is needed."""

    async def write(self, samples: Sequence[Sample]) -> None: ...


class Samples:
    """`alerts` gives what `/api/alerts` shows, `budgets` what `/api/budgets` does."""

    def __init__(
        self,
        table: Writes,
        node: str,
        *,
        status: Callable[[], Status],
        alerts: Callable[[], Mapping[str, object]],
        budgets: Callable[[], Sequence[Mapping[str, Any]]],
    ) -> None:
        self._table, self._node = table, node
        self._status, self._alerts, self._budgets = status, alerts, budgets
        self._before: Status = {}
        self._kept: deque[Sample] = deque(maxlen=KEPT_MAX)

    async def run(self) -> None:
        """Until cancelled.  Nothing here raises into the meter."""
        while True:
            for _ in range(WRITE_EVERY):
                with suppress(OSError):  # of reading our own size
                    self.look(datetime.now(UTC))
                await asyncio.sleep(EVERY_S)
            self._kept += budget_samples(self._budgets(), at=datetime.now(UTC), node=self._node)
            await self.write()

    def look(self, at: datetime) -> None:
        """Take a sample of the meter."""
        firing = self._alerts().get("firing")
        alerts = list(firing) if isinstance(firing, Sequence) else []
        status = self._status()
        self._kept.append(
            node_sample(
                status,
                self._before,
                at=at,
                node=self._node,
                severities=[str(alert.severity) for alert in alerts],
                alerts=[str(alert.name) for alert in alerts],
                used=used(),
            )
        )
        self._before = status

    async def write(self) -> None:
        """Write what was taken; what the store does not accept is tried again."""
        taken = list(self._kept)
        try:
            await self._table.write(taken)
        except TransientError:
            return
        except PermanentError as error:
            log.error("Samples were dropped: %s", error)
        for _ in taken:
            self._kept.popleft()


def used() -> tuple[int, float]:
    """Bytes of memory and seconds of CPU time of this process.  Raises OSError."""
    times = resource.getrusage(resource.RUSAGE_SELF)
    resident = int(STATM.read_text(encoding="ascii").split()[1])
    return resident * PAGE_BYTES, times.ru_utime + times.ru_stime
