"""The calls on which panels are measured are such as our own processes write."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from clickhouse_connect.driver.client import Client

from exporters.clickhouse import connection
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.migrations import migrate
from exporters.clickhouse.reconcile import reconcile
from exporters.otel.trace import stored_at, trace_of
from exporters.receipt import whole_of
from proxy.repricing.repricer import stored_basis
from trials.bench.panel_calls import disk_bytes, fill

CALLS = 2_000


@pytest.fixture
def client(chdb_dsn: str, new_database: str) -> Iterator[Client]:
    client = connection.connect(parse_dsn(chdb_dsn))
    migrate(client, database=new_database, ttl_days=400)
    fill(client, CALLS, 3)
    yield client
    client.close()


@pytest.mark.thorough
def test_made_calls_are_like_stored_ones(client: Client, chdb_dsn: str) -> None:
    """Receipts can be priced again, ids are those of calls and traces, and rollups agree."""
    found = client.query("SELECT * FROM calls ORDER BY ts")
    rows = [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
    assert len(rows) == CALLS
    for row in rows:
        priced = stored_basis(row)
        assert (priced is None) == (row["cost_status"] in ("unpriced", "not_billed"))
        assert row["call_id"].version == 7
        call_id = str(row["call_id"])
        ids = stored_at(trace_of({}, call_id, "parent"), call_id)
        assert (row["trace_id"], row["span_id"]) == (ids.trace_id, ids.span_id)
        if priced is not None:
            (subcall,) = priced[0]
            assert subcall.at == row["ts"].replace(tzinfo=subcall.at.tzinfo)
            assert {m.value: q for m, q in subcall.usage.quantities.items()} == row["usage"]
            receipt = whole_of(row)
            assert len(receipt["lines"]) == len(row["usage"])
            assert Decimal(receipt["usd"]) == row["cost_usd"]
    dsn = parse_dsn(chdb_dsn, str(client.database))
    assert reconcile(client, dsn, 400, repair=False, quiet_s=0) == []
    assert disk_bytes(client)["corrections"] > 0
