"""The schema files: the columns of a record, applied once, in every kind of database."""

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.client import Client

from exporters import content, evaluation
from exporters.clickhouse import connection, migrations
from exporters.clickhouse.clickhouse import COLUMNS, ClickHouse
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.migrations import SchemaFile, migrate, schema_files, statements
from exporters.clickhouse.reconcile import ROLLUPS
from exporters.record import Batch, TransientError
from support.databases import new_name

if TYPE_CHECKING:
    from conftest import RecordMaker


@pytest.fixture
def client(store_dsn: str) -> Iterator[Client]:
    """In no database yet."""
    client = connection.connect(parse_dsn(store_dsn))
    yield client
    client.close()


def engine(client: Client, table: str) -> str:
    sql = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = "
    return str(client.query(f"{sql}{migrations.quoted(table)}").result_rows[0][0])


def test_columns_are_the_fields(client: Client, database: str) -> None:
    """`calls` has the fields of a record in their order, the time of insertion and the real ids."""
    migrate(client, database=database, ttl_days=90)
    names = [row[0] for row in client.query("DESCRIBE TABLE calls").result_rows]
    assert names == [*COLUMNS, "ingested_at", "trace", "span"]


@pytest.mark.thorough
def test_applied_once(client: Client, new_database: str) -> None:
    """The first start applies every file in order, the second none, and both leave the same."""
    assert migrate(client, database=new_database, ttl_days=90) == [f.name for f in schema_files()]
    assert migrate(client, database=new_database, ttl_days=90) == []
    recorded = client.query("SELECT name, checksum FROM schema_files ORDER BY name").result_rows
    assert recorded == [(file.name, file.checksum) for file in schema_files()]


@pytest.mark.thorough
def test_made_at_once(client: Client, new_database: str) -> None:
    """An empty database that nobody shares is the same as one that got file after file."""

    def tables(name: str) -> list[tuple[str, ...]]:
        sql = "SELECT name, create_table_query FROM system.tables WHERE database = {name:String}"
        rows = client.query(f"{sql} ORDER BY name", {"name": name}).result_rows
        return [tuple(str(value).replace(name, "") for value in row) for row in rows]

    applied = migrate(client, database=new_database, ttl_days=90)
    other = new_name()
    assert migrate(client, database=other, ttl_days=90, alone=True) == applied
    assert tables(other) == tables(new_database)
    assert migrate(client, database=other, ttl_days=90, alone=True) == []
    client.command(f"DROP DATABASE {other}")


def test_numbered() -> None:
    """File names begin with a number each of their own, so the order is the one meant."""
    numbers = [int(file.name[:3]) for file in schema_files()]
    assert numbers == sorted(set(numbers))


def test_every_table_deduplicates(client: Client, database: str) -> None:
    """Rows and rollups remember equally many tokens: fewer in one, and a resend would tear them."""
    migrate(client, database=database, ttl_days=90)
    for table in ("calls", "corrections", "counts_1h", "trace_ts", "contents", *ROLLUPS):
        assert "non_replicated_deduplication_window = 10000" in engine(client, table)


def test_the_age_limit_follows_the_setting(client: Client, database: str) -> None:
    """A changed ttl_days holds from the next start on."""
    migrate(client, database=database, ttl_days=90)
    assert "TTL toDateTime(ts) + toIntervalDay(90)" in engine(client, "calls")
    migrate(client, database=database, ttl_days=9)
    assert "TTL toDateTime(ts) + toIntervalDay(9)" in engine(client, "calls")
    assert "TTL toDateTime(first_start) + toIntervalDay(9)" in engine(client, "trace_ts")


def test_content_has_an_age_limit_of_its_own(client: Client, database: str) -> None:
    """It is in force from the table's first moment, and only who knows content.ttl_days sets it."""
    migrate(client, database=database, ttl_days=90)
    assert "TTL toDateTime(ts) + toIntervalDay(7)" in engine(client, "contents")
    migrate(client, database=database, ttl_days=90, content_ttl_days=2)
    assert "TTL toDateTime(ts) + toIntervalDay(2)" in engine(client, "contents")
    migrate(client, database=database, ttl_days=5)
    assert "TTL toDateTime(ts) + toIntervalDay(2)" in engine(client, "contents")


def test_columns_of_content(client: Client, database: str) -> None:
    """`contents` has the fields of a content in their order, and the time of insertion."""
    migrate(client, database=database, ttl_days=90)
    names = [row[0] for row in client.query("DESCRIBE TABLE contents").result_rows]
    assert names == [*content.COLUMNS, "ingested_at"]


