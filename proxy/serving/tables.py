"""All that writes to the store and reads from it, and how the end waits for it."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from exporters.clickhouse.among_meters import AmongMeters
from exporters.clickhouse.audit import AuditTable
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.contents import Contents
from exporters.clickhouse.erasing import Erasing
from exporters.clickhouse.evaluations import Evaluations
from exporters.clickhouse.evidence import EvidenceTable
from exporters.clickhouse.feedback import FeedbackTable
from exporters.clickhouse.samples import SamplesTable
from exporters.clickhouse.store import Store
from proxy.settings.config import Config
from proxy.settings.places import store_dsn
from proxy.settings.retention import shortest_days, table_days

log = logging.getLogger(__name__)

CLOSE_S = 5.0  # for running work to finish at the end


class Closes(Protocol):
    """Something that holds connections."""

    async def close(self) -> None: ...


class Tables:
    """The store, and each table with a writer of its own.  Each connects when it is first used.

    `rows` is closed by its delivery.  Raises what they raise.
    """

    def __init__(self, config: Config) -> None:
        rows_days, content_days = table_days(config)
        dsn, database = store_dsn(config), config.store.database
        self.rows = ClickHouse(
            dsn,
            database=database,
            ttl_days=rows_days,
            content_ttl_days=content_days,
            checked_days=shortest_days(config),
        )
        self.store = Store(dsn, database=database)
        self.contents = Contents(dsn, database=database)
        self.among = AmongMeters(dsn, database=database)
        self.audit = AuditTable(dsn, database=database)
        self.evaluations = Evaluations(dsn, database=database)
        self.feedback = FeedbackTable(dsn, database=database)
        self.samples = SamplesTable(dsn, database=database)
        self.evidence = EvidenceTable(dsn, database=database)
        self.erasing = Erasing(dsn, database=database)

    async def close(self) -> None:
        """Wait for the inserts in flight, then disconnect."""
        evidence = (self.audit, self.evidence, self.erasing)
        others = (self.evaluations, self.feedback, self.samples, self.store)
        for one in (self.contents, self.among, *evidence, *others):
            await one.close()


async def closed(parts: Sequence[Closes]) -> None:
    """Close them in order; if one hangs, end the process, as what it holds is kept on disk."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            for part in parts:
                await part.close()
            return
    log.warning("The store or the collector hangs; exiting anyway.  Rows are kept.")
    sys.stderr.flush()
    os._exit(0)  # Python would wait for threads that are stuck
