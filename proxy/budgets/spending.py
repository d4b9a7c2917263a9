"""The spend of all budgets: seeded from the store, kept current from the stream of rows.

The store is asked on the thread that writes, so that an answer has all of a batch or none of it:
at the start, and again every `REFRESH_S` for what other machines and repairs wrote.  Until it has
answered, a spend is unknown, which is not 0.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from time import monotonic
from typing import Any

from exporters.clickhouse.corrections import Corrections
from exporters.clickhouse.spend import Bound, SpendQuestion
from exporters.record import Batch, Exporter, PermanentError, Record, TransientError
from pricing.budget import Budget
from pricing.window import Window
from proxy.budgets import sums
from proxy.budgets.count import Count

log = logging.getLogger(__name__)

REFRESH_S = 60.0  # of the embedded store, which nobody else writes
SHARED_REFRESH_S = 2.0  # of a server, to which other machines may write
SHARE_MAX = 0.1  # of the writing thread's time that refreshing may take
MISSED_MAX = 100_000  # rows on their way to the store that are remembered one by one
LOG_EVERY_S = 60.0

Ask = Callable[[str, Bound], Awaitable[Sequence[Sequence[Any]]]]
# What two budgets must share for their spend to be the same.
COUNTED = ("scope", "period", "timezone", "week_start", "anchor_day", "anchor_month")


class Spending:
    """`writer` names our record journal; `shared`: other machines may write to the store."""

    def __init__(self, ask: Ask, writer: Callable[[], str], *, shared: bool) -> None:
        self._ask = ask
        self._writer = writer
        self._writers: set[str] = set()  # a journal begins again if its directory is removed
        self._every_s = SHARED_REFRESH_S if shared else REFRESH_S
        self.shared = shared
        self.counts: dict[str, Count] = {}
        self.error = ""
        self._underway: dict[str, None] = {}  # sources of rows that the store does not have yet
        self._more_underway = 0  # beyond MISSED_MAX
        self._before = True  # rows of an earlier meter may be underway
        self._uncertain = False  # a batch may be in the store, or not
        self._doubted = False  # the same of a correction
        self._due: dict[str, float] = {}  # budget → when to ask again
        self._logged = -LOG_EVERY_S

    # -- what happens -----------------------------------------------------------------------------

    def watch(self, budgets: Iterable[Budget]) -> None:
        """Count these from now on.  A budget with another limit keeps its spend."""
        counts = {}
        for budget in budgets:
            held = self.counts.get(budget.name)
            if held is not None and _counts_the_same(held.budget, budget):
                held.budget = budget
                held.changed.update(held.all_keys())
                counts[budget.name] = held
            else:
                counts[budget.name] = self._new(budget)
        self.counts = counts

    def _new(self, budget: Budget) -> Count:
        self._due.pop(budget.name, None)
        return Count(budget, self._underway, blind=bool(self._more_underway))

    def observe(self, record: Record) -> None:
        """A new row, on its way to the store.  Never raises: the row matters more."""
        try:
            self._writers.add(self._writer())
            if len(self._underway) < MISSED_MAX:
                self._underway[record.source] = None
            else:
                self._more_underway += 1
            if self.counts and (entry := sums.of_record(record)):
                for count in self.counts.values():
                    count.metered(entry)
        except Exception:
            log.exception("Call %s could not be added to the budgets.", record.call_id)

    def delivered(self, batch: Batch[Record]) -> None:
        """The store has taken these rows."""
        self._uncertain = False
        if batch.token.partition(":")[0] not in self._writers:
            return  # of an earlier meter: what the store says first includes them
        self._before = False
        for record in batch.records:
            self._settle(record)
            if self.counts and (entry := sums.of_record(record)):
                for count in self.counts.values():
                    count.delivered(record.source, entry)

    def rejected(self, record: Record) -> None:
        """The store will never take this row: it stays counted, as what it cost was spent."""
        self._settle(record)
        for count in self.counts.values():
            count.dropped(record.source)

    def not_delivered(self) -> None:
        """A batch failed, and may still be in the store.  It is sent again before we ask."""
        self._uncertain = True

    def corrected(self, corrections: Corrections) -> None:
        """The store has taken these corrections."""
        for one in corrections.rows:
            entry = sums.of_correction(one)
            for count in self.counts.values():
                count.corrected(entry)
        if self._doubted:  # an answer may have had them already
            self._due.clear()
        self._doubted = False

    def not_corrected(self) -> None:
        """A correction failed, and may still be in the store."""
        self._doubted = True

    def drained(self) -> None:
        """What an earlier meter left is in the store."""
        self._before = False

    def _settle(self, record: Record) -> None:
        if record.source in self._underway:
            del self._underway[record.source]
        elif self._more_underway:
            self._more_underway -= 1

    # -- asking the store -------------------------------------------------------------------------

    async def refresh(self, now: datetime) -> None:
        """Ask for the budgets that are due.  A store that is away is asked again."""
        if not self._underway and not self._more_underway:
            for name, count in self.counts.items():
                if count.blind:
                    self.counts[name] = self._new(count.budget)
        for name, count in list(self.counts.items()):
            window = count.window(now)
            count.roll(now)
            due = monotonic() >= self._due.get(name, 0.0) or not count.knows(window)
            if not due or self._before or self._uncertain or count.waits:
                continue
            began = monotonic()
            try:
                await self._read(count, window, now)
            except TransientError as error:
                self._fail(str(error))
                return
            took = monotonic() - began
            self._due[name] = monotonic() + max(self._every_s, took / SHARE_MAX)
            self.error = ""

    async def _read(self, count: Count, window: Window, now: datetime) -> None:
        rolling = count.budget.windows.rolling is not None
        question = SpendQuestion(
            scope=count.budget.scope,
            since=window.start,
            until=window.end,
            step="bucket" if rolling else "",
        )
        rows = await self._ask(*question.sql())
        if not self._uncertain and self.counts.get(count.budget.name) is count:
            count.take(rows, window, now)

    def _fail(self, error: str) -> None:
        self.error = error
        if monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = monotonic()
            log.warning("Cannot read what budgets hold (%s); still retrying.", error)

    def as_of(self, count: Count, now: datetime) -> datetime | None:
        """Until when all rows of all machines are in a count; None: nothing is known yet."""
        if not count.knows(count.window(now)):
            return None
        return count.read_at if self.shared else now


class Counting:
    """An exporter that reports its deliveries to `spending`."""

    def __init__(self, exporter: Exporter, spending: Spending) -> None:
        self.name = exporter.name
        self._exporter = exporter
        self._spending = spending

    async def export(self, batch: Batch[Record]) -> None:
        """See `Exporter.export`."""
        try:
            await self._exporter.export(batch)
        except TransientError:
            self._spending.not_delivered()
            raise
        except PermanentError:
            if len(batch.records) == 1:
                self._spending.rejected(batch.records[0])
            raise
        self._spending.delivered(batch)

    async def close(self) -> None:
        await self._exporter.close()


class Correcting:
    """Writes corrections and reports them to `spending`."""

    def __init__(
        self, correct: Callable[[Corrections], Awaitable[None]], spending: Spending
    ) -> None:
        self._correct = correct
        self._spending = spending

    async def correct(self, corrections: Corrections) -> None:
        """See `ClickHouse.correct`."""
        try:
            await self._correct(corrections)
        except TransientError:
            self._spending.not_corrected()
            raise
        self._spending.corrected(corrections)


def _counts_the_same(one: Budget, other: Budget) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in COUNTED)
