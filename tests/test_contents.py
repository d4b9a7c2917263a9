"""Content goes into its own table once, at nobody's cost, and comes out of it when asked to."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time_ns
from typing import Any, ClassVar, cast
from uuid import UUID

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from test_meter import begin, die, end, make, records, relay, steps
from test_meter import config as meter_config

from exporters.clickhouse import connection
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.contents import Contents
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.selection import Selection
from exporters.clickhouse.store import Store
from exporters.content import Captured, Content, content_of
from exporters.record import Batch, PermanentError, Record, TransientError
from proxy.delivery import delivery
from proxy.delivery import own_journal as module
from proxy.delivery.contents import ContentDelivery, content_delivery
from proxy.metering.recorder import Recorder
from proxy.settings import config
from proxy.settings.config import Config
from proxy.settings.places import Places
from support.patience import PATIENCE_S

NOW_US = time_ns() // 1000
SAID = 'He said "ü\\n', "🜁 <script>"


def content(number: int, **changes: object) -> Content:
    """One that is easy to tell apart."""
    one = Content(
        ts_us=NOW_US - number * 1_000_000,
        call_id=str(UUID(int=number + 1)),
        source=f"w:{number}",
        user_id=f"user {number % 2}",
        provider="openai",
        request=json.dumps({"n": number, "text": SAID[0]}),
        output=SAID[1],
        output_cut=True,
        redactions={"email": 2},
    )
    return msgspec.structs.replace(one, **changes)


@pytest.fixture
async def exporter(store_dsn: str, database: str) -> AsyncIterator[Contents]:
    """Over an empty table."""
    rows = ClickHouse(store_dsn, database=database)
    await rows.open()
    await rows.close()
    made = Contents(store_dsn, database=database)
    yield made
    await made.close()


@pytest.fixture
async def store(store_dsn: str, database: str) -> AsyncIterator[Store]:
    made = Store(store_dsn, database=database)
    yield made
    await made.close()


async def count(store: Store) -> object:
    return (await store.ask("SELECT count() AS n FROM contents FINAL", {}))[0]["n"]


async def test_written_and_read(exporter: Contents, store: Store) -> None:
    """Every field comes back as it was; a call of which nothing is kept has none."""
    one = content(1)
    await exporter.export(Batch("s:0-1", (one, content(2))))
    row = await store.content(one.call_id)
    assert row is not None
    facts = msgspec.structs.asdict(one)
    facts.pop("ts_us")
    assert {name: row[name] for name in facts} == facts
    assert await store.content(str(UUID(int=99))) is None
    assert await store.content("no id") is None


async def test_written_again(exporter: Contents, store: Store) -> None:
    """A batch that is sent again is dropped; of a call that is metered again the last is read."""
    one = content(1)
    for _ in range(2):
        await exporter.export(Batch("s:0-1", (one,)))
    assert await store.ask("SELECT count() AS n FROM contents", {}) == [{"n": 1}]
    await exporter.export(Batch("s:1-2", (msgspec.structs.replace(one, output="again"),)))
    row = await store.content(one.call_id)
    assert row is not None
    assert row["output"] == "again"
    assert await count(store) == 1


async def test_deleted(exporter: Contents, store: Store) -> None:
    """By call, by user and by age, one of them or all that are given; the text is gone at once."""
    await exporter.export(Batch("s:0-9", tuple(content(n) for n in range(10))))
    one = content(3)
    assert await exporter.delete(Selection(call_id=one.call_id)) == 1
    assert await store.content(one.call_id) is None
    assert await exporter.delete(Selection(call_id=one.call_id)) == 0
    cut = datetime.fromtimestamp((NOW_US - 4_500_000) / 1e6, UTC)
    assert await exporter.delete(Selection(user_id="user 1", before=cut)) == 3  # 5, 7, 9
    assert await exporter.delete(Selection(user_id="user 1' OR '1'='1")) == 0
    assert await exporter.delete(Selection(user_id="user 0")) == 5
    assert await count(store) == 1
    assert await exporter.delete(Selection(before=datetime.now(UTC) + timedelta(days=1))) == 1
    with pytest.raises(ValueError, match="specify which content"):
        Selection()
    with pytest.raises(ValueError, match="UUID"):
        Selection(call_id="x")


def test_deleted_on_a_cluster(chdb_dsn: str) -> None:
    """On every server at once, from the local tables; the engine takes the statement as it is."""
    client = connection.connect(parse_dsn(chdb_dsn))
    cluster = Contents("clickhouse://h/?cluster=main")

    class Server:
        sent: ClassVar[list[str]] = []

        def query(self, sql: str) -> Any:
            return client.query("SELECT 1")

        def command(self, sql: str, settings: object) -> None:
            self.sent.append(sql)

    whose = Selection(call_id=str(UUID(int=1)), user_id="it's", before=datetime.now(UTC))
    assert cluster._delete(cast(Client, Server()), whose) == 1
    [sql] = Server.sent
    assert sql.startswith("ALTER TABLE contents_local ON CLUSTER 'main' DELETE WHERE ")
    assert r"user_id = 'it\'s'" in sql
    client.command(f"EXPLAIN AST {sql}")
    client.close()


async def test_an_error_quotes_nothing(exporter: Contents) -> None:
    """What is refused for good is told by the kind of error alone."""
    bad = content(1, call_id="a secret thing")
    with pytest.raises(PermanentError) as caught:
        await exporter.export(Batch("s:0-1", (bad,)))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.thorough
async def test_it_waits_for_the_schema(store_dsn: str, new_database: str) -> None:
    """The exporter of the rows makes the table; until then content waits."""
    early = Contents(store_dsn, database=new_database)
    with pytest.raises(TransientError):
        await early.export(Batch("s:0-1", (content(1),)))
    rows = ClickHouse(store_dsn, database=new_database)
    await rows.open()
    await early.export(Batch("s:0-1", (content(1),)))
    await rows.close()
    await early.close()


def test_a_content_is_found_by_what_its_call_is() -> None:
    """It has the facts of the record, and what was captured."""
    record = Record(
        ts_us=5, call_id="c", provider="p", outcome="ok", cost_status="exact", team="t", user_id="u"
    )
    made = content_of(record, Captured(request="{}", redactions={"card": 1}))
    assert (made.ts_us, made.call_id, made.team, made.user_id) == (5, "c", "t", "u")
    assert (made.request, made.redactions, made.outcome) == ("{}", {"card": 1}, "ok")


# -- on its way ---------------------------------------------------------------------------------


class Table:
    """An exporter that remembers; it is down while `error` is set."""

    name = "content"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.batches: list[Batch[Content]] = []

    async def export(self, batch: Batch[Content]) -> None:
        if self.error:
            raise self.error
        self.batches.append(batch)

    async def close(self) -> None:
        pass

    @property
    def contents(self) -> list[Content]:
        return [content for batch in self.batches for content in batch.records]


def capturing(tmp_path: Path, **changes: object) -> Config:
    settings = msgspec.convert({"capture": True} | changes, config.ContentOptions)
    metering = config.MeteringOptions(audit_sample=0.0)  # such calls would wait for a thread
    return replace(meter_config(tmp_path), content=settings, metering=metering)


def metering(tmp_path: Path, table: Table, **changes: object) -> tuple[Recorder, ContentDelivery]:
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    settings = capturing(tmp_path, **changes)
    kept = ContentDelivery(settings, table)
    return Recorder(settings, make, contents=kept.journal), kept


BODY = b'{"model":"m","choices":[{"message":{"content":"yes %d"}}],"usage":{"prompt_tokens":3}}'


async def metered(tmp_path: Path, one: Recorder, numbers: range) -> None:
    journal = relay(tmp_path)
    for number in numbers:
        end(journal, begin(journal, f"019a0000-0000-7000-8000-{number:012}"), BODY % number)
    die(journal)
    await steps(one)


async def everything(kept: ContentDelivery) -> None:
    while await kept.delivery.step():
        pass


async def test_content_goes_beside_the_record(tmp_path: Path) -> None:
    """Each call's content reaches the table; after that nothing of it is in the journal."""
    table = Table()
    meter, kept = metering(tmp_path, table)
    await metered(tmp_path, meter, range(5))
    await everything(kept)
    assert [content.output for content in table.contents] == [f"yes {n}" for n in range(5)]
    assert [one.source for one in table.contents] == [one.source for one in records(tmp_path)]
    assert kept.status() | {"captured": 5, "dropped": 0, "delivered": 5} == kept.status()
    meter.close()
    kept._drained = True  # as the meter's process finds out when it stops
    kept.close()
    assert list((Places(tmp_path).contents).glob("*/*.seg")) == []


