"""The tables that the meter's process writes besides rows of calls, each on its own thread."""

from exporters.clickhouse.among_meters import AmongMeters
from exporters.clickhouse.audit import AuditTable
from exporters.clickhouse.contents import Contents
from exporters.clickhouse.evaluations import Evaluations
from exporters.clickhouse.feedback import FeedbackTable
from exporters.clickhouse.samples import SamplesTable


class Tables:
    """Raises ValueError for an invalid DSN."""

    def __init__(self, dsn: str, database: str) -> None:
        self.contents = Contents(dsn, database=database)
        self.among = AmongMeters(dsn, database=database)
        self.audit = AuditTable(dsn, database=database)
        self.evaluations = Evaluations(dsn, database=database)
        self.feedback = FeedbackTable(dsn, database=database)
        self.samples = SamplesTable(dsn, database=database)

    async def close(self) -> None:
        """Wait for inserts in flight, then disconnect."""
        first = (self.contents, self.among, self.audit)
        for part in (*first, self.evaluations, self.feedback, self.samples):
            await part.close()
