"""Savings in the store: after an upgrade, repriced, summed, and under evidence."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from msgspec.structs import replace
from test_evidence_store import Place, correction, database, place, record
from test_metering import BEGUN, READING, TARIFF, exchange

from exporters.clickhouse import connection, migrations
from exporters.clickhouse.clickhouse import COLUMNS, ClickHouse, columns
from exporters.clickhouse.corrections import Correction, Corrections
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.store import Store
from exporters.evidence import leaves
from exporters.record import Batch, Record
from pricing import TariffBook
from proxy.metering.records import Metering
from proxy.metering.volumes import CounterSums
from proxy.repricing.repricer import Ledger, Repricer
from proxy.settings.config import Config

__all__ = ["database", "place"]  # fixtures
NEW = ("in_flight", "retry_after_s", "saved_cache_usd", "saved_batch_usd")
BOOK = TariffBook.parse({"acme.toml": TARIFF})  # 500 tokens read for 1 in place of 2 per M
DEARER = TariffBook.parse({"acme.toml": TARIFF.replace("input = 2", "input = 3")})
SUMS = "SELECT sum(saved_cache_usd), sum(saved_batch_usd), sum(calls) FROM call_sums"
ROWS = "SELECT sum(saved_cache_usd), sum(saved_batch_usd), count() FROM priced_calls"


def row(number: int, tariffs: TariffBook = BOOK) -> Record:
    """The record of a call that saved 0.0005 USD."""
    now = datetime.now(UTC).timestamp()
    begun = msgspec.structs.replace(
        BEGUN,
        call_id=f"00000000-0000-0000-0000-{number:012}",
        wall_ns=(int(now - 7200) * 10**6 + number) * 1000,
        in_flight=number,
    )
    metering = Metering(Config(data=Path()), tariffs, lambda p, items, s: set(items))
    [made] = metering.records(replace(exchange(READING), begun=begun, source=f"w:{number}"))
    return made


def again(made: Record, tariffs: TariffBook, revision: int = 0) -> Correction | None:
    """What repricing makes of a row that is stored like this."""
    stored: dict[str, Any] = json.loads(msgspec.json.encode(made)) | {"revision": revision}
    repricer = Repricer(tariffs, Ledger(tariffs.counters, CounterSums()), 0)
    found = repricer.again(stored)
    assert repricer.unreadable == 0
    return found


def test_savings_are_repriced_as_costs_are() -> None:
    """A dearer input makes a cache save more, although no cached token became dearer."""
    made = row(1)
    assert (made.saved_cache_usd, made.saved_batch_usd) == (Decimal("0.0005"), Decimal(0))
    assert again(made, BOOK) is None
    found = again(made, DEARER)
    assert found is not None
    assert (found.old_saved_cache_usd, found.saved_cache_usd) == (
        Decimal("0.0005"),
        Decimal("0.001"),
    )
    assert found.old_saved_batch_usd == found.saved_batch_usd == 0


@pytest.fixture
def client(store_dsn: str) -> Iterator[Client]:
    client = connection.connect(parse_dsn(store_dsn))
    yield client
    client.close()


def before_savings(client: Client, name: str, records: list[Record]) -> None:
    """A database of the last version without them, with these rows."""
    client.command(f"CREATE DATABASE {name}")
    client.database = name
    for file in migrations.schema_files():
        for sql in migrations.statements(file.text) if file.name < "019" else ():
            client.command(sql)
        if file.name < "019":
            client.insert("schema_files", [[file.name, file.checksum]], ["name", "checksum"])
    values = dict(zip(COLUMNS, columns(records), strict=True))
    kept = [name for name in COLUMNS if name not in NEW]
    client.insert("calls", [values[n] for n in kept], kept, column_oriented=True)


def both(client: Client) -> list[tuple[object, ...]]:
    """Sums over rows with their newest prices, which are those of `call_sums`."""
    [by_row], [summed] = (client.query(sql).result_rows for sql in (ROWS, SUMS))
    assert by_row == summed
    return [tuple(by_row)]


async def test_an_upgrade_leaves_old_rows_unknown_until_they_are_repriced(
    client: Client, store_dsn: str, new_database: str
) -> None:
    """NULL, not 0; whatever is sent twice counts once, and sums are those of the rows."""
    old, new = row(1), row(2)
    await asyncio.to_thread(before_savings, client, new_database, [old])
    clickhouse = ClickHouse(store_dsn, database=new_database)
    store = Store(store_dsn, database=new_database)
    try:
        await clickhouse.open()
        [stored] = await store.calls()
        assert [stored[name] for name in NEW] == [None] * 4
        assert both(client) == [(None, None, 1)]
        for _ in range(2):  # sent twice, as after a crash
            await clickhouse.export(Batch("s:1", (new,)))
        found = {str(call["call_id"]): call for call in await store.calls()}
        assert found[new.call_id]["in_flight"] == 2
        assert both(client) == [(Decimal("0.0005"), 0, 2)]
        unknown = msgspec.structs.replace(old, saved_cache_usd=None, saved_batch_usd=None)
        correction = again(unknown, BOOK)
        assert correction is not None
        for _ in range(2):
            await clickhouse.correct(Corrections((correction,)))
        assert both(client) == [(Decimal("0.001"), 0, 2)]
        dearer = again(new, DEARER)
        assert dearer is not None
        await clickhouse.correct(Corrections((dearer,)))
        assert both(client) == [(Decimal("0.0015"), 0, 2)]
        assert await clickhouse.reconcile(repair=False, quiet_s=0) == []
    finally:
        await store.close()
        await clickhouse.close()


async def test_a_correction_of_an_older_version_makes_savings_unknown(
    client: Client, store_dsn: str, new_database: str
) -> None:
    """It does not say what the new price saves, and the old price is no more."""
    clickhouse = ClickHouse(store_dsn, database=new_database)
    made = row(1)
    try:
        await clickhouse.export(Batch("s:1", (made,)))
        changed = again(made, DEARER)
        assert changed is not None
        silent = {name: None for name in changed.__struct_fields__ if "saved" in name}
        await clickhouse.correct(Corrections((msgspec.structs.replace(changed, **silent),)))
        client.database = new_database
        sql = "SELECT cost_usd, saved_cache_usd FROM priced_calls"
        assert client.query(sql).result_rows == [(changed.cost_usd, None)]
    finally:
        await clickhouse.close()


async def test_leaves_from_before_still_verify(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row and a correction of the version before have their old forms, beside the new ones."""
    old = [record(number, schema_version=2) for number in range(2)]
    await place.write(place.rows, *old)
    with monkeypatch.context() as patched:
        patched.setattr(leaves, "newest", lambda kind: 1)
        await place.correct(correction(0))
    await place.write(place.rows, *(full(number) for number in range(2, 4)))
    await place.correct(correction(2), corrected(3))
    forms = "SELECT kind, form, count() FROM leaves GROUP BY kind, form ORDER BY kind, form"
    assert [tuple(one) for one in place.client.query(forms).result_rows] == [
        ("call", 2, 2),
        ("call", 3, 2),
        ("correction", 1, 1),
        ("correction", 2, 2),
    ]
    found = await place.check(place.head())
    assert (found.ok, found.checked) == (True, 7)


