"""Waits until the store has what was metered: before its sums are compared, or its rows proved."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from exporters.clickhouse.reconcile import SumDifference
from exporters.record import TransientError

CATCH_UP_S = 60.0  # for rows to be written before the store's sums are compared


class Drains(Protocol):
    """What is delivered to the store."""

    async def drained(self) -> None: ...


class Reconciles(Protocol):
    """The part of `exporters.clickhouse.clickhouse.ClickHouse` that is needed."""

    async def reconcile(self, *, repair: bool, quiet_s: float) -> list[SumDifference]: ...


class CatchingUp:
    """`rows` are those of calls; `others` what else has leaves in the tree of evidence."""

    def __init__(self, rows: Drains, others: Sequence[Drains], clickhouse: Reconciles) -> None:
        self._rows, self._others = rows, others
        self._clickhouse = clickhouse

    async def check(self, *, repair: bool, quiet_s: float) -> list[SumDifference]:
        """See `proxy.console.api.Check`: no batch may be waiting for a day that is rebuilt."""
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._rows.drained()
        except TimeoutError:
            raise TransientError("rows are waiting to be written; retry later") from None
        return await self._clickhouse.reconcile(repair=repair, quiet_s=quiet_s)

    async def caught_up(self) -> None:
        """Wait until the store has every row that there is, and each has its leaf."""
        for each in (self._rows, *self._others):
            await each.drained()
