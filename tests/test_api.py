"""The console's API answers what is asked, and says what is wrong with a question."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import Batch, Record
from pricing.reason import Reason
from proxy.console.api import application
from proxy.instants import instant
from proxy.settings.config import Listen

if TYPE_CHECKING:
    from conftest import RecordMaker

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DATABASE = "test_api"
WELL: dict[str, dict[str, object]] = {"meter": {"ok": True}}


@pytest.fixture(scope="module")
def records(make_records: "RecordMaker", chdb_dsn: str) -> list[Record]:
    """Those in the store."""
    records = make_records(20)

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE)
        await exporter.export(Batch("s:0-19", tuple(records)))
        await exporter.close()

    asyncio.run(fill())
    return records


@pytest.fixture
async def console(chdb_dsn: str, records: list[Record]) -> AsyncIterator[ClientSession]:
    """A session whose base is a console over a store with those records."""
    store = Store(chdb_dsn, database=DATABASE)
    server = TestServer(application(store, lambda: WELL, Listen()))
    await server.start_server()
    async with ClientSession(server.make_url("/")) as session:
        yield session
    await server.close()
    await store.close()


async def get(console: ClientSession, path: str, status: int = 200) -> Any:
    async with console.get(path) as answer:
        assert answer.status == status
        return await answer.json()


async def test_the_newest_calls_come_first_and_no_more_than_asked(
    console: ClientSession, records: list[Record]
) -> None:
    """`limit` calls with all columns, money as exact text, unknown as null."""
    rows = await get(console, "/api/calls?limit=5")
    newest = sorted(records, key=lambda record: -record.ts_us)[:5]
    assert [row["call_id"] for row in rows] == [record.call_id for record in newest]
    for row, record in zip(rows, newest, strict=True):
        assert set(Record.__struct_fields__) - {"ts_us"} <= set(row)
        cost = row["cost_usd"]
        assert (None if cost is None else Decimal(cost)) == record.cost_usd
        assert row["input_tokens_total"] == record.input_tokens_total
        assert row["usage"]["audio_seconds"] == "1.5"


async def test_since_leaves_out_what_is_older(
    console: ClientSession, records: list[Record]
) -> None:
    """An age and an instant say the same."""
    since = datetime.now(UTC) - timedelta(hours=1)
    expected = sum(record.ts_us >= since.timestamp() * 1e6 for record in records)
    for text in ("1h", since.isoformat().replace("+", "%2B"), str(since.timestamp())):
        assert len(await get(console, f"/api/calls?since={text}")) == expected


async def test_a_call_has_its_lines(console: ClientSession, records: list[Record]) -> None:
    """By its id a call comes with its receipt; an id that nobody has is a 404 that says so."""
    row = await get(console, f"/api/calls/{records[0].call_id}")
    assert row["lines"] == [{"meter": "input", "usd": "0.10"}]
    wrong = await get(console, "/api/calls/00000000-0000-7000-8000-000000000000", status=404)
    assert "no call" in wrong["error"]


async def test_a_call_explains_its_reasons(console: ClientSession, records: list[Record]) -> None:
    """Beside the texts that the row holds stand their parts and a sentence for each."""
    for unpriced in (True, False):
        record = next(record for record in records if bool(record.reasons) is unpriced)
        row = await get(console, f"/api/calls/{record.call_id}")
        sentence = Reason.UNKNOWN_MODEL.sentence
        told = {"reason": "unknown_model", "detail": "large-2026", "sentence": sentence}
        assert row["reasons"] == list(record.reasons)
        assert row["explained"] == ([told] if unpriced else [])


async def test_spend_adds_up(console: ClientSession, records: list[Record]) -> None:
    """With nothing to group by there is one row with everything."""
    [total] = await get(console, "/api/spend?since=1d&by=")
    known = sum((record.cost_usd or Decimal(0) for record in records), Decimal(0))
    assert Decimal(total["cost_usd"]) == known
    assert total["unpriced_calls"] == sum(record.cost_usd is None for record in records)


async def test_health_names_every_part(console: ClientSession) -> None:
    """The store and the parts of the process, each with whether it works."""
    health = await get(console, "/api/health")
    assert health["ok"] is True
    assert set(health["parts"]) == {"store", "meter"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/calls?limit=0", "limit"),
        ("/api/calls?limit=many", "limit"),
        ("/api/calls?since=yesterday", "invalid time 'yesterday'; expected 2026-"),
        ("/api/calls?colour=red", "colour"),
        ("/api/spend?by=colour", "colour"),
        ("/api/timeline?step=0", "step"),
    ],
)
async def test_a_wrong_question_is_told_what_is_wrong(
    console: ClientSession, path: str, said: str
) -> None:
    """400, with the name of what cannot be understood."""
    answer = await get(console, path, status=400)
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-23T10:00:00Z", NOW - timedelta(hours=2)),
        ("2026-11-23T12:00:00+02:00", NOW - timedelta(hours=2)),
        ("2026-11-23T12:00:00 02:00", NOW - timedelta(hours=2)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(weeks=2)),
        (str(NOW.timestamp()), NOW),
    ],
)
def test_instants_may_be_written_in_several_ways(text: str, at: datetime) -> None:
    """ISO 8601 (also with a plus that a query lost), an age, seconds since the epoch."""
    assert instant(text, NOW) == at
