"""What budgets count, in the store: made beside a version that goes on writing, and corrected."""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from exporters.clickhouse import backfill, connection, migrations
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.corrections import FIELDS, Correction, Corrections
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.migrations import migrate, schema_files
from exporters.clickhouse.reconcile import ROLLUPS
from exporters.record import Record
from support.spending import corrected

if TYPE_CHECKING:
    from conftest import RecordMaker

GROUPS = "user_id, team, model"


@pytest.fixture
def client(chdb_dsn: str) -> Iterator[Client]:
    client = connection.connect(parse_dsn(chdb_dsn))
    yield client
    client.close()


def by_user(client: Client, table: str) -> object:
    """Sums by user, team and model."""
    rows = table == "rows"
    sums = (
        "count(), sum(ifNull(cost_usd, 0)), countIf(cost_usd IS NULL),"
        " sumIf(ifNull(input_tokens_total, 0), cost_usd IS NULL)"
        if rows
        else "sum(calls), sum(cost_usd), sum(unknown_calls), sum(unknown_input_tokens)"
    )
    groups = "user_id, team, if(response_model != '', response_model, request_model) AS model"
    source = f"{groups}, {sums} FROM priced_calls" if rows else f"{GROUPS}, {sums} FROM {table}"
    sql = f"SELECT {source} GROUP BY {GROUPS} ORDER BY {GROUPS}"
    return client.query(sql).result_rows


@pytest.mark.thorough
async def test_rows_from_before_count_once(
    client: Client,
    chdb_dsn: str,
    new_database: str,
    make_records: "RecordMaker",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An older version writes while the rollups are made: none of its rows is lost or doubled."""
    older = [file for file in schema_files() if file.name < "010"]
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "schema_files", lambda: older)
        patch.setattr(migrations, "TTL", {"calls": "ts"})
        migrate(client, database=new_database, ttl_days=90)
    records = make_records(600)
    writer = connection.connect(parse_dsn(chdb_dsn))
    writer.database = new_database
    insert(writer, records[:200])
    correct(writer, corrected(records[0], "1.5"))
    stop, written = threading.Event(), 200

    def write() -> None:
        nonlocal written
        while not stop.wait(0.02) and written < len(records):
            insert(writer, records[written : written + 3])
            written += 3

    thread = threading.Thread(target=write)
    thread.start()
    monkeypatch.setattr(backfill, "SOON_S", (0, 1, 4, 30))  # the first is too soon
    migrate(client, database=new_database, ttl_days=90)
    stop.set()
    thread.join()
    assert written > 203
    backfill.backfill(client, new_database, "")  # a start that died before it noted the file
    assert by_user(client, "spend_tags_15m") == by_user(client, "rows")
    clickhouse = ClickHouse(chdb_dsn, database=new_database)
    await clickhouse.correct(Corrections((corrected(records[1], None),)))
    assert await clickhouse.reconcile(repair=False, quiet_s=0) == []
    for rollup in ROLLUPS:
        time = ROLLUPS[rollup][0]
        client.command(f"INSERT INTO {rollup} ({time}, calls) VALUES (now(), 7)")
    found = await clickhouse.reconcile(repair=True, quiet_s=0)
    assert {one.rollup for one in found} == set(ROLLUPS)
    assert await clickhouse.reconcile(repair=False, quiet_s=0) == []
    assert by_user(client, "spend_tags_15m") == by_user(client, "rows")
    await clickhouse.close()


@pytest.mark.thorough
async def test_sums_of_calls_that_are_gone_are_kept(
    client: Client,
    chdb_dsn: str,
    new_database: str,
    make_records: "RecordMaker",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The older rollup has days whose calls are too old: they are copied, the others are not."""
    older = [file for file in schema_files() if file.name < "017"]
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "schema_files", lambda: older)
        migrate(client, database=new_database, ttl_days=90)
    month_us = 30 * 24 * 3600 * 10**6
    records = make_records(60)
    gone = [msgspec.structs.replace(one, ts_us=one.ts_us - month_us) for one in records[:20]]
    insert(client, [*gone, *records[20:]])
    correct(client, corrected(gone[0], "1.5"))
    correct(client, corrected(records[30], "2.5"))
    whole = totals(client, "calls_1h")
    old = "ts < now() - INTERVAL 10 DAY SETTINGS mutations_sync = 2"
    client.command(f"ALTER TABLE calls DELETE WHERE {old}")
    client.command(f"ALTER TABLE corrections DELETE WHERE {old}")
    monkeypatch.setattr(backfill, "SOON_S", (1, 4, 30))
    migrate(client, database=new_database, ttl_days=90)
    assert totals(client, "sums_1h") == whole
    insert(client, make_records(5))
    assert client.query("SELECT sum(calls) FROM calls_1h").result_rows == [(60,)]
    assert client.query("SELECT sum(calls) FROM sums_1h").result_rows == [(65,)]
    assert client.query("SELECT sum(calls) FROM usage_1h").result_rows == [(45,)]
    assert client.query("SELECT sum(calls) FROM latency_1h").result_rows == [(45,)]


def totals(client: Client, rollup: str) -> object:
    """Sums by hour and team."""
    names = ("calls", "errors", "unpriced_calls", "inexact_calls", "partial_calls", "listed_calls")
    sums = [f"toInt64(sum({name}))" for name in names]
    sums += [f"sum({name})" for name in ("input_tokens_total", "cost_usd", "list_usd")]
    sql = f"SELECT hour, team, {', '.join(sums)} FROM {rollup} GROUP BY hour, team ORDER BY ALL"
    return client.query(sql).result_rows


def insert(client: Client, records: list[Record]) -> None:
    """As a version without these rollups does."""
    known = {str(row[0]) for row in client.query("DESCRIBE TABLE calls").result_rows}
    fields = [name for name in Record.__struct_fields__ if name == "ts_us" or name in known]
    rows = [[getattr(record, name) for name in fields] for record in records]
    client.insert("calls", rows, ["ts", *fields[1:]])


def correct(client: Client, one: Correction) -> None:
    """The same, of a correction."""
    known = {str(row[0]) for row in client.query("DESCRIBE TABLE corrections").result_rows}
    names = [name for name in FIELDS if name in known]
    client.insert("corrections", [[getattr(one, name) for name in names]], names)
