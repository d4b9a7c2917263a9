"""Panels read rollups where they can: they show what the calls and corrections add up to."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from test_grafana import SERIES, WEIGHTS, odd, panel_named, variables

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.corrections import Corrections
from exporters.clickhouse.store import Store
from exporters.record import Batch, Record
from support.dashboards import ALL, DASHBOARDS, FROM, Chosen, answer, sent
from support.spending import corrected

if TYPE_CHECKING:
    from conftest import RecordMaker

TWO_TABLES = re.compile(r"\$__toTime - \$__fromTime > (691200|172800)\b")
LONG = FROM - timedelta(days=30)
# A panel, or its answer, that has quantiles or shares: these do not add up over time.
NOT_SUMS = {"p50", "p95", "p99", "share"}

# Those that are sums, without the ones that say that they cover whole quarters of an hour.
SUMS = {
    "spend": "Cost,Unpriced calls,Inexact calls,Calls,Cost by provider,Unpriced calls by provider,"
    "Cost by model,Cost by kind,Models,Teams,Features,Projects,Keys,At list price,Cost by day,"
    "Share of cost by provider,Cost by feature,Clients,Saved,Savings over time",
    "usage": "Calls,Input tokens,Output tokens,Cost,Unpriced calls,Calls by model,Calls by team,"
    "Token mix,Origin of usage,Cost by model,Quantities by meter,Users",
    "health": "Bytes dropped,Calls by outcome,Errors by outcome,HTTP status,Cost status,"
    "Finish reasons,Limits and retries",
    "latency": "Calls,Durations",
}

Answer = tuple[dict[str, str], list[list[Any]]]
Sums = dict[tuple[object, ...], list[Decimal]]


def summed(*found: Answer) -> Sums:
    """The values of each series or row, added up over time; of several answers together."""
    sums: Sums = {}
    for columns, rows in found:
        kinds = list(columns.values())
        for row in rows:
            key = tuple(v for v, kind in zip(row, kinds, strict=True) if "String" in kind)
            values = [
                Decimal(str(v or 0))
                for v, kind in zip(row, kinds, strict=True)
                if not re.search("String|Date", kind)
            ]
            known = sums.get(key, [Decimal(0)] * len(values))
            sums[key] = [a + b for a, b in zip(known, values, strict=True)]
    return {key: values for key, values in sums.items() if any(values)}


@pytest.fixture
async def filled(
    chdb_dsn: str, database: str, make_records: "RecordMaker"
) -> AsyncIterator[tuple[Store, list[Record]]]:
    """A store of calls whose prices changed, came and went."""
    records = [
        replace(one, list_usd=one.cost_usd, list_status=one.cost_status)
        for one in odd(make_records(300))
    ]
    writer = ClickHouse(chdb_dsn, database=database)
    await writer.export(Batch("t", tuple(records)))
    prices = (Decimal("1.5"), None, Decimal("0.000000000000000001"))
    changed = tuple(
        replace(
            corrected(one, prices[n % 3]),
            old_cost_input_usd=one.cost_input_usd,
            cost_input_usd=prices[n % 3],
        )
        for n, one in enumerate(records[::4])
    )
    await writer.correct(Corrections(changed))
    assert await writer.reconcile(repair=False, quiet_s=0) == []
    await writer.close()
    store = Store(chdb_dsn, database=database)
    yield store, records
    await store.close()


@pytest.mark.thorough
async def test_long_and_short_ranges_show_the_same(
    filled: tuple[Store, list[Record]],
) -> None:
    """Stats, tables and sums of series, over all calls, with prices that changed, came and went."""
    (store, records), compared = filled, 0
    project = next(one.project for one in records if one.project.isalpha())
    for name in DASHBOARDS:
        for panel in DASHBOARDS[name]["panels"]:
            sql = panel["targets"][0]["rawSql"]
            if not TWO_TABLES.search(sql):
                continue
            for narrowed in ({}, {"provider": ("openai",)}, {"project": (project,)}):
                chosen: Chosen = dict.fromkeys(variables(name), ALL) | WEIGHTS | narrowed
                short = await answer(store, sent(sql, chosen))
                long = await answer(store, sent(sql, chosen, since=LONG))
                title = f"{name}: {panel['title']}"
                assert short[0].keys() == long[0].keys(), title
                if panel["type"] not in SERIES:
                    assert short[1] == long[1], title
                elif not NOT_SUMS & short[0].keys():
                    assert summed(short) == summed(long), title
                compared += 1
    assert compared > 40


@pytest.mark.thorough
@pytest.mark.parametrize("name", SUMS)
async def test_two_parts_of_a_range_add_up_to_it(
    name: str, filled: tuple[Store, list[Record]]
) -> None:
    """Wherever it is cut, amid an hour too, and whether the parts are long or short."""
    store, records = filled
    chosen: Chosen = dict.fromkeys(variables(name), ALL)
    for record in records[60::120]:
        cut = datetime.fromtimestamp(record.ts_us // 1000 / 1000, UTC)
        before = cut - timedelta(milliseconds=1)
        for title in SUMS[name].split(","):
            sql = panel_named(name, title)["targets"][0]["rawSql"]
            for since in (FROM, LONG):
                first = await answer(store, sent(sql, chosen, since=since, until=before))
                second = await answer(store, sent(sql, chosen, since=cut))
                whole = summed(await answer(store, sent(sql, chosen, since=since)))
                assert whole, title
                assert summed(first, second) == whole, (title, since)
