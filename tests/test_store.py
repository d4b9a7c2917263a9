"""What the store answers is what was written: exact, JSON-ready, and never by a caller's SQL."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from exporters.clickhouse import connection
from exporters.clickhouse.calls_sql import CallsQuestion
from exporters.clickhouse.clickhouse import COLUMNS, ClickHouse
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.query import Filter, Query
from exporters.clickhouse.report_sql import sums
from exporters.clickhouse.reports import report
from exporters.clickhouse.store import Store
from exporters.record import EXACT, Batch, Record, TransientError
from support.clickhouse import ClickHouseServer

if TYPE_CHECKING:
    from conftest import RecordMaker

HOUR = timedelta(hours=1)


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def filled(store_dsn: str, make_records: "RecordMaker") -> tuple[str, str, list[Record]]:
    """DSN and database, and the records in it, newest first."""
    records = make_records(300)

    async def fill() -> None:
        exporter = ClickHouse(store_dsn, database="test_store")
        await exporter.export(Batch("s:0-299", tuple(records)))
        await exporter.close()

    asyncio.run(fill())
    return store_dsn, "test_store", records


@pytest.fixture
def records(filled: tuple[str, str, list[Record]]) -> list[Record]:
    return filled[2]


@pytest.fixture
async def store(filled: tuple[str, str, list[Record]]) -> AsyncIterator[Store]:
    """Reads them."""
    store = Store(filled[0], database=filled[1])
    yield store
    await store.close()


def cost(records: list[Record]) -> Decimal:
    with localcontext(EXACT):
        return sum((r.cost_usd for r in records if r.cost_usd is not None), Decimal(0))


async def test_calls_are_json_ready_and_exact(store: Store, records: list[Record]) -> None:
    """The newest come first, with every column as JSON can hold it and nothing rounded."""
    rows = await store.calls(CallsQuestion(limit=300))
    assert [row["call_id"] for row in rows] == [record.call_id for record in records]
    assert rows[0].keys() == {*COLUMNS, "ingested_at"}
    json.dumps(rows)
    for row, record in zip(rows, records, strict=True):
        at = datetime.fromisoformat(str(row["ts"])) - datetime(1970, 1, 1, tzinfo=UTC)
        assert str(row["ts"]).endswith("Z")
        assert at // datetime.resolution == record.ts_us
        assert row["usage"] == {"input": int(record.usage["input"]), "audio_seconds": "1.5"}
        if record.cost_usd is None:
            assert row["cost_usd"] is None
        else:
            text = str(row["cost_usd"])
            assert Decimal(text) == record.cost_usd
            assert text == "0" or not ("." in text and text.endswith("0"))
        assert row["reasons"] == list(record.reasons)
        assert row["first_token_us"] == record.first_token_us
        assert row["duration_us"] == record.duration_us
        assert row["stream"] is record.stream
        assert row["tags"] == record.tags


async def test_pages(store: Store, records: list[Record]) -> None:
    """Asking for what comes after the last row seen leaves nothing out and repeats nothing."""
    seen: list[Any] = []
    before, before_id = None, ""
    while page := await store.calls(CallsQuestion(limit=70, before=before, before_id=before_id)):
        seen += [row["call_id"] for row in page]
        before, before_id = datetime.fromisoformat(str(page[-1]["ts"])), str(page[-1]["call_id"])
    assert seen == [record.call_id for record in records]


async def test_filters(store: Store, records: list[Record]) -> None:
    """Filters compare for being equal and go together; hostile text is only text."""
    wanted = [r for r in records if r.provider == "openai" and r.stream and r.http_status == 200]
    filters = (
        Filter("provider", ("openai",)),
        Filter("stream", (True,)),
        Filter("http_status", (200,)),
    )
    rows = await store.calls(CallsQuestion(limit=300, filters=filters))
    assert [row["call_id"] for row in rows] == [record.call_id for record in wanted]
    hostile = (Filter("provider", ("x' OR 1=1 --\\",)),)
    assert await store.calls(CallsQuestion(filters=hostile)) == []
    everything = await store.calls(CallsQuestion(limit=300))
    since = datetime.now(UTC) - HOUR
    assert 0 < len(await store.calls(CallsQuestion(limit=300, since=since))) < 300
    with pytest.raises(ValueError, match="calls have no '1=1; DROP'"):
        await store.calls(CallsQuestion(filters=(Filter("1=1; DROP", ("x",)),)))
    first = datetime(1, 1, 1, tzinfo=UTC)
    assert await store.calls(CallsQuestion(limit=1, since=first)) == everything[:1]
    last = datetime(9999, 12, 31, tzinfo=UTC)
    assert await store.calls(CallsQuestion(limit=1, since=last)) == []


async def test_refusals_are_listed_apart(
    store_dsn: str, database: str, make_records: "RecordMaker"
) -> None:
    """What a budget refused is in no list and no count of calls; a shadow's call is in both."""
    refused, shadowed, other = make_records(3)
    refused = replace(refused, outcome="refused", blocked_by=("b", "c"), cost_usd=Decimal(0))
    shadowed = replace(shadowed, blocked_by=("s",))
    exporter = ClickHouse(store_dsn, database=database)
    store = Store(store_dsn, database=database)
    for _ in range(2):  # again under the same token
        await exporter.export(Batch("s:0-2", (refused, shadowed, other)))
    calls, refusals = await store.calls(), await store.refusals()
    assert {row["call_id"]: row["blocked_by"] for row in calls} == {
        shadowed.call_id: ["s"],
        other.call_id: [],
    }
    assert [(row["call_id"], row["blocked_by"]) for row in refusals] == [
        (refused.call_id, ["b", "c"])
    ]
    nobody = (Filter("team", ("nobody",)),)
    assert await store.refusals(CallsQuestion(filters=nobody)) == []
    for name, value in (("blocked_by", "c"), ("model", refused.request_model)):
        assert len(await store.refusals(CallsQuestion(filters=(Filter(name, (value,)),)))) == 1
    by_nobody = (Filter("blocked_by", ("", "x")),)
    assert [row["call_id"] for row in await store.calls(CallsQuestion(filters=by_nobody))] == [
        other.call_id
    ]
    with pytest.raises(ValueError, match="refusals have no 'cost_status'"):
        await store.refusals(CallsQuestion(filters=(Filter("cost_status", ("exact",)),)))
    assert (await report(store, Query())).total["calls"] == 2
    await store.close()
    await exporter.close()