def test_columns_of_evaluations(client: Client, database: str) -> None:
    """`eval_runs` and `eval_results` have the fields of their rows, and the time of insertion."""
    migrate(client, database=database, ttl_days=90)
    tables = {"eval_runs": evaluation.RUN_COLUMNS, "eval_results": evaluation.RESULT_COLUMNS}
    for table, columns in tables.items():
        names = [row[0] for row in client.query(f"DESCRIBE TABLE {table}").result_rows]
        assert sorted(names) == sorted((*columns, "ingested_at"))
        assert "non_replicated_deduplication_window = 10000" in engine(client, table)


@pytest.mark.thorough
def test_interrupted_between_statements(client: Client, new_database: str) -> None:
    """A start that died inside a file, wherever it did, is taken up by the next."""
    client.command(f"CREATE DATABASE {new_database}")
    client.database = new_database
    for file in schema_files():
        for sql in statements(file.text):
            client.command(sql)
    assert len(migrate(client, database=new_database, ttl_days=90)) == len(schema_files())


async def test_two_versions_share_a_database(
    client: Client,
    database: str,
    store_dsn: str,
    make_records: "RecordMaker",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A newer version adds a file; the older one goes on writing beside it, and can restart."""
    older = ClickHouse(store_dsn, database=database)
    await older.open()
    text = "ALTER TABLE calls ADD COLUMN IF NOT EXISTS added String AFTER project;\n"
    newer = [*schema_files(), SchemaFile("999_added.sql", text)]
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "schema_files", lambda: newer)
        assert migrate(client, database=database, ttl_days=90) == ["999_added.sql"]
    await older.export(Batch("s:0-0", tuple(make_records(1))))
    await older.close()
    again = ClickHouse(store_dsn, database=database)
    await again.export(Batch("s:1-2", tuple(make_records(2))))
    await again.close()
    assert client.query("SELECT count(), max(added) FROM calls").result_rows == [(3, "")]


@pytest.mark.thorough
def test_many_start_at_once_on_an_empty_database(store_dsn: str, new_database: str) -> None:
    """Machines that are switched on together make one schema, and none of them fails."""

    def start(_: int) -> None:
        one = connection.connect(parse_dsn(store_dsn))
        migrate(one, database=new_database, ttl_days=90)
        one.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(start, range(4)))
    client = connection.connect(parse_dsn(store_dsn))
    assert migrate(client, database=new_database, ttl_days=90) == []
    names = [row[0] for row in client.query("DESCRIBE TABLE calls").result_rows]
    assert names == [*COLUMNS, "ingested_at", "trace", "span"]
    client.close()


@pytest.mark.thorough
def test_an_edited_file_is_refused(
    client: Client, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editing what was applied would leave databases that differ: it is told, and not applied."""
    migrate(client, database=database, ttl_days=90)
    edited = [SchemaFile(file.name, file.text + "\n") for file in schema_files()]
    monkeypatch.setattr(migrations, "schema_files", lambda: edited)
    with pytest.raises(TransientError, match=r"000_schema_files\.sql was edited"):
        migrate(client, database=database, ttl_days=90)


def test_cluster_forms(chdb_dsn: str) -> None:
    """On a cluster every statement parses, names the cluster, and writes to local tables."""
    client = connection.connect(parse_dsn(chdb_dsn))
    for file in schema_files():
        for sql in statements(file.text, database="taximeter", cluster="main"):
            client.command(f"EXPLAIN AST {sql}")
            assert "ON CLUSTER 'main'" in sql
            assert "non_replicated" not in sql
    client.close()
    alter = "ALTER TABLE calls ADD COLUMN x String;\n"
    assert list(statements(alter, database="d", cluster="main")) == [
        "ALTER TABLE calls_local ON CLUSTER 'main' ADD COLUMN x String",
        "ALTER TABLE calls ON CLUSTER 'main' ADD COLUMN x String",
    ]
    index = "ALTER TABLE calls ADD INDEX IF NOT EXISTS\n  i x TYPE minmax;\n"
    assert list(statements(index, database="d", cluster="main")) == [
        "ALTER TABLE calls_local ON CLUSTER 'main' ADD INDEX IF NOT EXISTS\n  i x TYPE minmax",
    ]
    codecs = "ALTER TABLE calls\n  MODIFY COLUMN x CODEC(LZ4),\n  MODIFY COLUMN y CODEC(LZ4);\n"
    assert list(statements(codecs, database="d", cluster="main")) == [
        "ALTER TABLE calls_local ON CLUSTER 'main' MODIFY COLUMN x CODEC(LZ4),\n"
        "  MODIFY COLUMN y CODEC(LZ4)",
    ]
    with pytest.raises(ValueError, match="on a cluster: DROP TABLE calls"):
        list(statements("DROP TABLE calls;\n", database="d", cluster="main"))


KEEPER = """<clickhouse>
  <zookeeper><implementation>testkeeper</implementation></zookeeper>
  <macros><shard>01</shard><replica>a</replica></macros>
  <default_replica_path>/tables/{shard}/{database}/{table}</default_replica_path>
  <tcp_port>9000</tcp_port>
  <remote_servers><main><shard><replica>
    <host>127.0.0.1</host><port>9000</port>
  </replica></shard></main></remote_servers>
</clickhouse>"""


@pytest.mark.thorough
def test_a_cluster_is_made(tmp_path: Path) -> None:
    """The engine itself makes the replicated tables, the views and the Distributed ones.

    Embedded it runs no distributed DDL, so ON CLUSTER is taken off, and the path of a replica is
    configured, as the default needs it.  Its replicas stay read-only, so that an added column is
    there from the beginning.  In a process of its own, left at once: with a test keeper
    the engine aborts when it is closed.
    """
    (tmp_path / "config.xml").write_text(KEEPER)
    script = f"""
import os
import re
import clickhouse_connect
from exporters.clickhouse.migrations import schema_files, statements
options = {{"config-file": {str(tmp_path / "config.xml")!r}}}
path = {str(tmp_path / "data")!r}
client = clickhouse_connect.get_client(interface="chdb", path=path, chdb_options=options)
client.command("CREATE DATABASE taximeter ENGINE = Atomic")
client.database = "taximeter"
texts = [
    sql.replace("ON CLUSTER 'main'", "")
    for file in schema_files()
    for sql in statements(file.text, database="taximeter", cluster="main")
]
for sql in texts:
    for alter in texts if sql.startswith("CREATE TABLE") else []:
        if not alter.startswith(f"ALTER TABLE {{sql.split()[5]}} "):
            continue
        for column, after in re.findall(r"ADD COLUMN IF NOT EXISTS\\s+(.+) AFTER (\\w+)", alter):
            line = rf"(\\n  {{after}} [^\\n]*?)(,?)\\n"
            sql = re.sub(line, rf"\\1,\\n  {{column}}\\2\\n", sql, count=1)
    if not sql.startswith("ALTER"):
        client.command(sql)
sql = "SELECT name, engine FROM system.tables WHERE database = 'taximeter' ORDER BY name"
for name, engine in client.query(sql).result_rows:
    print(name, engine, flush=True)
os._exit(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    made = dict(line.split() for line in done.stdout.splitlines())
    assert made["calls"] == made["usage_1h"] == "Distributed"
    assert made["calls_local"] == "ReplicatedMergeTree"
    assert made["usage_1h_local"] == made["trace_ts_local"] == "ReplicatedAggregatingMergeTree"
    assert made["usage_1h_mv"] == made["corrections_usage_1h_mv"] == "MaterializedView"
    assert made["priced_calls_local"] == "View"
    assert made["contents_local"] == "ReplicatedReplacingMergeTree"
    assert made["priced_calls"] == made["corrections"] == made["contents"] == "Distributed"


@pytest.mark.parametrize(
    ("dsn", "where"),
    [
        ("chdb:///var/lib/taximeter/chdb", "chdb:///var/lib/taximeter/chdb"),
        ("clickhouse://h", "http://h:8123/taximeter"),
        ("clickhouse://h:8443/other", "https://h:8443/other"),
        ("clickhouse://u:p@h?secure=true", "https://h:8443/taximeter"),
        ("https://h/x?verify=false&cluster=c", "https://h:8443/x"),
        ("http://h:9/", "http://h:9/taximeter"),
    ],
)
def test_dsn(dsn: str, where: str) -> None:
    """A DSN says where the store is; shown, it is without its password."""
    assert str(parse_dsn(dsn)) == where


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "postgres://u:secret@h/x",
        "chdb://relative/dir",
        "chdb:memory",
        "clickhouse://u:secret@h:port/x",
        "clickhouse://u:secret@h/x?verfiy=false",
        "clickhouse://u:secret@h/x?secure=maybe",
        "clickhouse://u:secret@h/x?timeout_s=0",
    ],
)
def test_a_dsn_that_is_refused(dsn: str) -> None:
    """The error says what is expected, and never repeats what may hold a password."""
    with pytest.raises(ValueError, match=r"^store DSN: ") as caught:
        parse_dsn(dsn)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert re.search(r"://|number|true|expected|invalid host or port", str(caught.value))


def test_the_password_is_decoded() -> None:
    """Percent-encoding carries any password."""
    dsn = parse_dsn("clickhouse://u%40x:p%40s%2F%3As@h/")
    assert (dsn.user, dsn.password) == ("u@x", "p@s/:s")
    assert "p@s" not in repr(dsn)
