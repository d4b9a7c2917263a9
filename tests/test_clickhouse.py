"""Rows arrive once, whole and exact, in chDB and on a server, whatever goes wrong on the way."""

import asyncio
import http.client
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from functools import partial
from pathlib import Path
from time import sleep, time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from evaluation.standin.processes import free_port
from exporters.clickhouse import connection
from exporters.clickhouse.clickhouse import COLUMNS, FIELDS, ClickHouse, columns
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.writer import INSERT_SETTINGS, token
from exporters.record import EXACT, Batch, PermanentError, Record, TransientError, rounded
from support.clickhouse import ClickHouseServer, StartServer
from support.patience import PATIENCE_S

if TYPE_CHECKING:
    from conftest import RecordMaker

FULL = Record(
    ts_us=int(time()) * 1_000_000 + 123_457,  # of today: rollups forget after a month
    call_id="0192d3c0-0000-7000-8000-00000000abcd",
    provider="openai",
    outcome="ok",
    request_model="naïve-模型\x00'\\",
    stream=True,
    attempt=300,
    usage={"input": Decimal(12), "audio_seconds": Decimal("3.0000000005")},
    input_tokens_total=0,
    cost_usd=Decimal("999999999999999.123456789012345678"),
    cost_input_usd=Decimal(0),
    reported_usd=Decimal("-0.000000000000000001"),
    cost_status="exact",
    reasons=("a", "b"),
    duration_us=2**63,
    first_byte_us=0,
    tags={"k": "v", "": ""},
)


def ask(dsn: str, database: str, sql: str) -> Sequence[Sequence[Any]]:
    """The rows that a client of its own gets."""
    parsed = parse_dsn(dsn, database)
    client = connection.connect(parsed)
    client.database = database
    rows = client.query(sql).result_rows
    client.close()
    return rows


def totals(dsn: str, database: str) -> list[tuple[Any, ...]]:
    """Calls, cost and unpriced calls: of the rows, of those and corrections, by the hour."""
    sums = "sum(calls), sum(cost_usd), sum(unpriced_calls)"
    rows = "count(), sum(cost_usd), countIf(cost_usd IS NULL)"
    signed = "sum(calls), sum(cost_usd), toUInt64(sumIf(calls, cost_usd IS NULL))"
    return [
        tuple(ask(dsn, database, f"SELECT {what} FROM {table}")[0])
        for what, table in ((rows, "calls"), (signed, "call_sums"), (sums, "sums_1h"))
    ]


def expected(records: Sequence[Record]) -> tuple[int, Decimal, int]:
    """What `totals` must say three times."""
    costs = [record.cost_usd for record in records if record.cost_usd is not None]
    with localcontext(EXACT):
        return len(records), sum(costs, Decimal(0)), len(records) - len(costs)


@pytest.fixture
async def exporter(store_dsn: str, database: str) -> AsyncIterator[ClickHouse]:
    """An exporter with a database to itself."""
    exporter = ClickHouse(store_dsn, database=database)
    yield exporter
    await exporter.close()


@pytest.fixture
async def to_server(
    clickhouse_server: ClickHouseServer, database: str
) -> AsyncIterator[ClickHouse]:
    """One over HTTP, connected."""
    exporter = ClickHouse(clickhouse_server.dsn, database=database)
    await exporter.open()
    yield exporter
    await exporter.close()


async def test_every_field_comes_back(exporter: ClickHouse, store_dsn: str, database: str) -> None:
    """Each field of a record is a column, exact; unknown stays unknown and zero stays zero."""
    await exporter.export(Batch("s:0-0", (FULL,)))
    (row,) = ask(store_dsn, database, f"SELECT {', '.join(COLUMNS)} FROM calls")
    found = dict(zip(FIELDS, row, strict=True))
    instant = found.pop("ts_us").replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    assert instant // datetime.resolution == FULL.ts_us
    assert found.pop("call_id") == UUID(FULL.call_id)
    assert found.pop("usage") == {"input": 12, "audio_seconds": Decimal("3.000000000")}  # to even
    lists = {"reasons": list(FULL.reasons), "blocked_by": list(FULL.blocked_by)} | {
        "losses": list(FULL.losses)
    }
    wanted = msgspec.structs.asdict(FULL) | lists
    assert found == {name: wanted[name] for name in found}


