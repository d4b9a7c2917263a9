"""Where windows will end, and which hours are unusual: asked of the store every few minutes.

Both take seconds of thought for long windows, so they run in a thread, one budget after the other,
for the keys that spent most.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from exporters.clickhouse.spend import Bound, SpendQuestion
from exporters.notify.budget_notices import anomaly_notice, forecast_notice
from exporters.record import EXACT, TransientError
from pricing.anomaly import Anomaly, confirmed, find_anomaly
from pricing.budget import ANY, FORECAST, Budget, Key
from pricing.forecast import HOUR, WEEK, WEEKS_MAX, Forecast, exceeds, forecast
from pricing.forecast import History as Hours
from pricing.window import EPOCH
from proxy.budgets.count import Count
from proxy.budgets.evaluation import Evaluation, Standing
from proxy.budgets.spending import Spending
from proxy.budgets.sums import NOTHING
from proxy.gate.account import Account
from proxy.notices.notices import Notices

log = logging.getLogger(__name__)

EVERY_S = 300.0  # two looks at an unusual hour are that far apart
FIRST_S = 5.0
KEYS_MAX = 50  # of one budget with `*`, those that spent most
SINCE = (WEEKS_MAX * 2) * WEEK  # the medians, and as much to replay them over
CONTRIBUTORS = ("team", "feature", "user", "model")
CONTRIBUTORS_MAX = 20

History = Callable[[str, Bound], Awaitable[list[dict[str, object]]]]


class Outlook:
    """Forecasts and anomalies of all budgets."""

    def __init__(
        self, history: History, evaluation: Evaluation, spending: Spending, notices: Notices
    ) -> None:
        self._history = history
        self._evaluation = evaluation
        self._spending = spending
        self._notices = notices
        self._latest: dict[Account, tuple[Forecast, Decimal]] = {}  # and what was spent then
        self._earlier: dict[Account, Forecast] = {}  # at least an hour before the latest
        self._anomalies: dict[Account, Anomaly] = {}
        self.tells = True

    async def run(self) -> None:
        """Look until cancelled."""
        await asyncio.sleep(FIRST_S)
        while True:
            for count in list(self._spending.counts.values()):
                try:
                    await self.look(count, datetime.now(UTC))
                except TransientError:
                    break  # the store is away
                except Exception:
                    log.exception("No forecast could be made for budget %s.", count.budget.name)
            await asyncio.sleep(EVERY_S)

    def of(self, standing: Standing) -> Forecast | None:
        """The latest forecast, if it is of this window."""
        found = self._latest.get((standing.budget.name, standing.key))
        return found[0] if found is not None and found[0].window == standing.window else None

    async def look(self, count: Count, now: datetime) -> None:
        """Make the forecasts of one budget, look at its running hour, and tell."""
        budget = count.budget
        if not budget.windows.resets and budget.anomaly_usd is None:
            return
        standings = [self._evaluation.standing(count, key, now) for key in count.all_keys()]
        known = [one for one in standings if one.spend is not None]
        known.sort(key=lambda one: one.spend.counted if one.spend else NOTHING, reverse=True)
        past = await self._past(budget, now)
        for one in known[:KEYS_MAX]:
            hours = past.get(one.key)
            if hours is None or one.spend is None:
                continue
            if budget.windows.resets:
                spent = one.spend.counted
                made = await asyncio.to_thread(
                    forecast, hours, one.window, spent, now, budget.timezone
                )
                self._foresee(one, made, now)
            if budget.anomaly_usd is not None:
                await self._look_at_hour(one, hours, budget.anomaly_usd, now)

    def _foresee(self, one: Standing, made: Forecast | None, now: datetime) -> None:
        budget, at = one.budget, (one.budget.name, one.key)
        if made is None or one.spend is None:
            self._latest.pop(at, None)
            return
        earlier = self._earlier.get(at)
        limit = budget.limit
        tells = self.tells and FORECAST in budget.thresholds and limit is not None
        if tells and limit is not None and exceeds(limit, made, earlier):
            notice = forecast_notice(budget, one.key, one.spend, made, now)
            self._notices.tell(notice, budget.notify)
        if earlier is None or earlier.window != made.window or made.at - earlier.at >= 2 * HOUR:
            held = self._latest.get(at)
            recent = held is not None and held[0].window == made.window
            self._earlier[at] = held[0] if recent and held is not None else made
        self._latest[at] = made, one.spend.counted

    async def _look_at_hour(
        self, one: Standing, hours: Hours, floor: Decimal, now: datetime
    ) -> None:
        budget, at = one.budget, (one.budget.name, one.key)
        hour = now - (now - EPOCH) % HOUR
        running = hours.between(hour, hour + HOUR).total()
        who = await self._contributors(one, hour) if running > floor else {}
        found = await asyncio.to_thread(
            lambda: find_anomaly(hours, hour, running, who, floor=floor, timezone=budget.timezone)
        )
        if found is not None and confirmed(found, self._anomalies.get(at)) and self.tells:
            self._notices.tell(anomaly_notice(budget, one.key, found, now), budget.notify)
        if found is None:
            self._anomalies.pop(at, None)
        else:
            self._anomalies[at] = found

    async def _past(self, budget: Budget, now: datetime) -> dict[Key, Hours]:
        """Amounts by hour up to and with the running one, from the first hour with a row on."""
        since = now - (now - EPOCH) % HOUR - SINCE
        question = SpendQuestion(scope=budget.scope, since=since, step="hour")
        found: defaultdict[Key, dict[datetime, Decimal]] = defaultdict(dict)
        unit = {"usd": "cost_usd", "tokens": "tokens", "calls": "calls"}[budget.unit]
        if budget.anomaly_usd is not None:
            unit = "cost_usd"
        for row in await self._history(*question.sql()):
            key: Key = tuple((name, str(row[f"k{n}"])) for n, name in enumerate(question.keys))
            at = EPOCH + timedelta(seconds=int(str(row["at"])))
            held = found[key].get(at, NOTHING)
            found[key][at] = EXACT.add(held, Decimal(str(row[unit])))
        first = min((hour for hours in found.values() for hour in hours), default=now)
        return {key: _without_gaps(hours, first, now) for key, hours in found.items()}

    async def _contributors(self, one: Standing, hour: datetime) -> Mapping[str, Decimal]:
        scope = {**one.budget.scope, **dict(one.key)}
        question = SpendQuestion(scope=scope, since=hour, until=hour + HOUR)
        by = tuple(name for name in CONTRIBUTORS if scope.get(name, ANY) == ANY)
        sql, bound = question.contributors(by, CONTRIBUTORS_MAX)
        found: dict[str, Decimal] = {}
        for row in await self._history(sql, bound):
            values = [(name, str(row[f"k{n}"])) for n, name in enumerate(by)]
            who = ", ".join(f"{name} {value}" for name, value in values if value)
            found[who or "all others"] = Decimal(str(row["cost_usd"]))
        return found


def _without_gaps(hours: Mapping[datetime, Decimal], first: datetime, now: datetime) -> Hours:
    """An hour without calls is 0."""
    number = (now - first) // HOUR + 1
    return Hours(first, [hours.get(first + n * HOUR, NOTHING) for n in range(number)])
