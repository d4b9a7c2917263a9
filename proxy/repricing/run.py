"""Reprices stored calls page by page and writes corrections.

Exactly once: a page of corrections is on disk before it is sent, and is sent again under the same
token after a crash, so that the table and the rollups get all of it once.  An interrupted run has
written complete pages; the next one does the rest.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import time_ns
from typing import Protocol

import msgspec

from exporters.clickhouse.corrections import (
    Correction,
    Corrections,
    RowPosition,
    counted,
    counted_in_rows,
    hours,
    page,
)
from exporters.clickhouse.store import Store
from exporters.record import EPOCH, TransientError
from pricing import TariffBook
from proxy.instants import instant
from proxy.journal.disk import write_atomically
from proxy.metering.book import tariff_book
from proxy.metering.volumes import CounterSums
from proxy.repricing.differences import Differences
from proxy.repricing.repricer import Ledger, Repricer, StoredCall
from proxy.settings.config import Config
from proxy.settings.places import Places

PAGE_ROWS = 1_000
HOUR_US = 3_600_000_000

OnProgress = Callable[[int, int], Awaitable[None]]  # calls done, calls in all


class RepriceOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to reprice.  `book`: only if the tariffs still have this version."""

    since: str
    until: str = ""
    tariffs: str = ""  # a directory to overlay on the others
    write: bool = False
    book: str = ""


class Corrects(Protocol):
    """The part of `exporters.clickhouse.clickhouse.ClickHouse` that is needed."""

    async def correct(self, corrections: Corrections) -> None: ...


class Repricing:
    """Reprices the calls of one store.

    `run` and `finish` raise TransientError if the store does not answer, or during another run.
    """

    def __init__(self, config: Config, store: Store, clickhouse: Corrects) -> None:
        self._config = config
        self._store = store
        self._clickhouse = clickhouse
        self._places = Places(config.data)
        self._places.state.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def run(self, order: RepriceOrder, on_progress: OnProgress) -> dict[str, object]:
        """The differences, and how many corrections were written.

        No tariff decides the price of `kept` calls; the receipts of `unreadable` ones are damaged.
        Raises ValueError for an invalid order or invalid tariffs, OSError if the tariffs cannot be
        read or the state cannot be written.
        """
        now = datetime.now(UTC)
        since = instant(order.since, now).astimezone(UTC)
        until = min(instant(order.until, now).astimezone(UTC), now) if order.until else now
        if since >= until:
            raise ValueError(f"the period from {since:%Y-%m-%dT%H:%MZ} to its end is empty")
        book = await asyncio.to_thread(self._load, order)
        with self.alone():
            await self._send_pending()
            repricer = Repricer(book, await self._ledger(book, since), time_ns() // 1000)
            found, written = Differences(), 0
            async for rows in self._pages(since, until, on_progress):
                corrections = await asyncio.to_thread(_page, repricer, rows, found)
                if order.write and corrections:
                    await self._write(Corrections(tuple(corrections)))
                    written += len(corrections)
        return {
            "since": since.isoformat(),
            "until": until.isoformat(),
            "book": book.version,
            "kept": repricer.kept,
            "unreadable": repricer.unreadable,
            **found.document(),
            "written": written,
        }

    async def finish(self) -> None:
        """Send what an earlier process may not have sent."""
        if self._places.reprice_pending.exists():
            with self.alone():
                await self._send_pending()

    def _load(self, order: RepriceOrder) -> TariffBook:
        laid_over = [Path(order.tariffs)] if order.tariffs else []
        if not all(directory.is_dir() for directory in laid_over):
            raise ValueError(f"{order.tariffs} is not a directory")
        book = tariff_book(self._config, *laid_over)
        if order.book not in ("", book.version):
            raise ValueError("the tariffs have changed since; review the differences again")
        return book

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock: two runs at once would both correct the same price."""
        lock = os.open(self._places.reprice_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TransientError("another reprice is running on this data") from None
            yield
        finally:
            os.close(lock)

    async def _ledger(self, book: TariffBook, since: datetime) -> Ledger:
        """The counters at `since`, counted from the beginning of its month."""
        stored = CounterSums()
        if names := book.counters:
            hour = since.replace(minute=0, second=0, microsecond=0)
            month = hour.replace(day=1, hour=0)
            for sql, bound in (counted(month, hour), counted_in_rows(hour, since)):
                for row in await self._store.ask(sql, bound):
                    at = datetime.fromtimestamp(int(str(row["at"])), UTC)
                    stored.add(str(row["counter"]), at, Decimal(str(row["quantity"])))
        return Ledger(names, stored)

    async def _pages(
        self, since: datetime, until: datetime, on_progress: OnProgress
    ) -> AsyncIterator[Sequence[StoredCall]]:
        """All calls of the period in order of time, hour by hour, as the table is sorted."""
        sql, bound = hours(since, until)
        there = await self._store.ask(sql, bound)
        total, done = sum(int(str(row["calls"])) for row in there), 0
        first, end = ((at - EPOCH) // datetime.resolution for at in (since, until))
        for row in there:
            hour = int(str(row["hour"]))
            position = RowPosition(max(first, hour))
            while True:
                sql, bound = page(position, min(end, hour + HOUR_US), PAGE_ROWS)
                rows = await self._store.ask(sql, bound)
                if rows:
                    yield rows
                    last = rows[-1]
                    position = RowPosition(
                        int(str(last["ts_us"])), str(last["call_id"]), str(last["source"])
                    )
                done += len(rows)
                await on_progress(done, max(done, total))
                if len(rows) < PAGE_ROWS:
                    break

    async def _write(self, corrections: Corrections) -> None:
        path = self._places.reprice_pending
        await asyncio.to_thread(write_atomically, path, msgspec.json.encode(corrections))
        await self._clickhouse.correct(corrections)
        path.unlink()

    async def _send_pending(self) -> None:
        path = self._places.reprice_pending
        if path.exists():
            corrections = msgspec.json.decode(path.read_bytes(), type=Corrections)
            await self._clickhouse.correct(corrections)
            path.unlink()


def _page(repricer: Repricer, rows: Sequence[StoredCall], found: Differences) -> list[Correction]:
    """The corrections of a page.  Runs in a thread, so that metering continues."""
    corrections = []
    for row in rows:
        correction = repricer.again(row)
        found.add(row, correction)
        if correction:
            corrections.append(correction)
    return corrections