@pytest.mark.thorough
async def test_rollups_equal_the_rows(
    exporter: ClickHouse, store_dsn: str, database: str, make_records: "RecordMaker"
) -> None:
    """Counts and costs of rows, minutes and hours agree to the last digit, sent once or twice."""
    records = make_records(2_000)
    halves = [Batch("s:0-999", tuple(records[:1000])), Batch("s:1000-1999", tuple(records[1000:]))]
    for batch in (*halves, *halves, Batch("s:2000-1999", ())):
        await exporter.export(batch)
    assert totals(store_dsn, database) == [expected(records)] * 3


async def test_nothing_known_adds_up_to_nothing_known(
    exporter: ClickHouse, store_dsn: str, database: str
) -> None:
    """An hour of unpriced calls has no cost, which is not a cost of zero."""
    unpriced = msgspec.structs.replace(FULL, cost_usd=None, input_tokens_total=None)
    await exporter.export(Batch("s:0-0", (unpriced,)))
    assert totals(store_dsn, database) == [(1, None, 1)] * 3
    sql = "SELECT sum(input_tokens_total) FROM sums_1h"
    assert ask(store_dsn, database, sql) == [(None,)]


@pytest.mark.thorough
async def test_one_insert_spans_many_days(
    store_dsn: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch after a long outage lands in as many partitions as it needs, once.

    A server allows 100 in one insert unless told otherwise; here 2, to be quick.
    """
    limited = partial(connection.connect, settings={"max_partitions_per_insert_block": 2})
    monkeypatch.setattr(connection, "connect", limited)
    batch = Batch("s:0-4", tuple(_days_ago(i) for i in range(5)))
    exporter = ClickHouse(store_dsn, database=database)
    for _ in range(2):
        await exporter.export(batch)
    sql = "SELECT count(), uniqExact(toDate(ts)) FROM calls"
    assert ask(store_dsn, database, sql) == [(5, 5)]
    await exporter.close()
    monkeypatch.delitem(INSERT_SETTINGS, "max_partitions_per_insert_block")
    exporter = ClickHouse(store_dsn, database=database)
    with pytest.raises(TransientError, match="Too many partitions"):
        await exporter.export(Batch("s:5-9", tuple(_days_ago(i) for i in range(5, 10))))
    await exporter.close()


def _days_ago(days: int) -> Record:
    return msgspec.structs.replace(
        FULL, ts_us=FULL.ts_us - days * 86_400_000_000, call_id=str(UUID(int=days))
    )


async def test_a_token_used_again_loses_nothing(
    exporter: ClickHouse, store_dsn: str, database: str
) -> None:
    """Other calls at the same journal position, as after deleting the journal, are other rows."""
    other = msgspec.structs.replace(FULL, call_id=str(UUID(int=1)))
    for record in (FULL, other, FULL):
        await exporter.export(Batch("s:0-0", (record,)))
    assert ask(store_dsn, database, "SELECT count() FROM calls") == [(2,)]
    assert token(Batch("s:0-0", (FULL,))) != token(Batch("s:0-0", (other,)))


POISON: tuple[dict[str, Any], ...] = (
    {"call_id": "not a UUID"},
    {"http_status": 70_000},
    {"duration_us": -1},
    {"cost_usd": Decimal(10) ** 16},
    {"error_message": "\ud800"},
)


async def test_a_poison_row_is_permanent(
    exporter: ClickHouse, store_dsn: str, database: str
) -> None:
    """A value that cannot be stored fails its batch for good, and the next batch goes through."""
    for number, poison in enumerate(POISON, 1):
        with pytest.raises(PermanentError):
            await exporter.export(Batch("s:0-1", (FULL, msgspec.structs.replace(FULL, **poison))))
        good = msgspec.structs.replace(FULL, call_id=str(UUID(int=number)))
        await exporter.export(Batch(f"s:{number}-{number}", (good,)))
        assert ask(store_dsn, database, "SELECT count() FROM calls") == [(number,)], poison


@pytest.mark.thorough
async def test_tables_that_went_are_made_again(
    exporter: ClickHouse, store_dsn: str, database: str
) -> None:
    """A database dropped under a running meter delays rows and loses none."""
    await exporter.export(Batch("s:0-0", (FULL,)))
    ask(store_dsn, "default", f"DROP DATABASE {database} SYNC")
    with pytest.raises(TransientError, match="database not found"):
        await exporter.export(Batch("s:1-1", (FULL,)))
    await exporter.export(Batch("s:1-1", (FULL,)))
    assert ask(store_dsn, database, "SELECT count() FROM calls") == [(1,)]


async def test_a_larger_batch_after_a_smaller_one(
    store_dsn: str, database: str, make_records: "RecordMaker"
) -> None:
    """Each is one block, whatever came before: a second block under one token would be dropped."""
    exporter = ClickHouse(store_dsn, database=database)
    for size in (1, 7, 3, 20):
        await exporter.export(Batch(f"s:{size}", tuple(make_records(size))))
    await exporter.close()
    assert ask(store_dsn, database, "SELECT count() FROM calls") == [(31,)]


async def test_the_event_loop_does_not_wait(
    to_server: ClickHouse, clickhouse_server: ClickHouseServer
) -> None:
    """The database is spoken to on one other thread."""
    threads = set()
    inner = to_server._insert

    def insert(client: Client, batch: Batch[Record]) -> None:
        threads.add(threading.current_thread().name)
        inner(client, batch)

    to_server._insert = insert  # type: ignore[method-assign]  # to see the thread
    for i in range(3):
        await to_server.export(Batch(f"s:{i}-{i}", (FULL,)))
    assert threads == {"clickhouse_0"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("fault", "rows_before_the_retry"),
    [
        ({"kind": "status", "code": 503}, 0),
        ({"kind": "exception", "code": 252}, 0),  # TOO_MANY_PARTS
        ({"kind": "exception", "code": 497}, 0),  # ACCESS_DENIED
        ({"kind": "drop_before", "count": 2}, 0),  # the client itself sends it a second time
        ({"kind": "commit_then_drop", "count": 2}, 1),
    ],
    ids=lambda value: str(value.get("code", value["kind"])) if isinstance(value, dict) else "",
)
async def test_a_failed_insert_is_sent_again(
    to_server: ClickHouse,
    clickhouse_server: ClickHouseServer,
    database: str,
    fault: dict[str, Any],
    rows_before_the_retry: int,
) -> None:
    """Whatever the server does, the batch is transient, and sent again it is there once."""
    batch = Batch("s:0-0", (FULL,))
    clickhouse_server.fault(**fault)
    with pytest.raises(TransientError, match=r"store http://127\.0\.0\.1"):
        await to_server.export(batch)
    count = "SELECT count() FROM calls"
    assert ask(clickhouse_server.dsn, database, count) == [(rows_before_the_retry,)]
    await to_server.export(batch)
    assert totals(clickhouse_server.dsn, database) == [expected([FULL])] * 3


@pytest.mark.thorough
async def test_a_server_that_hangs(clickhouse_server: ClickHouseServer, database: str) -> None:
    """An insert is given up after the DSN's timeout, and sent again it is there once."""
    exporter = ClickHouse(f"{clickhouse_server.dsn}?timeout_s=1", database=database)
    await exporter.open()
    clickhouse_server.fault("slow", seconds=1.5)
    with pytest.raises(TransientError, match=r"store http://\S+: timed out"):
        await exporter.export(Batch("s:0-0", (FULL,)))
    await asyncio.sleep(1)  # the first one is written after all
    await exporter.export(Batch("s:0-0", (FULL,)))
    assert totals(clickhouse_server.dsn, database) == [expected([FULL])] * 3
    await exporter.close()


async def test_the_client_sends_twice_and_it_counts_once(
    to_server: ClickHouse, clickhouse_server: ClickHouseServer, database: str
) -> None:
    """On a lost answer clickhouse-connect repeats the insert itself: the token makes it one."""
    clickhouse_server.fault("commit_then_drop", count=1)
    before = len(clickhouse_server.sent())
    await to_server.export(Batch("s:0-0", (FULL,)))
    inserts = [sql for sql in clickhouse_server.sent()[before:] if sql.startswith("INSERT")]
    assert len(inserts) == 2
    assert totals(clickhouse_server.dsn, database) == [expected([FULL])] * 3


async def test_no_type_is_asked_for_twice(
    to_server: ClickHouse, clickhouse_server: ClickHouseServer
) -> None:
    """After the first batch an export is one INSERT and nothing else."""
    await to_server.export(Batch("s:0-0", (FULL,)))
    before = len(clickhouse_server.sent())
    await to_server.export(Batch("s:1-1", (FULL,)))
    assert [sql[:6] for sql in clickhouse_server.sent()[before:]] == ["INSERT"]


async def test_a_data_error_from_the_server_is_permanent(
    to_server: ClickHouse, clickhouse_server: ClickHouseServer
) -> None:
    """A code that blames the rows is not retried for ever."""
    clickhouse_server.fault("exception", code=53)  # TYPE_MISMATCH
    with pytest.raises(PermanentError, match="Code: 53"):
        await to_server.export(Batch("s:0-0", (FULL,)))


@pytest.mark.thorough
async def test_no_error_of_connecting_blames_the_rows(
    clickhouse_server: ClickHouseServer, new_database: str
) -> None:
    """The same code while the tables are made leaves the batch waiting."""
    exporter = ClickHouse(clickhouse_server.dsn, database=new_database)
    clickhouse_server.fault("exception", code=53, only="any")
    with pytest.raises(TransientError, match="Code: 53"):
        await exporter.export(Batch("s:0-0", (FULL,)))
    clickhouse_server.fault("exception", code=53)  # when the applied file is recorded
    with pytest.raises(TransientError, match="Code: 53"):
        await exporter.export(Batch("s:0-0", (FULL,)))
    await exporter.export(Batch("s:0-0", (FULL,)))
    assert totals(clickhouse_server.dsn, new_database) == [expected([FULL])] * 3
    await exporter.close()


async def test_a_server_that_is_away_is_told_once_and_by_us(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The libraries would log each of their attempts, many in a second."""
    where = f"127.0.0.1:{free_port()}"
    exporter = ClickHouse(f"clickhouse://{where}/?connect_timeout_s=1", database=database)
    with pytest.raises(TransientError):
        await exporter.open()
    await exporter.close()
    assert caplog.text == ""


async def test_a_server_that_comes_late(
    to_server: ClickHouse, clickhouse_server: ClickHouseServer, database: str
) -> None:
    """While nobody listens a batch is refused, clearly; when somebody does it goes through."""
    clickhouse_server.fault("refuse", seconds=0.5, count=0)
    late = ClickHouse(clickhouse_server.dsn, database=database)
    await asyncio.sleep(0.2)
    with pytest.raises(TransientError, match=r"store http://\S+: connection refused"):
        await late.export(Batch("s:0-0", (FULL,)))
    await asyncio.sleep(0.6)
    await late.export(Batch("s:0-0", (FULL,)))
    await late.close()


def test_who_refuses_connections_serves_no_old_one(clickhouse_server: ClickHouseServer) -> None:
    """The test server is away for those too that were connected before: else it is no outage."""
    kept = http.client.HTTPConnection("127.0.0.1", clickhouse_server.port)

    def answered() -> bool:
        """Whether a query is, on the same connection if it is still open."""
        try:
            kept.request("GET", "/")
            return bool(kept.getresponse().read())
        except (http.client.HTTPException, OSError):
            return False

    assert answered()
    clickhouse_server.fault("refuse", seconds=0.5, count=0)
    assert not answered()
    deadline = time() + PATIENCE_S
    while not answered():
        assert time() < deadline
        kept.close()
        sleep(0.05)
    kept.close()


@pytest.mark.slow
async def test_kill_minus_nine(
    tmp_path: Path, start_clickhouse: StartServer, make_records: "RecordMaker"
) -> None:
    """The engine dies amid inserts; the batch in flight is sent again, then all are: each is once.

    A kill between the rows and a rollup leaves the rollup short; the token of the second attempt
    fills exactly that gap.
    """
    records = make_records(1_000)
    batches = [Batch(f"s:{i}-{i + 49}", tuple(records[i : i + 50])) for i in range(0, 1_000, 50)]
    server = start_clickhouse(tmp_path, 0)
    exporter = ClickHouse(server.dsn)
    acknowledged = 0
    for delay_s in (0.25, 0.15):
        await exporter.export(batches[acknowledged])
        acknowledged += 1
        asyncio.get_running_loop().call_later(delay_s, server.process.kill)
        try:
            while True:
                await exporter.export(batches[acknowledged])
                acknowledged += 1
        except TransientError:
            pass  # the batch in flight: not acknowledged, perhaps written
        server.kill()
        server = start_clickhouse(tmp_path, server.port)
    assert acknowledged > 0
    assert totals(server.dsn, "taximeter")[0][0] >= acknowledged * 50
    for batch in batches:
        await exporter.export(batch)
    assert totals(server.dsn, "taximeter") == [expected(records)] * 3
    await exporter.close()


async def test_a_wrong_password_is_told_and_not_repeated(
    clickhouse_server: ClickHouseServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names the server and the mistake; no password is in it, in its causes or a log."""
    caplog.set_level(logging.DEBUG)
    dsn = clickhouse_server.dsn.replace("meter:kept", "meter:forgotten")
    exporter = ClickHouse(dsn)
    with pytest.raises(TransientError, match="wrong user or password") as caught:
        await exporter.open()
    await exporter.close()
    chain: list[BaseException | None] = [caught.value]
    while chain[-1] is not None:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    for text in (*map(repr, chain), caplog.text, repr(exporter.dsn), str(exporter.dsn)):
        assert "forgotten" not in text


def test_a_directory_has_one_process(chdb_dsn: str, database: str) -> None:
    """A second process is told who has the directory, which chDB itself says on stderr only."""
    script = (
        "import asyncio, sys\nfrom exporters.clickhouse.clickhouse import ClickHouse\n"
        "asyncio.run(ClickHouse(sys.argv[1]).open())"
    )
    command = [sys.executable, "-c", script, chdb_dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"TransientError: store {chdb_dsn}: in use by process {os.getpid()}" in done.stderr


def test_our_own_lock_is_no_excuse(chdb_dsn: str) -> None:
    """An error in the process that has the directory open is told as what it is."""
    full = OSError(28, "No space left on device")
    assert "No space left" in connection.explanation(parse_dsn(chdb_dsn), full)


def test_not_after_a_fork(chdb_dsn: str) -> None:
    """A process forked off after the engine was opened is refused, since it would hang."""
    child = os.fork()
    if child == 0:
        try:
            connection.connect(parse_dsn(chdb_dsn))
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_without_chdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the engine is not installed the error says how to install it, or to do without."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"taximeter\[embedded\].*or set store\.dsn"):
        ClickHouse("chdb:///nowhere")
    ClickHouse("clickhouse://localhost/")


def test_money_is_rounded_once_and_never_too_big() -> None:
    """Eighteen places, half to even, up to a quadrillion dollars, and an error beyond."""
    assert rounded(Decimal("1e-18") / 2) == 0
    assert rounded(Decimal("3e-18") / 2) == Decimal("2e-18")
    assert rounded(Decimal("999999999999999.9")) == Decimal("999999999999999.9")
    with pytest.raises(ValueError, match="exceeds the limit of 1000000000000000 USD"):
        columns([msgspec.structs.replace(FULL, reported_usd=Decimal(10) ** 15)])
