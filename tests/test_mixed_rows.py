"""Rows from before, which say everything, beside rows of now: readers see no difference."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_metering import BEGUN
from test_reprice import HOUR, NEW, OLD, Live, Place

from exporters.clickhouse import connection, migrations
from exporters.clickhouse.calls_sql import CallsQuestion
from exporters.clickhouse.conversations import Selection, conversations
from exporters.clickhouse.feedback import FeedbackTable
from exporters.clickhouse.migrations import migrate, schema_files
from exporters.clickhouse.query import Filter, Query
from exporters.clickhouse.reports import report
from exporters.feedback import TRACE, Feedback
from exporters.otel.trace import ids_of
from exporters.receipt import whole_of_record
from exporters.record import Batch, Record
from pricing import Meter, TariffBook, Usage
from proxy.exchange import Part
from proxy.exports.focus_days import read_day

pytestmark = pytest.mark.thorough
BEFORE = "021"  # the first schema file under which rows leave out what follows


def from_before(record: Record) -> Record:
    """The same as versions up to schema 020 write it."""
    trace_id, span_id = ids_of(record)
    receipt = msgspec.json.encode(whole_of_record(record)).decode()
    return msgspec.structs.replace(record, receipt=receipt, trace_id=trace_id, span_id=span_id)


async def made() -> list[Record]:
    """Calls of several kinds: their own traces and a caller's, several parts, unknown costs."""
    live = await Live(OLD).ready()
    usage = Usage({Meter.INPUT: 1_000, Meter.OUTPUT: 100, Meter.CALLS_WEB_SEARCH: 2})
    for headers in (BEGUN.headers, ()):
        live.begun = msgspec.structs.replace(BEGUN, headers=headers)
        for model in ("m", "gone", "new", "m", "m"):
            live.call(model, parts=(Part(usage=usage),))
        live.call("m", parts=(Part(usage=usage), Part(usage=usage, model="gone")))
    assert [one.trace_id == "" for one in live.records] == [False] * 6 + [True] * 6
    return live.records


class Mixed(Place):
    """A store that an older version made, and goes on writing to: every second row is its."""

    async def fill(self) -> None:
        self.records = await made()
        old = [from_before(one) for one in self.records[::2]]
        new = self.records[1::2]
        await self.clickhouse.export(Batch("s:0", tuple(old[:3])))
        client = connection.connect(self.clickhouse.dsn)
        assert migrate(client, database=self.clickhouse.dsn.database, ttl_days=90)
        client.close()
        await self.clickhouse.export(Batch("s:1", tuple(new)))
        await self.clickhouse.export(Batch("s:2", tuple(old[3:])))

    def whole(self) -> dict[str, tuple[str, str, dict[str, Any]]]:
        """Call id → trace, span and receipt as they are."""
        return {one.call_id: (*ids_of(one), whole_of_record(one)) for one in self.records}


@pytest.fixture
async def place(
    chdb_dsn: str, new_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Mixed]:
    def load(*directories: Path) -> TariffBook:
        texts = [(one / "acme.toml").read_text() for one in directories]
        return TariffBook.parse(*({"acme.toml": text} for text in texts))

    monkeypatch.setattr(TariffBook, "load", load)
    place = Mixed(chdb_dsn, new_database, tmp_path)
    with monkeypatch.context() as patch:
        earlier = [file for file in schema_files() if file.name < BEFORE]
        patch.setattr(migrations, "schema_files", lambda: earlier)
        await place.clickhouse.open()
    await place.fill()
    yield place
    await place.clickhouse._writer.do(
        lambda client: client.command(f"DROP DATABASE {new_database}")
    )
    await place.close()


