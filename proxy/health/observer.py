"""Everything that `/metrics` and OTLP metrics show, kept together as it happens."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from exporters.otel.call_metrics import Metrics
from exporters.otel.semconv import Profile
from exporters.record import Exporter, Record
from exporters.series import Family
from proxy.delivery import timed
from proxy.delivery.delivery import Delivery
from proxy.delivery.timed import Timed
from proxy.health import vitals
from proxy.journal.segments import Sizes
from proxy.settings.places import Places

log = logging.getLogger(__name__)


class Observer:
    """Adds up the records that the meter writes, and knows how far each exporter has come."""

    def __init__(
        self,
        data: Path,
        *,
        profile: Profile,
        names: Mapping[str, str],
        journals: Iterable[str],
    ) -> None:
        """`journals`: folders in `data`."""
        self._records = Places(data).records
        self._sizes = {name: Sizes(data / name) for name in journals}
        self._metrics = Metrics(profile, names)
        self._exporters: list[Timed] = []

    def timed(self, exporter: Exporter) -> Timed:
        """`exporter`, watched from now on."""
        self._exporters.append(Timed(exporter))
        return self._exporters[-1]

    def tell(self, record: Record) -> None:
        """Count a record that the meter has made.  Never raises: the record is what matters."""
        for exporter in self._exporters:
            exporter.expect(record)
        try:
            self._metrics.add(record)
        except Exception:  # nothing that is wrong with a sum may stop the metering
            log.exception("Call %s is missing from the metrics.", record.call_id)

    async def count_waiting(self, deliveries: Sequence[Delivery[Record]]) -> None:
        """Look once for what an earlier process left to deliver."""
        for exporter, delivery in zip(self._exporters, deliveries, strict=True):
            exporter.waiting += await asyncio.to_thread(
                timed.waiting, self._records, delivery.cursor
            )

    def journal_bytes(self) -> dict[str, int]:
        """What each journal holds on disk."""
        return {name: sizes.total() for name, sizes in self._sizes.items()}

    def status(self, exporter: str) -> dict[str, object]:
        """How far behind an exporter is."""
        return next(one.status() for one in self._exporters if one.name == exporter)

    def families(self, status: vitals.Status) -> list[Family]:
        """All metrics now but those of alerts; `status` is that of the parts of this process."""
        return vitals.merged(
            self._metrics.families(),
            *(exporter.families() for exporter in self._exporters),
            vitals.families(status),
        )
