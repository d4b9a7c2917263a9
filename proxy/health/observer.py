"""Collects everything that `/metrics` and OTLP metrics show."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from exporters.otel.call_metrics import Metrics
from exporters.otel.semconv import Profile
from exporters.record import Exporter, Record
from exporters.series import Family
from proxy.delivery import lag
from proxy.delivery.delivery import Delivery
from proxy.delivery.lag import MeasuredExporter
from proxy.health import vitals
from proxy.health.relays import Relays
from proxy.journal.segments import Sizes
from proxy.settings.places import Places

log = logging.getLogger(__name__)


class Observer:
    """Adds up the records that the meter writes, and knows how far behind each exporter is."""

    def __init__(
        self,
        data: Path,
        *,
        profile: Profile,
        names: Mapping[str, str],
        journals: Iterable[str],
    ) -> None:
        """`journals` are the names of folders in `data`."""
        self._records = Places(data).records
        self.relays = Relays(Places(data).calls)
        self._sizes = {name: Sizes(data / name) for name in journals}
        self._metrics = Metrics(profile, names)
        self._exporters: list[MeasuredExporter] = []

    def measured(self, exporter: Exporter) -> MeasuredExporter:
        """`exporter`, wrapped to measure how far behind it is."""
        self._exporters.append(MeasuredExporter(exporter))
        return self._exporters[-1]

    def observe(self, record: Record) -> None:
        """Count a new record.  Never raises: the record matters more than the metrics."""
        for exporter in self._exporters:
            exporter.expect(record)
        try:
            self._metrics.add(record)
        except Exception:  # a fault in the metrics must not stop metering
            log.exception("Failed to count call %s in the metrics.", record.call_id)

    async def count_waiting(self, deliveries: Sequence[Delivery[Record]]) -> None:
        """Count the records that an earlier process left undelivered; call once, at start."""
        for exporter, delivery in zip(self._exporters, deliveries, strict=True):
            exporter.waiting += await asyncio.to_thread(lag.waiting, self._records, delivery.cursor)

    def journal_bytes(self) -> dict[str, int]:
        """Size of each journal on disk."""
        return {name: sizes.total() for name, sizes in self._sizes.items()}

    def status(self, exporter: str) -> dict[str, object]:
        """How far behind an exporter is."""
        return next(one.status() for one in self._exporters if one.name == exporter)

    def families(self, status: vitals.Status) -> list[Family]:
        """All current metrics except those of alerts; `status` is as `/api/health` shows it."""
        return vitals.merged(
            self._metrics.families(),
            *(exporter.families() for exporter in self._exporters),
            vitals.families(status),
        )
