"""Reports over real rows: parts add up to the total to the last digit, in every zone and bucket."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from exporters.clickhouse import connection
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.notes import notes
from exporters.clickhouse.query import BUCKETS, Filter, Query
from exporters.clickhouse.report_sql import in_rollup
from exporters.clickhouse.reports import ZERO, Report, columns, report
from exporters.clickhouse.store import Store
from exporters.record import EXACT, Batch, Record

DATABASE = "test_query_answers"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = "Europe/Berlin"
# A clock that skips half an hour, one that skips midnight, one off by 45 minutes, and the usual.
ZONES = ("UTC", BERLIN, "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu")


def last_change(zone: str) -> datetime:
    """The last midnight UTC before a change of the clocks of `zone`, within a year."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 3 * DAY
    offset = ZoneInfo(zone).utcoffset
    while offset(day) == offset(day + DAY):
        day -= DAY
    return day


CHANGE = last_change(BERLIN)
SINCE, UNTIL = CHANGE - 2 * DAY, CHANGE + 3 * DAY


def made() -> list[Record]:
    """Some hundred calls around a change of the clocks, a few of them at its very edges."""
    chance = random.Random(7)
    ends = [SINCE, CHANGE, CHANGE + HOUR, UNTIL - timedelta(microseconds=1)]
    times = ends + [SINCE + (UNTIL - SINCE) * chance.random() for _ in range(300)]
    return [_record(chance, at) for at in times]


def _record(chance: random.Random, at: datetime) -> Record:
    cost = Decimal(chance.randrange(10**20)).scaleb(-18) if chance.random() < 0.9 else None
    return Record(
        ts_us=(at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1),
        call_id=str(UUID(int=chance.getrandbits(128))),
        provider=chance.choice(("openai", "anthropic")),
        response_model=chance.choice(("small", "large", "")),
        request_model="asked",
        operation="chat",
        team=chance.choice(("search", "ads", "")),
        user_id=chance.choice(("ann", "bob", "eve")),
        outcome=chance.choice(("ok", "ok", "http_error")),
        cost_usd=cost,
        list_usd=cost,
        cost_status="unpriced" if cost is None else chance.choice(("exact", "estimated")),
        list_status="unpriced" if cost is None else "exact",
        reasons=("unknown_model:large",) if cost is None else (),
        input_tokens_total=chance.randrange(1000),
        duration_us=chance.randrange(10**6),
        stream=chance.random() < 0.5,
        tags={"ticket": chance.choice(("A", "B"))},
    )


RECORDS = made()


@pytest.fixture(scope="module")
def filled(chdb_dsn: str) -> str:
    """A store with those rows."""

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE, ttl_days=800)
        await exporter.export(Batch("s:0-1", tuple(RECORDS)))
        await exporter.close()

    asyncio.run(fill())
    return chdb_dsn


@pytest.fixture
async def store(filled: str) -> AsyncIterator[Store]:
    """Reads them."""
    store = Store(filled, database=DATABASE)
    yield store
    await store.close()


def cost(rows: list[dict[str, object]]) -> Decimal:
    with localcontext(EXACT):
        return sum((Decimal(str(row["cost_usd"] or 0)) for row in rows), Decimal(0))


def adds_up(found: Report, records: list[Record]) -> None:
    """Rows are the total, and the total is that of the records; nothing is rounded."""
    for name in ("calls", "errors", "unpriced_calls", "inexact_calls", "input_tokens_total"):
        assert sum(int(str(row[name])) for row in found.rows) == found.total[name], name
    assert cost(found.rows) == cost([found.total])
    with localcontext(EXACT):
        known = sum((one.cost_usd for one in records if one.cost_usd is not None), Decimal(0))
    assert cost([found.total]) == known
    assert found.total["calls"] == len(records)


@pytest.mark.parametrize("zone", ZONES)
async def test_sums_in_every_zone(store: Store, zone: str) -> None:
    """Days of a zone are the range, alone and by team, also when a day has 23 or 25 hours."""
    for bucket in BUCKETS:
        for by in ((), ("team", "model")):
            query = Query(since=SINCE, until=UNTIL, bucket=bucket, by=by, zone=zone)
            found = await report(store, query)
            adds_up(found, RECORDS)
            assert by or len(found.rows) == len(query.windows())
            assert found.rows[0]["start"] == f"{SINCE:%Y-%m-%dT%H:%M:%SZ}"
            assert found.rows[-1]["end"] == f"{UNTIL:%Y-%m-%dT%H:%M:%SZ}"
            assert set(found.rows[0]) <= set(columns(query))


async def test_days_are_those_of_the_calendar(store: Store) -> None:
    """A call counts on the date that the clocks of the zone showed when it began."""
    found = await report(store, Query(since=SINCE, until=UNTIL, bucket="day", zone=BERLIN))
    shown = Counter(
        f"{datetime.fromtimestamp(one.ts_us / 1e6, ZoneInfo(BERLIN)):%Y-%m-%d}" for one in RECORDS
    )
    assert {str(row["day"]): row["calls"] for row in found.rows} == shown


async def test_the_rollup_and_the_rows_give_the_same(store: Store) -> None:
    """Days of Berlin are whole hours; those of Kathmandu are not, and are read from the rows."""
    for by in ((), ("team",), ("provider", "model")):
        hours = Query(since=SINCE, until=UNTIL, bucket="day", by=by, zone=BERLIN)
        assert in_rollup(hours, [int(w.start.timestamp()) for w in hours.windows()])
        every = (Filter("outcome", ("nobody",), negated=True),)  # only rows know the outcome
        rows = Query(since=SINCE, until=UNTIL, bucket="day", by=by, zone=BERLIN, filters=every)
        assert not in_rollup(rows)
        assert await report(store, hours) == await report(store, rows)
    off = Query(since=SINCE, until=UNTIL, bucket="day", zone="Asia/Kathmandu")
    assert not in_rollup(off, [int(w.start.timestamp()) for w in off.windows()])