async def test_one_call_with_its_receipt(store: Store, records: list[Record]) -> None:
    """A call is found by its id, with the receipt opened; another id finds nothing."""
    row = await store.call(records[5].call_id)
    assert row is not None
    assert row["source"] == records[5].source
    assert row["lines"] == [{"meter": "input", "usd": "0.10"}]
    assert row["subcalls"] == [{"model": "small"}]
    assert await store.call("0192d3c0-0000-7000-8000-00000000ffff") is None
    assert await store.call("'; DROP TABLE calls") is None


async def test_spend_adds_up(store: Store, records: list[Record]) -> None:
    """Each group's sums are those of its records, to the last digit, the dearest group first."""
    groups = defaultdict(list)
    for record in records:
        groups[record.provider, record.response_model].append(record)
    by = ("provider", "response_model")
    rows = (await report(store, Query(since=this_hour() - 3 * HOUR, by=by))).rows
    assert len(rows) == len(groups)
    for row in rows:
        group = groups[str(row["provider"]), str(row["response_model"])]
        assert Decimal(str(row["cost_usd"])) == cost(group)
        assert row["calls"] == len(group)
        assert row["unpriced_calls"] == sum(r.cost_usd is None for r in group)
        assert row["inexact_calls"] == sum(r.cost_status == "estimated" for r in group)
        assert row["errors"] == sum(r.outcome != "ok" for r in group)
        assert row["input_tokens_total"] == sum(r.input_tokens_total or 0 for r in group)
    costs = [Decimal(str(row["cost_usd"])) for row in rows]
    assert costs == sorted(costs, reverse=True)


async def test_rows_and_rollup_give_the_same_report(store: Store) -> None:
    """Whether a report is read from the hourly rollups or from the rows cannot be seen in it."""
    since = this_hour() - 3 * HOUR
    for by, times in ((("team", "model"), "calls"), (("model",), "latency_1h")):
        hours = Query(since=since, by=by)
        assert "FROM sums_1h AS" in sums(hours).sql
        assert f"FROM {times} AS" in sums(hours).sql
        earlier = Query(since=since - timedelta(microseconds=1), by=by)
        assert "_1h" not in sums(earlier).sql
        rolled_up = await report(store, hours)
        assert len(rolled_up.rows) == 8 if "team" in by else 2
        assert rolled_up == await report(store, earlier)


async def test_quantiles(store: Store, records: list[Record]) -> None:
    """Times are within the one percent that the sketch promises, and unknown where none came."""
    (row,) = (await report(store, Query())).rows
    times = sorted(r.first_token_us for r in records if r.first_token_us is not None)
    for name, level in (("first_token_p50_us", 0.5), ("first_token_p95_us", 0.95)):
        exact = times[int(level * (len(times) - 1))]
        assert exact * 0.97 < int(str(row[name])) < exact * 1.03
    (never,) = (await report(store, Query(until=datetime(2000, 1, 1, tzinfo=UTC)))).rows
    assert (never["calls"], never["cost_usd"], never["first_token_p50_us"]) == (0, "0", None)


async def test_groups(store: Store, records: list[Record]) -> None:
    """Columns, the model and a caller's own tag can be grouped by; a column of numbers cannot."""
    rows = (await report(store, Query(by=("tag.ticket", "outcome")))).rows
    assert {row["tag.ticket"] for row in rows} == {"A-1", "Ü\n'2`"}
    assert sum(int(str(row["calls"])) for row in rows) == len(records)
    for hostile in ("duration_us", "tag.`", "tag.\\", "1; DROP TABLE calls"):
        with pytest.raises(ValueError, match="calls have no"):
            await report(store, Query(by=(hostile,)))
    with pytest.raises(ValueError, match="no time zone"):
        await report(store, Query(since=datetime(2026, 1, 1)))  # noqa: DTZ001 — what is refused