async def test_a_full_journal_drops_content_and_no_row(tmp_path: Path) -> None:
    """With the store down and hardly any room every row is written, and what is lost is counted."""
    table = Table(TransientError("down"))
    meter, kept = metering(tmp_path, table, journal_bytes_max=2_000)
    for number in range(40):
        await metered(tmp_path, meter, range(number, number + 1))
    assert len(records(tmp_path)) == 40
    status = kept.status()
    assert isinstance(status["captured"], int)
    assert isinstance(status["dropped"], int)
    assert 0 < status["captured"] < 20
    assert status["captured"] + status["dropped"] == 40
    table.error = None
    await everything(kept)
    assert len(table.contents) == status["captured"]
    meter.close()
    kept.close()


async def test_a_meter_that_dies_in_between(tmp_path: Path) -> None:
    """Content that was written without its record is written again with it: twice, not never."""
    table = Table()
    meter, kept = metering(tmp_path, table)
    meter.journal._blocked_until = time_ns()  # the record journal refuses, and the meter dies
    journal = relay(tmp_path)
    end(journal, begin(journal, "019a0000-0000-7000-8000-000000000000"), BODY % 1)
    die(journal)
    for _ in range(3):
        await meter.step()
    assert records(tmp_path) == []
    kept.close()
    again, kept = metering(tmp_path, table)
    await steps(again)
    await everything(kept)
    assert len(records(tmp_path)) == 1
    assert [content.output for content in table.contents] == ["yes 1", "yes 1"]
    again.close()
    kept.close()


