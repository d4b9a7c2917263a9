"""The list price of each row: in rollups, after an upgrade, and repriced."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from msgspec.structs import replace
from test_metering import BEGUN, READING, TARIFF, exchange

from exporters.clickhouse import connection, migrations
from exporters.clickhouse.clickhouse import COLUMNS, ClickHouse, columns
from exporters.clickhouse.corrections import Corrections
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.query import Query
from exporters.clickhouse.reports import report
from exporters.clickhouse.store import Store
from exporters.record import Batch, Record
from pricing import TariffBook
from proxy.exchange import ResponseHead
from proxy.metering.records import Metering
from proxy.metering.volumes import CounterSums
from proxy.repricing.differences import Differences
from proxy.repricing.repricer import Ledger, Repricer
from proxy.settings.config import Config

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
PLAN = """
[[plan]]
name = "flat"
source = "https://acme.example/plan"
checked = 2026-11-20
credentials = ["api_key"]
plan_when = [{ x-plan = ["", "in"] }]
billed_when = [{ x-plan = ["over"] }]
"""
CONTRACT = """
provider = "acme"
source = "our contract"
checked = 2026-11-20
[[factors]]
name = "contract"
factor = 0.5
"""


def book(*texts: str) -> TariffBook:
    return TariffBook.parse(*({"acme.toml": text} for text in texts))


def row(tariffs: TariffBook, number: int = 1, header: str = "", kind: str = "api_key") -> Record:
    """The record of a call of 0.0035 USD by the shipped price."""
    begun = msgspec.structs.replace(
        BEGUN,
        call_id=f"00000000-0000-0000-0000-{number:012}",
        wall_ns=(int(HOUR.timestamp()) * 10**6 + number) * 1000,
        credential_kind=kind,
    )
    head = ResponseHead(status=200, headers=(("X-Plan", header),) if header else ())
    call = replace(exchange(READING), begun=begun, head=head, source=f"w:{number}")
    metering = Metering(Config(data=Path()), tariffs, lambda p, items, s: set(items))
    [record] = metering.records(call)
    return record


def again(record: Record, tariffs: TariffBook) -> Any:
    stored = json.loads(msgspec.json.encode(record)) | {"revision": 0}
    repricer = Repricer(tariffs, Ledger(tariffs.counters, CounterSums()), 0)
    found = repricer.again(stored)
    assert repricer.unreadable == 0
    return found


@pytest.mark.parametrize(
    ("tariffs", "header", "kind", "cost", "listed"),
    [
        (book(TARIFF), "", "api_key", "0.0035", "0.0035"),
        (book(TARIFF, CONTRACT), "", "api_key", "0.00175", "0.0035"),
        (book(TARIFF + PLAN), "", "api_key", "0", "0.0035"),
        (book(TARIFF + PLAN), "over", "api_key", "0.0035", "0.0035"),
        (book(TARIFF + PLAN), "", "jwt", "0.0035", "0.0035"),
        (book(TARIFF + PLAN, CONTRACT), "over", "api_key", "0.00175", "0.0035"),
    ],
)
def test_both_figures_and_the_same_again(
    tariffs: TariffBook, header: str, kind: str, cost: str, listed: str
) -> None:
    """A plan and a contract change the cost and not the list price; the row can be made again."""
    record = row(tariffs, 1, header, kind)
    assert (record.cost_usd, record.list_usd) == (Decimal(cost), Decimal(listed))
    assert (record.list_status, record.credential_kind) == ("exact", kind)
    assert again(record, tariffs) is None


def test_repricing_decides_anew_who_pays() -> None:
    """A rule that is new makes a stored call free, and its removal bills it again."""
    billed = row(book(TARIFF))
    correction = again(billed, book(TARIFF + PLAN))
    assert (correction.cost_usd, correction.cost_status) == (0, "not_billed")
    assert (correction.reasons, correction.list_usd) == (("plan:flat",), Decimal("0.0035"))
    found = Differences()
    found.add(json.loads(msgspec.json.encode(billed)), correction)
    assert found.document()["reasons"] == {"plan:flat": 1}
    correction = again(row(book(TARIFF + PLAN)), book(TARIFF))
    assert (correction.cost_usd, correction.cost_status) == (Decimal("0.0035"), "exact")


def test_repricing_changes_the_list_price() -> None:
    """As it does the cost: by the shipped tariffs of today."""
    dearer = book(TARIFF.replace("output = 10", "output = 20") + PLAN)
    correction = again(row(book(TARIFF + PLAN)), dearer)
    assert (correction.old_list_usd, correction.list_usd) == (Decimal("0.0035"), Decimal("0.0045"))
    assert correction.cost_usd == correction.old_cost_usd == 0


@pytest.fixture
def client(store_dsn: str) -> Iterator[Client]:
    client = connection.connect(parse_dsn(store_dsn))
    yield client
    client.close()


def before_list_prices(client: Client, database: str, records: list[Record]) -> None:
    """A database of the last version without list prices, with these rows."""
    client.command(f"CREATE DATABASE {database}")
    client.database = database
    for file in migrations.schema_files():
        for sql in migrations.statements(file.text) if file.name < "005" else ():
            client.command(sql)
    described = client.query("DESCRIBE TABLE calls").result_rows
    kept = [name for name in COLUMNS if name in {row[0] for row in described}]
    values = dict(zip(COLUMNS, columns(records), strict=True))
    client.insert("calls", [values[n] for n in kept], kept, column_oriented=True)


@pytest.mark.thorough
async def test_an_upgrade_loses_nothing_and_doubles_nothing(
    client: Client, store_dsn: str, new_database: str
) -> None:
    """Old rows have no list price until they are repriced; rollups and rows agree at each step."""
    plan = book(TARIFF + PLAN)
    old, new = row(plan, 1), row(plan, 2)
    await asyncio.to_thread(before_list_prices, client, new_database, [old])
    clickhouse = ClickHouse(store_dsn, database=new_database)
    store = Store(store_dsn, database=new_database)
    try:
        for _ in range(2):  # sent twice, as after a crash
            await clickhouse.export(Batch("s:1", (new,)))
        assert await figures(store) == (2, 1, "0.0035")
        assert await clickhouse.reconcile(repair=False, quiet_s=0) == []
        [stored] = [call for call in await store.calls() if str(call["call_id"]) == old.call_id]
        assert (stored["list_usd"], stored["list_status"]) == (None, "")
        unlisted = msgspec.structs.replace(old, list_usd=None, list_status="")
        corrections = Corrections((again(unlisted, plan),))
        for _ in range(2):
            await clickhouse.correct(corrections)
        assert await figures(store) == (2, 2, "0.007")
        assert await clickhouse.reconcile(repair=False, quiet_s=0) == []
    finally:
        await store.close()
        await clickhouse.close()


async def figures(store: Store) -> tuple[object, object, object]:
    """Calls, those with a list price, and its sum: the same from rows and from the rollup."""
    [hourly] = (await report(store, Query(since=HOUR, by=("provider",)))).rows
    [by_row] = (await report(store, Query(since=HOUR, by=("node",)))).rows
    found = [(r["calls"], r["listed_calls"], r["list_usd"]) for r in (hourly, by_row)]
    assert found[0] == found[1]
    assert hourly["cost_usd"] == "0"
    return found[0]


async def test_reconcile_rebuilds_list_prices(
    client: Client, store_dsn: str, database: str
) -> None:
    """A rollup that lost them gets them back, together with everything else of the day."""
    clickhouse = ClickHouse(store_dsn, database=database)
    try:
        await clickhouse.export(Batch("s:1", (row(book(TARIFF)),)))
        client.database = database
        client.command("TRUNCATE TABLE sums_1h")
        assert len(await clickhouse.reconcile(repair=True, quiet_s=0)) == 1
        assert await clickhouse.reconcile(repair=False, quiet_s=0) == []
        sql = "SELECT sum(calls), sum(listed_calls), sum(list_usd), sum(cost_usd) FROM sums_1h"
        [sums] = client.query(sql).result_rows
        assert sums == (1, 1, Decimal("0.0035"), Decimal("0.0035"))
    finally:
        await clickhouse.close()
