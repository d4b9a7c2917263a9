"""A user that can only read: the store answers it exactly, or says what its profile lacks."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import RecordMaker

from exporters.clickhouse import connection
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.migrations import schema_files
from exporters.clickhouse.query import Query
from exporters.clickhouse.reports import report
from exporters.clickhouse.store import READ_SETTINGS, Store, read_settings
from exporters.record import Batch, TransientError
from support.clickhouse import StartServer

SQL = (Path(__file__).parents[1] / "grafana" / "clickhouse_reader.sql").read_text()


def profile() -> dict[str, str]:
    """The settings that `clickhouse_reader.sql` gives its user; `readonly` last, as it forbids."""
    text = SQL.partition("SETTINGS PROFILE IF NOT EXISTS")[2].partition(";")[0]
    found = dict(re.findall(r"^ +(\w+) = '?([\w]+)'?", text, flags=re.MULTILINE))
    return found | {"readonly": found.pop("readonly")}


def test_profile() -> None:
    """It has every setting that the store reads with, at the same value."""
    wanted = {name: str(value) for name, value in READ_SETTINGS.items()}
    wanted["max_execution_time"] = "60"  # changeable
    assert wanted.items() <= profile().items()
    assert "max_execution_time = 60 CHANGEABLE_IN_READONLY" in SQL


def test_the_embedded_engine_reads_with_all_cores(chdb_dsn: str) -> None:
    """Its limit of memory, a few GiB, is no reason to read on one thread."""
    client = connection.connect(parse_dsn(chdb_dsn), {"max_threads": 2})
    for name, value in read_settings(parse_dsn(chdb_dsn)).items():
        client.set_client_setting(name, value)
    sql = "EXPLAIN PIPELINE SELECT sum(number) FROM numbers_mt(100000000) GROUP BY number % 3"
    lines = [str(row[0]) for row in client.query(sql).result_rows]
    client.close()
    assert any(re.search("AggregatingTransform × 2", line) for line in lines)


def test_what_was_said_is_not_granted(chdb_dsn: str) -> None:
    """The user reads all but content, the audit log and evidence; the engine parses it."""
    text = "\n".join(file.text for file in schema_files())
    made = set(re.findall(r"CREATE (?:TABLE|VIEW) IF NOT EXISTS (\w+)", text))
    replaced = {"calls_1m", "calls_1h"}  # by narrower rollups; nothing fills or reads them
    wanted = made - replaced - {"contents", "audit", "leaves", "nonces", "erased"}
    granted = re.findall(r"SELECT ON taximeter\.(\w+)", SQL)
    assert sorted(granted) == sorted([*wanted, *(f"{name}_local" for name in wanted)])
    client = connection.connect(parse_dsn(chdb_dsn))
    for statement in re.sub(r"^--.*$", "", SQL, flags=re.MULTILINE).split(";\n"):
        if statement.strip():
            client.command(f"EXPLAIN AST {statement}")
    client.close()


@pytest.mark.thorough
async def test_reader(
    tmp_path: Path, start_clickhouse: StartServer, make_records: RecordMaker
) -> None:
    """With the shipped profile it reads what was written, to the last digit."""
    server = start_clickhouse(tmp_path, reader=profile())
    records = make_records(20)
    writer = ClickHouse(server.dsn)
    await writer.export(Batch("w:1:0-1", tuple(records)))
    await writer.close()
    store = Store(server.reader_dsn)
    rows = await store.calls()
    costs = {str(row["call_id"]): row["cost_usd"] for row in rows}
    assert {
        record.call_id: None if record.cost_usd is None else record.cost_usd for record in records
    } == {call_id: None if usd is None else Decimal(str(usd)) for call_id, usd in costs.items()}
    day = Query(since=datetime.now(UTC) - timedelta(days=1))
    (total,) = (await report(store, day)).rows
    assert total["calls"] == 20
    await store.close()


async def test_a_profile_without_our_settings(
    tmp_path: Path, start_clickhouse: StartServer
) -> None:
    """Costs as floats would be wrong: it is refused, with what to do."""
    store = Store(start_clickhouse(tmp_path, reader={"readonly": "1"}).reader_dsn)
    with pytest.raises(TransientError, match=r"may not set .*grafana/clickhouse_reader\.sql"):
        await store.calls()
    await store.close()
