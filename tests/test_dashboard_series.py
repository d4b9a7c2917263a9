"""Charts have at most twelve series, in Grafana as in the console, and sums lose nothing."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import Batch, Record
from support.dashboards import ALL, DASHBOARDS, Chosen, answer, sent

if TYPE_CHECKING:
    from conftest import RecordMaker

SERIES_MAX = 12
COSTS = ("Cost by provider", "Cost by model", "Cost by day")
COUNTS = ("Calls by model", "Calls by team")
PANELS = [
    *(("spend", title) for title in COSTS),
    *(("usage", title) for title in (*COUNTS, "Cost by model")),
]

RATES = [
    ("latency", "Duration p95 by model"),
    ("latency", "Duration p95 by provider"),
    ("latency", "First token p95 by model"),
    ("latency", "Output speed by model"),
    ("usage", "Cache hit share by model"),
    ("health", "Failed share by provider"),
]


def spread(records: list[Record], names: int) -> list[Record]:
    """The calls under so many names; the later a name, the dearer its calls, the more it has."""
    weights = [name for name in range(names) for _ in range(name + 1)]
    return [
        msgspec.structs.replace(
            record,
            provider=f"p{weights[at % len(weights)]:02}",
            response_model=f"m{weights[at % len(weights)]:02}",
            team=f"t{weights[at % len(weights)]:02}",
            cost_usd=Decimal(1 + weights[at % len(weights)]) / 1000,
            cost_status="exact",
        )
        for at, record in enumerate(records)
    ]


@pytest.fixture(params=[3, 11, 12, 13, 20])
async def filled(
    request: pytest.FixtureRequest, make_records: "RecordMaker", chdb_dsn: str, database: str
) -> AsyncIterator[tuple[int, Store, list[Record]]]:
    """How many names, and a store with calls of each."""
    records = spread(make_records(420), request.param)
    writer = ClickHouse(chdb_dsn, database=database)
    await writer.export(Batch("t", tuple(records)))
    await writer.close()
    store = Store(chdb_dsn, database=database)
    yield request.param, store, records
    await store.close()


async def test_the_largest_have_a_series_each(filled: tuple[int, Store, list[Record]]) -> None:
    """Up to twelve all of them; of more the eleven largest, and the rest as one. Σ stays."""
    names, store, records = filled
    chosen: Chosen = dict.fromkeys(("project", "team", "provider", "model"), ALL)
    for board, title in PANELS:
        panel = next(each for each in DASHBOARDS[board]["panels"] if each["title"] == title)
        _, rows = await answer(store, sent(panel["targets"][0]["rawSql"], chosen))
        series = {row[1] for row in rows}
        kept = names if names <= SERIES_MAX else SERIES_MAX - 1
        expected = {f"{name:02}" for name in range(names - kept, names)}
        assert {name[1:] for name in series - {"other"}} == expected, title
        assert ("other" in series) == (names > SERIES_MAX), title
        whole = len(records) if title in COUNTS else sum(each.cost_usd or 0 for each in records)
        assert sum(Decimal(str(row[2])) for row in rows) == whole, title
    for board, title in RATES:  # they have no sum that an "other" could show
        panel = next(each for each in DASHBOARDS[board]["panels"] if each["title"] == title)
        _, rows = await answer(store, sent(panel["targets"][0]["rawSql"], chosen))
        series = {row[1][1:] for row in rows}
        assert series == {f"{name:02}" for name in range(max(0, names - SERIES_MAX), names)}, title
