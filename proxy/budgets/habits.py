"""What calls usually count, for budgets that reserve the typical amount instead of the worst."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from exporters.clickhouse.usual import usual
from exporters.record import TransientError
from pricing.budget import Budget
from proxy.budgets.outlook import History
from proxy.gate.rules import NOTHING, Typical, enforcing

log = logging.getLogger(__name__)

EVERY_S = 600.0
AGE = timedelta(days=7)


class Habits:
    """`typical` is by budget and `provider/model`; `changed` is called with each new one."""

    def __init__(
        self,
        history: History,
        budgets: Callable[[], Iterable[Budget]],
        changed: Callable[[], None],
    ) -> None:
        self._history = history
        self._budgets = budgets
        self._changed = changed
        self.typical: Typical = NOTHING

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                await self.look(datetime.now(UTC))
            except TransientError:
                pass  # the store is away: what was usual still is
            except Exception:
                log.exception("What calls usually count could not be found out.")
            await asyncio.sleep(EVERY_S)

    async def look(self, now: datetime) -> None:
        """Ask once."""
        found = {}
        for budget in enforcing(self._budgets()).values():
            if budget.reserve == "typical" and budget.unit != "calls":
                rows = await self._history(*usual(budget.scope, budget.unit, now - AGE))
                found[budget.name] = {
                    f"{row['provider']}/{row['model']}": Decimal(str(row["amount"])) for row in rows
                }
        if found != self.typical:
            self.typical = found
            self._changed()
