"""Forecasts and unusual hours, asked of a real store."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import Batch, Record
from pricing import TariffBook
from pricing.budget import Budget
from proxy.budgets.ceiling import Ceilings
from proxy.budgets.evaluation import Evaluation
from proxy.budgets.outlook import Outlook
from proxy.budgets.spending import Spending
from proxy.notices.notices import Notices
from proxy.notices.outbox import Outbox
from support.spending import WRITER, record

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime.now(UTC).replace(minute=20, second=0, microsecond=0)
MONTH = Budget(
    name="all",
    scope={"team": "search"},
    limit_usd=Decimal(1),
    period="week",
    week_start=f"{NOW - 3 * DAY:%A}".lower(),
    thresholds=(90.0, "forecast"),
    anomaly_usd=Decimal(1),
)


def every_hour(days: int) -> list[Record]:
    """A call of 1 cent in each hour of so many days."""
    return [call(number, "0.01", NOW - number * HOUR) for number in range(1, days * 24)]


def call(number: int, usd: str, at: datetime) -> Record:
    made = record(number, usd, at, team="search", feature="chat")
    return msgspec.structs.replace(made, call_id=str(UUID(int=number)))


class Place:
    """A store, its budgets and their outlook."""

    def __init__(self, dsn: str, database: str, path: Path, budget: Budget) -> None:
        self.clickhouse = ClickHouse(dsn, database=database)
        self.store = Store(dsn, database=database)
        self.notices = Notices(Outbox(path / "outbox"))
        self.spending = Spending(self.clickhouse.ask, lambda: WRITER, shared=False)
        self.spending.watch([budget])
        self.spending.drained()
        self.evaluation = Evaluation(
            self.spending,
            lambda: Ceilings(TariffBook.parse({}), NOW),
            self.notices,
            dict,
            lambda budget, key, window: Decimal(0),
        )
        self.outlook = Outlook(self.store.ask, self.evaluation, self.spending, self.notices)

    async def write(self, records: list[Record]) -> None:
        await self.clickhouse.export(Batch(f"x:{records[0].source}", tuple(records)))

    async def look(self, now: datetime = NOW) -> list[str]:
        """The thresholds of the alerts that fire after a look."""
        self.spending._due.clear()
        await self.spending.refresh(now)
        self.evaluation.update(now)
        await self.outlook.look(self.spending.counts["all"], now)
        return sorted(id.rpartition(":")[2] for id in self.notices.outbox.told())


@pytest.fixture
async def place(chdb_dsn: str, database: str, tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(chdb_dsn, database, tmp_path, MONTH)
    await made.clickhouse.open()
    yield made
    await made.clickhouse.close()
    await made.store.close()


async def test_a_forecast_from_hours(place: Place) -> None:
    """A cent an hour is 1.68 USD a week: above the limit, and told with its interval."""
    await place.write(every_hour(40))
    assert await place.look() == ["forecast"]
    [standing] = place.evaluation.standings(NOW)
    found = place.outlook.of(standing)
    assert found is not None
    assert found.amount == pytest.approx(Decimal("1.68"), abs=Decimal("0.05"))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.amount <= found.high
    assert await place.look() == ["forecast"]


async def test_none_where_little_is_known(place: Place) -> None:
    """Two days say nothing."""
    await place.write(every_hour(2))
    assert await place.look() == []
    [standing] = place.evaluation.standings(NOW)
    assert place.outlook.of(standing) is None


@pytest.mark.thorough
async def test_an_unusual_hour(place: Place) -> None:
    """It is told at the second look, with who contributed most."""
    await place.write([*every_hour(40), call(10_000, "5", NOW - timedelta(minutes=10))])
    assert "anomaly" not in await place.look()
    assert "anomaly" in await place.look(NOW + timedelta(minutes=5))
    [notice] = [
        entry.notice
        for entry in place.notices.outbox._entries.values()
        if entry.notice is not None and entry.notice.kind == "anomaly"
    ]
    assert notice.facts["contributors"] == {"feature chat, model m": "5"}
    assert place.evaluation.end(NOW + 2 * HOUR)
    assert [id for id in place.notices.outbox.told() if id.endswith("anomaly")] == []