@pytest.mark.parametrize("step", [HOUR, timedelta(minutes=10)])
async def test_timeline(store: Store, records: list[Record], step: timedelta) -> None:
    """Spend over time: steps in order, each with its calls, all of them together all calls."""
    query = Query(since=this_hour() - 3 * HOUR, step=step, by=("provider",))
    rows = (await report(store, query)).rows
    times = [datetime.fromisoformat(str(row["time"])) for row in rows]
    assert times == sorted(times)
    assert all((at - datetime(1970, 1, 1, tzinfo=UTC)) % step == timedelta(0) for at in times)
    with localcontext(EXACT):
        assert sum(Decimal(str(row["cost_usd"] or 0)) for row in rows) == cost(records)


async def test_read_only(store: Store) -> None:
    """Nothing can be written through the store."""
    for sql in ("DROP TABLE calls", "INSERT INTO calls (provider) VALUES ('x')"):
        with pytest.raises(TransientError, match="READONLY"):
            await store.ask(sql, {})


async def test_columns(store: Store) -> None:
    """The table's columns are told with their types, and those that show the real ids."""
    columns = {row["name"]: row["type"] for row in await store.columns()}
    assert columns.keys() == {*COLUMNS, "ingested_at", "trace", "span"}
    assert columns["cost_usd"] == "Nullable(Decimal(38, 18))"


async def test_health(store: Store, records: list[Record]) -> None:
    """A store that answers says what it holds."""
    health = await store.health()
    assert (health["ok"], health["calls"]) == (True, len(records))
    assert health["newest"] == (await store.calls(CallsQuestion(limit=1)))[0]["ts"]


async def test_no_database_yet(store_dsn: str) -> None:
    """Before the first start of the meter, health says what is missing and reads say it too."""
    store = Store(store_dsn, database="nowhere")
    health = await store.health()
    assert health["ok"] is False
    assert "database not found" in str(health["error"])
    with pytest.raises(TransientError, match="database not found"):
        await store.calls()
    await store.close()


async def test_a_server_that_hangs(clickhouse_server: ClickHouseServer, new_database: str) -> None:
    """A question is given up after the DSN's timeout, and the next one is answered."""
    store = Store(f"{clickhouse_server.dsn}?timeout_s=1", database=new_database)
    await store.health()
    clickhouse_server.fault("hang", only="any", count=1, seconds=1.5)
    assert str((await store.health())["error"]).endswith(": timed out")
    assert "database not found" in str((await store.health())["error"])
    await store.close()


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["c", "my own db"])
async def test_a_database_may_have_any_name(
    store_dsn: str, name: str, make_records: "RecordMaker"
) -> None:
    """Also one that our SQL uses for a table, a column or a part of a statement."""
    records = make_records(10)
    exporter = ClickHouse(store_dsn, database=name)
    await exporter.export(Batch("s:0-9", tuple(records)))
    client = connection.connect(parse_dsn(store_dsn))
    client.database = name
    total = client.query("SELECT count(), sum(cost_usd) FROM priced_calls").result_rows
    assert total == [(10, cost(records))]
    client.command("INSERT INTO latency_1h SELECT * FROM latency_1h")
    assert await exporter.reconcile(repair=True, quiet_s=0)
    assert await exporter.reconcile(repair=False, quiet_s=0) == []
    client.close()
    await exporter.close()


async def test_reconcile(store_dsn: str, database: str, make_records: "RecordMaker") -> None:
    """A rollup that lost or doubled rows is found by day, rebuilt, and right again."""
    records = make_records(100)
    exporter = ClickHouse(store_dsn, database=database)
    await exporter.export(Batch("s:0-99", tuple(records)))
    client = connection.connect(parse_dsn(store_dsn))
    client.database = database
    client.command("ALTER TABLE sums_1h DELETE WHERE team = 'ads' SETTINGS mutations_sync = 2")
    client.command("INSERT INTO latency_1h SELECT * FROM latency_1h")
    assert await exporter.reconcile(repair=True) == []  # rows came in just now: not yet
    found = await exporter.reconcile(repair=False, quiet_s=0)
    assert {difference.rollup for difference in found} == {"latency_1h", "sums_1h"}
    repaired = await exporter.reconcile(repair=True, quiet_s=0)
    assert [d.day for d in repaired] == [d.day for d in found]
    assert all(difference.repaired for difference in repaired)
    assert await exporter.reconcile(repair=False, quiet_s=0) == []
    total = client.query("SELECT sum(calls), sum(cost_usd) FROM sums_1h").result_rows
    assert total == [(100, cost(records))]
    assert client.query("SELECT sum(calls) FROM latency_1h").result_rows == [(100,)]
    client.close()
    await exporter.close()