@pytest.mark.parametrize("column", NEW)
async def test_a_changed_value_is_named(place: Place, column: str) -> None:
    """Each of the columns is in the text that a leaf commits to."""
    await place.write(place.rows, full(1), full(2))
    place.change(f"ALTER TABLE calls UPDATE {column} = 7 WHERE source = 'w:1'")
    found = await place.check(place.head())
    assert [(one.what, one.source) for one in found.findings()] == [("altered", "w:1")]


async def test_changed_savings_of_a_correction_are_named(place: Place) -> None:
    """Those that it replaces, too."""
    await place.write(place.rows, full(1), full(2))
    await place.correct(corrected(1), corrected(2))
    place.change("ALTER TABLE corrections UPDATE old_saved_batch_usd = 7 WHERE source = 'w:1'")
    found = await place.check(place.head())
    assert [(one.kind, one.source) for one in found.findings()] == [("correction", "w:1")]


def full(number: int) -> Record:
    """A call with a value in each new column."""
    return record(
        number,
        in_flight=3,
        retry_after_s=0.1,
        saved_cache_usd=Decimal("-0.000000000000000001"),
        saved_batch_usd=Decimal("1.50"),
    )


def corrected(number: int) -> Correction:
    """Another price of it."""
    return msgspec.structs.replace(
        correction(number),
        old_saved_cache_usd=Decimal("-0.000000000000000001"),
        old_saved_batch_usd=Decimal("1.50"),
        saved_cache_usd=Decimal("0.25"),
        saved_batch_usd=Decimal(0),
    )
