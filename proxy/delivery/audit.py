"""Delivers the audit log from its journal to the store."""

from exporters.audit import AuditEntry, decode
from exporters.record import Destination
from proxy.access.audit import Audit
from proxy.delivery.own_journal import OwnJournalDelivery
from proxy.settings.config import Config
from proxy.settings.places import Places


class AuditDelivery(OwnJournalDelivery[AuditEntry]):
    """`audit` writes the entries.  Raises OSError or ValueError if its state cannot be read."""

    def __init__(self, config: Config, exporter: Destination[AuditEntry]) -> None:
        super().__init__(config, exporter, Places(config.data).audit, decode)
        self.audit = self.journal = Audit(config, self.delivery.cursor.writer)

    def status(self) -> dict[str, object]:
        """For health."""
        return self.delivery.status()