def shown(row: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The same as a reader has it."""
    return row["trace_id"], row["span_id"], json.loads(row["receipt"])


async def test_lists_and_exports_show_all_of_it(place: Mixed) -> None:
    """Before and after a correction of each call, which has a receipt of its own."""
    selection = Selection(since=None, until=datetime(2100, 1, 1, tzinfo=UTC))
    rows = await place.store.calls()
    assert {row["call_id"]: shown(row) for row in rows} == place.whole()
    pages = [page async for page in conversations(place.store, selection)]
    found = {row["call_id"]: shown(row) for page in pages for _, row, _ in page}
    assert found == place.whole()
    assert {kind for page in pages for kind, _, _ in page} == {"call"}

    written = (await place.run(NEW))["written"]
    assert written == len(place.records)
    for row in await place.store.calls():
        receipt = json.loads(row["receipt"])  # type: ignore[arg-type]  # text
        trace_id, span_id, before = place.whole()[str(row["call_id"])]
        assert (row["trace_id"], row["span_id"]) == (trace_id, span_id)
        assert receipt["subcalls"] == before["subcalls"]
        assert receipt["usd"] == row["cost_usd"]


async def test_one_call_shows_all_of_its_prices(place: Mixed) -> None:
    """Lines with quantities and amounts, of the row and of its correction."""
    await place.run(NEW)
    for record in place.records:
        call: Any = await place.store.call(record.call_id)
        metered = place.whole()[record.call_id][2]
        assert call["prices"][0]["lines"] == metered["lines"]
        assert [subcall["usage"] for subcall in call["subcalls"]] == [
            subcall["usage"] for subcall in metered["subcalls"]
        ]
        for price in call["prices"]:
            total = sum((Decimal(line["usd"]) for line in price["lines"]), Decimal(0))
            assert total == Decimal(price["cost_usd"] or price["floor_usd"] or 0)


@pytest.mark.parametrize("corrected", [False, True])
async def test_a_trace_is_found_and_grouped(place: Mixed, corrected: bool) -> None:
    """By its id, whoever made it and however it is stored."""
    if corrected:
        await place.run(NEW)
    for record in place.records[5:]:
        trace = ids_of(record).trace_id
        expected = {one.call_id for one in place.records if ids_of(one).trace_id == trace}
        wanted = Filter("trace", (trace,))
        found = await place.store.calls(CallsQuestion(filters=(wanted,)))
        assert {row["call_id"] for row in found} == expected
        others = replace(wanted, negated=True)
        found = await place.store.calls(CallsQuestion(filters=(others,)))
        assert len(found) == len(place.records) - len(expected)
    grouped = (await report(place.store, Query(since=HOUR, by=("trace",)))).rows
    assert {row["trace"]: row["calls"] for row in grouped} == Counter(
        ids_of(one).trace_id for one in place.records
    )
    columns = "call_id, trace, span"
    for table in ("calls", "priced_calls"):
        rows = await place.clickhouse.ask(f"SELECT {columns} FROM {table}", {})
        assert {str(id): (trace, span) for id, trace, span in rows} == {
            one.call_id: ids_of(one) for one in place.records
        }


async def test_feedback_about_a_trace(place: Mixed, chdb_dsn: str) -> None:
    """It counts for the calls of that trace, also of one that no row says."""
    table = FeedbackTable(chdb_dsn, database=place.store.dsn.database)
    at = place.records[0].ts_us
    no = Feedback(
        ts_us=at,
        received_us=at,
        about=TRACE,
        target="",
        id="x",
        name="good",
        value="1",
        success=False,
    )
    said = [msgspec.structs.replace(no, target=ids_of(one).trace_id) for one in place.records[6:8]]
    await table.write(said)
    await table.close()
    rows = await place.store.calls(CallsQuestion(successes=True))
    judged = {row["call_id"] for row in rows if row["judged"] and not row["success"]}
    assert judged == {one.call_id for one in place.records[6:8]}
    call: Any = await place.store.call(place.records[7].call_id)
    assert [one["name"] for one in call["feedback"]] == ["good"]


async def test_charge_lines_add_up(place: Mixed) -> None:
    """Of old and new rows alike, with the exact amounts that new rows do not repeat."""
    day = await read_day(place.store, HOUR.date(), ())
    expected = Counter(
        (line["model"], line["meter"], line["rate"], line["quantity"], line["usd"])
        for record in place.records
        if record.cost_usd is not None
        for line in whole_of_record(record)["lines"]
    )
    kinds = {line[:3] for line in expected}
    assert {(row["model"], row["meter"], row["rate"]) for row in day.lines} == kinds
    for kind in kinds:
        rows = [row for row in day.lines if (row["model"], row["meter"], row["rate"]) == kind]
        for number, column in ((3, "quantity"), (4, "usd")):
            each = [Decimal(line[number]) * n for line, n in expected.items() if line[:3] == kind]
            assert sum(Decimal(str(row[column])) for row in rows) == sum(each)
    known = sum((one.cost_usd for one in place.records if one.cost_usd is not None), Decimal(0))
    assert sum(Decimal(str(row["usd"])) for row in day.lines) == known


async def test_the_same_tariffs_change_nothing(place: Mixed) -> None:
    """A receipt that is stored otherwise is no other price; and rollups are those of the rows."""
    assert (await place.run(OLD))["written"] == 0
    assert await place.unequal() == []
    assert (await place.run(NEW))["unreadable"] == 0
    assert (await place.run(NEW))["written"] == 0
    assert await place.unequal() == []


async def test_charge_lines_in_sql(place: Mixed) -> None:
    """The statement of docs/queries.md gives the lines of all rows."""
    text = (Path(__file__).parent.parent / "docs" / "queries.md").read_text()
    (sql,) = re.findall(r"<!-- lines: begin -->\n```sql\n(.*?)```", text, re.DOTALL)
    rows = await place.clickhouse.ask(sql, {})
    found = Counter(
        (str(id), meter, quantity, rate, usd) for id, meter, quantity, rate, _, usd in rows
    )
    assert found == Counter(
        (
            *(record.call_id, line["meter"], Decimal(line["quantity"]), line["rate"]),
            Decimal(line["usd"]),
        )
        for record in place.records
        for line in whole_of_record(record)["lines"]
    )