async def test_buckets_without_calls(store: Store) -> None:
    """They have a row of zero calls, known to cost nothing."""
    early = Query(since=SINCE - 3 * DAY, until=SINCE, bucket="day", by=())
    found = await report(store, early)
    assert [row["calls"] for row in found.rows] == [0, 0, 0]
    assert found.rows[0] == found.rows[0] | ZERO | {"cost_status": "exact"}
    assert found.total["calls"] == 0
    assert (found.total["cost_usd"], found.total["cost_status"]) == ("0", "exact")
    assert (await report(store, Query(since=SINCE - DAY, until=SINCE, by=("team",)))).rows == []


@pytest.mark.parametrize("bucket", ["", "day"])
async def test_the_other_groups(store: Store, bucket: str) -> None:
    """A limit names the dearest groups; the rest is one row, so that nothing is missing."""
    query = Query(since=SINCE, until=UNTIL, by=("user", "stream", "tag.ticket"), bucket=bucket)
    whole = await report(store, query)
    limited = await report(store, replace(query, limit=2))
    adds_up(limited, RECORDS)
    assert limited.total == whole.total
    named = {(row["user"], row["stream"]) for row in limited.rows if not row["other"]}
    assert len(named) <= 2
    assert {row["user"] for row in limited.rows if row["other"]} == {None}
    if not bucket:
        assert [row["other"] for row in limited.rows].count(True) == 1
        first = [row for row in limited.rows if not row["other"]]
        assert [cost([row]) for row in first] == [cost([row]) for row in whole.rows[:2]]


FILTERED = (
    (Filter("team", ("search",)), lambda r: r.team == "search"),
    (Filter("team", ("search", "")), lambda r: r.team in {"search", ""}),
    (Filter("team", ("",), negated=True), lambda r: r.team != ""),
    (Filter("stream", (True,)), lambda r: r.stream),
    (Filter("model", ("asked",)), lambda r: not r.response_model),
    (Filter("tag.ticket", ("A",)), lambda r: r.tags["ticket"] == "A"),
    (Filter("tag.nothing", ("",)), lambda r: True),
    (Filter("reason", ("unknown_model",)), lambda r: r.reasons),
    (Filter("reason", ("unknown_model:large",)), lambda r: r.reasons),
    (Filter("reason", ("",)), lambda r: not r.reasons),
    (Filter("cost_status", ("exact", "estimated")), lambda r: r.cost_usd is not None),
)


@pytest.mark.parametrize(("one", "passes"), FILTERED, ids=lambda value: getattr(value, "name", ""))
async def test_filters(store: Store, one: Filter, passes: object) -> None:
    """Exactly the calls with one of the values; nothing is said, since each value is there."""
    assert callable(passes)
    query = Query(since=SINCE, until=UNTIL, by=("reason",), filters=(one,))
    adds_up(await report(store, query), [record for record in RECORDS if passes(record)])
    assert await notes(store, query) == []


async def test_values_that_nobody_has(store: Store) -> None:
    """They are named, with those that are near; an empty answer is no zero without a word."""
    query = Query(
        since=SINCE, until=UNTIL, filters=(Filter("team", ("serch", "ads")), Filter("user", ("x",)))
    )
    assert await notes(store, query) == [
        "no call has team=serch; did you mean search?",
        "no call has user=x",
    ]
    early = Query(since=SINCE - DAY, until=SINCE, filters=(Filter("team", ("ads",)),))
    assert await notes(store, early) == ["no call of this period has team=ads"]
    excluded = Query(
        since=SINCE, filters=(Filter("stream", (True,)), Filter("reason", ("z",), negated=True))
    )
    assert await notes(store, excluded) == ["no call has reason=z"]


async def test_too_many_rows_are_refused(store: Store) -> None:
    """Steps that do not fit are no silent half of an answer."""
    query = Query(since=SINCE - 300 * DAY, until=UNTIL, bucket="hour")
    with pytest.raises(ValueError, match="more than 5,000"):
        await report(store, query)


async def test_rows_that_are_gone(filled: str, store: Store) -> None:
    """Rows are kept for a while, sums for longer: an answer without them says so."""
    client = connection.connect(parse_dsn(filled))
    client.database = DATABASE
    cut = SINCE + DAY
    client.command(
        f"ALTER TABLE calls DELETE WHERE ts < toDateTime({int(cut.timestamp())}, 'UTC')"
        " SETTINGS mutations_sync = 2"
    )
    gone = sum(record.ts_us < cut.timestamp() * 1e6 for record in RECORDS)
    try:
        by_user = Query(since=SINCE, until=UNTIL, by=("user",))
        (said,) = await notes(store, by_user)
        assert said.startswith(f"{gone:,} calls of this period are kept as hourly sums only")
        assert (await report(store, by_user)).total["calls"] == len(RECORDS) - gone
        by_team = Query(since=SINCE, until=UNTIL, by=("team",))
        (said,) = await notes(store, by_team)
        assert said.endswith("are not in the percentiles")
        assert await notes(store, Query(since=SINCE, until=UNTIL, by=("model",))) == []
        adds_up(await report(store, by_team), RECORDS)
    finally:
        client.close()
