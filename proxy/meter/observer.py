"""Everything that `/metrics` and OTLP metrics show, kept together as it happens."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from exporters.metrics import Metrics
from exporters.record import Exporter, Record
from exporters.semconv import Profile
from exporters.series import Family
from proxy.journal.segments import total_bytes
from proxy.meter import timed, vitals
from proxy.meter.delivery import Delivery
from proxy.meter.timed import Timed

log = logging.getLogger(__name__)


class Observer:
    """Adds up the records that the meter writes, and knows how far each exporter has come."""

    def __init__(
        self,
        data: Path,
        *,
        profile: Profile,
        names: Mapping[str, str],
        journals: Mapping[str, int],
    ) -> None:
        """`journals`: folders in `data`, with the bytes that each may hold."""
        self._journals = {name: data / name for name in journals}
        self._limits = journals
        self._metrics = Metrics(profile, names)
        self._exporters: list[Timed] = []

    def timed(self, exporter: Exporter) -> Timed:
        """`exporter`, watched from now on."""
        self._exporters.append(Timed(exporter))
        return self._exporters[-1]

    def tell(self, record: Record) -> None:
        """Count a record that the meter has made.  Never raises: the record is what matters."""
        for exporter in self._exporters:
            exporter.waiting += 1
        try:
            self._metrics.add(record)
        except Exception:  # nothing that is wrong with a sum may stop the metering
            log.exception("Call %s is missing from the metrics.", record.call_id)

    async def count_waiting(self, deliveries: Sequence[Delivery[Record]]) -> None:
        """Look once for what an earlier process left to deliver."""
        for exporter, delivery in zip(self._exporters, deliveries, strict=True):
            exporter.waiting += await asyncio.to_thread(
                timed.waiting, self._journals["records"], delivery.cursor
            )

    def families(self, status: vitals.Status) -> list[Family]:
        """All metrics now; `status` is that of the parts of this process."""
        sizes = {name: total_bytes(path) for name, path in self._journals.items()}
        return vitals.merged(
            self._metrics.families(),
            *(exporter.families() for exporter in self._exporters),
            vitals.families(status, sizes, self._limits),
        )