async def test_batches_are_bounded_by_their_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand large texts are no single insert, and every one is sent."""
    monkeypatch.setattr(delivery, "BATCH_BYTES_MAX", 2_000)
    table = Table()
    meter, kept = metering(tmp_path, table)
    await metered(tmp_path, meter, range(30))
    await everything(kept)
    assert len(table.contents) == 30
    assert max(len(msgspec.json.encode(batch.records)) for batch in table.batches) < 3_000
    assert len(table.batches) > 5
    meter.close()
    kept.close()


async def test_what_is_refused_leaves_no_text(tmp_path: Path) -> None:
    """The file of refused rows has the call's id and the reason, for texts have a time to live."""
    table = Table(PermanentError("TypeError"))
    meter, kept = metering(tmp_path, table)
    await metered(tmp_path, meter, range(1))
    await everything(kept)
    aside = json.loads((tmp_path / "state" / "content.aside.jsonl").read_text())
    assert aside == {
        "reason": "TypeError",
        "record": {"call_id": "019a0000-0000-7000-8000-000000000000"},
    }
    meter.close()
    kept.close()


async def test_capture_that_is_switched_off_later(tmp_path: Path) -> None:
    """What was captured before is still delivered; without a trace of it there is nothing to do."""
    meter, kept = metering(tmp_path, Table(TransientError("down")))
    await metered(tmp_path, meter, range(2))
    meter.close()
    kept.close()
    off, table = capturing(tmp_path, capture=False), Table()
    later = content_delivery(off, table)
    assert later is not None
    await everything(later)
    assert len(table.contents) == 2
    assert later.journal is None
    assert content_delivery(replace(off, data=tmp_path / "other"), table) is None


async def test_what_breaks_in_here_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours in the delivery is tried again later, and calls are metered meanwhile."""
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    table = Table()
    meter, kept = metering(tmp_path, table)
    decode, broken = kept.delivery._decode, asyncio.Event()

    def fail(data: bytes) -> Content:
        broken.set()
        raise ZeroDivisionError

    monkeypatch.setattr(kept.delivery, "_decode", fail)
    running = asyncio.create_task(kept.run())
    await metered(tmp_path, meter, range(2))
    await asyncio.wait_for(broken.wait(), PATIENCE_S)
    assert len(records(tmp_path)) == 2
    monkeypatch.setattr(kept.delivery, "_decode", decode)
    assert not running.done()
    running.cancel()
    meter.close()
    kept.close()


def test_a_journal_that_cannot_be_made(tmp_path: Path) -> None:
    """Calls are metered without content then."""
    (Places(tmp_path).contents).write_text("a file in its place")
    assert content_delivery(capturing(tmp_path), Table()) is None
