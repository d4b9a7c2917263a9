"""Every stored row has one leaf, and a check names each row that was changed in the store."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import time_ns
from typing import TypeVar
from uuid import UUID

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_audit_served import checks

from exporters.audit import AuditEntry
from exporters.clickhouse import connection
from exporters.clickhouse.audit import AuditTable
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.contents import Contents
from exporters.clickhouse.corrections import Correction, Corrections
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.evidence import EvidenceTable
from exporters.clickhouse.store import Store
from exporters.content import Content
from exporters.evidence.head import Head
from exporters.evidence.leaves import Sealed
from exporters.evidence.tree import leaf_hash, root_of_path
from exporters.record import Batch, Record, Sendable, TransientError
from proxy.evidence import heads
from proxy.evidence.collect import Scope, collected
from proxy.evidence.evidence import Corrected, Evidence, Sealing, kind_of_record
from proxy.evidence.export import AnyLine, read, write
from proxy.evidence.prove import Extension, prove, prove_extension
from proxy.evidence.stream import at_once
from proxy.evidence.verdict import Verdict, verdict
from proxy.settings.config import Config
from proxy.settings.places import Places
from proxy.settings.retention import FOREVER_DAYS
from support.databases import empty

S = TypeVar("S", bound=Sendable)
NOW_US = time_ns() // 1000
ODD = 'a/b\\ "ü" \x00\x0b\x1f\u2028\u2029 😀'


def record(number: int, **changes: object) -> Record:
    """A call with something in every kind of column."""
    one = Record(
        ts_us=NOW_US + number,
        call_id=str(UUID(int=number + 1)),
        source=f"w:{number}",
        provider="openai",
        outcome="ok",
        cost_status="exact",
        project=ODD,
        node="here",
        usage={"input": Decimal("1.5"), "cache_read": Decimal(0), "z": Decimal(10**20)},
        cost_usd=Decimal("0.000123"),
        list_usd=Decimal("1E-18"),
        reasons=(ODD, ""),
        tags={ODD: ODD, "a": ""},
        propensity=0.1,
        stream=True,
        receipt='{"lines":[]}',
    )
    return msgspec.structs.replace(one, **changes)


def content(number: int, said: str = ODD) -> Content:
    """What was said in that call."""
    made = record(number)
    return Content(
        ts_us=made.ts_us,
        call_id=made.call_id,
        source=made.source,
        request=said,
        redactions={"email": 2, "card": 1},
    )


def entry(number: int, **changes: object) -> AuditEntry:
    """One of the audit log."""
    return msgspec.structs.replace(
        AuditEntry(
            ts_us=NOW_US + number,
            id=str(UUID(int=1000 + number)),
            node="here",
            actor="ann",
            role="admin",
            action="x",
            target=ODD,
        ),
        **changes,
    )


def correction(number: int, revision: int = 1) -> Correction:
    """Another price of that call."""
    made = record(number)
    prices = {
        name: None
        for name in Correction.__struct_fields__
        if name.endswith("_usd") and not name.endswith("list_usd")
    }
    return Correction(
        ts=made.ts_us,
        call_id=made.call_id,
        source=made.source,
        revision=revision,
        at=NOW_US,
        reason="tariffs",
        provider="openai",
        outcome="ok",
        old_cost_status="exact",
        old_counts={},
        cost_status="exact",
        reasons=(),
        tariff="t",
        receipt="{}",
        counts={"c": Decimal("0.1")},
        **(prices | {"cost_usd": Decimal("0.5")}),  # type: ignore[arg-type]
    )


@dataclass
class Place:
    """Every exporter with its leaves, over an empty database."""

    config: Config
    dsn: str
    database: str
    evidence: Evidence
    rows: Sealing[Record]
    contents: Sealing[Content]
    audit: Sealing[AuditEntry]
    clickhouse: ClickHouse
    store: Store
    client: Client
    written: int = 0

    async def write(self, to: Sealing[S], *rows: S) -> None:
        """Deliver rows as a journal does."""
        self.written += 1
        await to.export(Batch(f"w:{self.written}:0-9", rows))

    async def correct(self, *rows: Correction) -> None:
        """Write corrections as repricing does."""
        await Corrected(self.clickhouse.correct, self.evidence).correct(Corrections(rows))

    async def fill(self, count: int = 4) -> None:
        """Some of every kind."""
        await self.write(self.rows, *map(record, range(count)))
        await self.write(self.contents, *map(content, range(count)))
        await self.write(self.audit, *map(entry, range(count)))
        await self.correct(*map(correction, range(count)))

    def head(self) -> Head:
        """A head of the tree as it is."""
        growth = self.evidence.growth
        return growth.key.head(growth.size, growth.root(), datetime.now(UTC))

    async def lines(self, since_us: int = 0) -> list[AnyLine]:
        """All evidence of the store."""
        growth = self.evidence.growth
        scope = Scope(
            current=growth.key.tree,
            size=growth.size,
            began_us=growth.began_us,
            since_us=since_us,
            node="here",
        )
        return [line async for part in collected(self.store, scope, at_once) for line in part]

    async def check(self, *kept: Head, since_us: int = 0) -> Verdict:
        """What a check finds."""
        return verdict(await self.lines(since_us), kept, [])

    def change(self, sql: str) -> None:
        """What somebody with the database's password does."""
        self.client.command(sql, settings={"mutations_sync": 2})


@pytest.fixture(scope="module")
def database() -> str:
    """One schema for all tests here, which empty it."""
    return "test_evidence"


@pytest.fixture
async def place(chdb_dsn: str, database: str, tmp_path: Path) -> AsyncIterator[Place]:
    clickhouse = ClickHouse(
        chdb_dsn, database=database, ttl_days=FOREVER_DAYS, content_ttl_days=FOREVER_DAYS
    )
    await clickhouse.open()
    (tmp_path / "state").mkdir()
    config = Config(data=tmp_path, node="here")
    table = EvidenceTable(chdb_dsn, database=database)
    evidence = Evidence(config, table)
    contents, audit = (
        Contents(chdb_dsn, database=database),
        AuditTable(chdb_dsn, database=database),
    )
    store = Store(chdb_dsn, database=database)
    client = connection.connect(parse_dsn(chdb_dsn, database))
    client.database = database
    empty(client, database)
    yield Place(
        config=config,
        dsn=chdb_dsn,
        database=database,
        evidence=evidence,
        rows=Sealing(clickhouse, evidence, kind_of_record),
        contents=Sealing(contents, evidence, lambda _: "content"),
        audit=Sealing(audit, evidence, lambda _: "audit"),
        clickhouse=clickhouse,
        store=store,
        client=client,
    )
    client.close()
    for part in (clickhouse, table, contents, audit, store):
        await part.close()


async def test_every_kind_of_row_is_compared(place: Place) -> None:
    """Calls, sockets, refusals, contents, entries and corrections are as their leaves say."""
    await place.fill()
    socket = record(20, socket_id=record(20).call_id)
    await place.write(place.rows, socket, record(21, outcome="refused", blocked_by=(ODD,)))
    found = await place.check(place.head())
    assert found.ok, found
    assert (found.checked, found.leaves, found.heads, found.unheaded) == (18, 18, 1, 0)


AMOUNTS = st.decimals(min_value=-(10**14), max_value=10**14, places=20) | st.none()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
RECORDS = st.builds(
    record,
    st.just(0),
    cost_usd=AMOUNTS,
    reported_usd=AMOUNTS,
    usage=st.dictionaries(TEXTS, st.decimals(0, 10**20, places=10), max_size=3),
    tags=st.dictionaries(TEXTS, TEXTS, max_size=4),
    reasons=st.lists(TEXTS, max_size=3).map(tuple),
    project=TEXTS,
    error_message=TEXTS,
    propensity=st.floats(allow_nan=False) | st.none(),
    input_tokens_total=st.integers(0, 2**64 - 1) | st.none(),
    stream=st.booleans(),
)


async def test_a_select_gives_the_same_canonical_text(place: Place) -> None:
    """Whatever is in a row: text of any kind, amounts rounded half to even, floats, maps."""
    made: list[Record] = []

    @settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
    @given(RECORDS)
    def gather(one: Record) -> None:
        made.append(one)

    gather()
    numbered = [
        msgspec.structs.replace(one, call_id=str(UUID(int=at)), source=f"w:{at}")
        for at, one in enumerate(made)
    ]
    await place.write(place.rows, *numbered)
    found = await place.check()
    assert found.ok, found.findings()[:3]
    assert found.checked == len(made)


async def test_each_change_is_named(place: Place) -> None:
    """One changed value, one deleted and one added row of each table, by its id and no other."""
    await place.fill()
    head = place.head()
    changes = {
        "ALTER TABLE calls UPDATE cost_usd = 0 WHERE source = 'w:0'": ("altered", "call", 1),
        "ALTER TABLE calls DELETE WHERE source = 'w:1'": ("missing", "call", 2),
        "INSERT INTO calls SELECT * REPLACE(generateUUIDv4() AS call_id) FROM calls WHERE"
        " source = 'w:2'": ("added", "call", None),
        "ALTER TABLE contents UPDATE request = concat(request, 'x') WHERE source = 'w:0'": (
            "altered", "content", 1,
        ),
        "ALTER TABLE contents DELETE WHERE source = 'w:1'": ("missing", "content", 2),
        "ALTER TABLE audit UPDATE actor = 'bob' WHERE id = toUUID("
        "'00000000-0000-0000-0000-0000000003e8')": ("altered", "audit", 1000),
        "ALTER TABLE audit DELETE WHERE id = toUUID('00000000-0000-0000-0000-0000000003e9')": (
            "missing", "audit", 1001,
        ),
        "ALTER TABLE corrections UPDATE tariff = 'u' WHERE source = 'w:0'": (
            "altered", "correction", 1,
        ),
        "ALTER TABLE corrections DELETE WHERE source = 'w:1'": ("missing", "correction", 2),
        "INSERT INTO corrections SELECT * REPLACE(toUInt32(9) AS revision) FROM corrections"
        " WHERE source = 'w:2'": ("added", "correction", 3),
        "INSERT INTO calls SELECT * FROM calls WHERE source = 'w:3'": ("added", "call", 4),
    }  # fmt: skip
    expected = set()
    for sql, (what, kind, id) in changes.items():
        place.change(sql)
        expected.add((what, kind, id))
    found = await place.check(head)
    said = {
        (one.what, one.kind, UUID(one.call_id).int if UUID(one.call_id).int < 2000 else None)
        for one in found.findings()
    }
    assert said == expected
    assert (found.ok, found.heads, found.bad_heads) == (False, 1, [])


@pytest.mark.slow
async def test_changed_leaves_and_nonces_are_found(place: Place) -> None:
    """A leaf changed with its row, and a lost nonce."""
    await place.fill()
    head = place.head()
    place.change("ALTER TABLE leaves UPDATE row_mac = reverse(row_mac) WHERE number = 0")
    place.change("ALTER TABLE nonces DELETE WHERE number = 1")
    found = await place.check(head)
    assert {(one.what, one.number) for one in found.findings()} == {("altered", 0), ("altered", 1)}
    assert [one.reason for one in found.bad_heads] == [
        "the leaves before it are not those that it was signed over"
    ]


@pytest.mark.slow
async def test_a_tree_that_was_cut_is_found(place: Place) -> None:
    """The newest rows with their leaves: the meter knows how many there were."""
    await place.fill()
    place.change("ALTER TABLE leaves DELETE WHERE number >= 14")
    place.change("ALTER TABLE corrections DELETE WHERE source IN ('w:2', 'w:3')")
    found = await place.check()
    assert [(one.what, one.number) for one in found.findings()] == [
        ("missing", 14),
        ("missing", 15),
    ]


@pytest.mark.slow
async def test_since_compares_newer_rows_alone(place: Place) -> None:
    """Heads are compared with all leaves all the same."""
    await place.fill()
    place.change("ALTER TABLE calls UPDATE cost_usd = 0 WHERE source = 'w:0'")
    found = await place.check(place.head(), since_us=NOW_US + 1)
    assert found.ok, found
    assert (found.heads, found.unchecked) == (1, 3)


async def test_a_batch_that_comes_again_has_its_leaves(place: Place) -> None:
    """After a crash, whole or in halves: no second leaf."""
    rows = [record(one) for one in range(4)]
    await place.rows.export(Batch("w:1:0-100", tuple(rows)))
    await place.rows.export(Batch("w:1:0-100", tuple(rows)))
    for token, part in (("w:1:0-50", rows[:2]), ("w:1:50-100", rows[2:])):
        await place.evidence.add("clickhouse", token, {"call": part})
    await place.correct(correction(0))
    await place.correct(correction(0))
    found = await place.check(place.head())
    assert (found.ok, found.leaves) == (True, 5), found


class Dying:
    """A table that fails before or after it has the leaves."""

    def __init__(self, table: EvidenceTable, *, after: bool) -> None:
        self._table, self._after = table, after

    async def add(self, tree: str, first: int, sealed: Sequence[Sealed]) -> None:
        if self._after:
            await self._table.add(tree, first, sealed)
        raise TransientError("killed")


@pytest.mark.parametrize("after", [False, True])
async def test_a_kill_while_leaves_are_written(place: Place, after: bool) -> None:
    """The next process sends the same leaves again: each row has one, and the head fits."""
    table = EvidenceTable(place.dsn, database=place.database)
    dying = Evidence(place.config, Dying(table, after=after))
    batch = Batch("w:7:0-9", (record(0), record(1)))
    with pytest.raises(TransientError):
        await Sealing(place.clickhouse, dying, kind_of_record).export(batch)
    place.evidence = Evidence(place.config, table)
    await Sealing(place.clickhouse, place.evidence, kind_of_record).export(batch)
    await place.evidence.finish()
    found = await place.check(place.head())
    assert (found.ok, found.leaves, found.checked) == (True, 2, 2)
    await table.close()


async def test_a_lost_state_begins_a_new_tree(place: Place) -> None:
    """Its heads do not speak for the old one, whose rows keep their leaves."""
    await place.fill()
    old = place.head()
    Places(place.config.data).tree.write_bytes(b"?")
    place.evidence = Evidence(place.config, EvidenceTable(place.dsn, database=place.database))
    assert place.evidence.growth.key.tree != old.tree
    assert place.evidence.growth.size == 0


async def test_nodes_share_a_store(place: Place, tmp_path: Path) -> None:
    """Each has a tree; a check on any of them is of all trees, with the heads that it is given."""
    await place.fill(2)
    (tmp_path / "there" / "state").mkdir(parents=True)
    table = EvidenceTable(place.dsn, database=place.database)
    evidence = Evidence(Config(data=tmp_path / "there", node="there"), table)
    there = Sealing(place.clickhouse, evidence, kind_of_record)
    await place.write(there, *(record(number, node="there") for number in (10, 11)))
    head = replace(place, evidence=evidence).head()
    found = await place.check(place.head(), head)
    assert found.ok, found
    assert (found.checked, found.leaves, found.heads) == (10, 10, 2)
    # The leaf of this one is on its way: what the other node has not told yet is its own affair.
    await place.clickhouse.export(Batch("there:9:0-1", (record(12, node="there"),)))
    assert (await place.check(head)).ok
    place.change(f"ALTER TABLE calls DELETE WHERE call_id = '{record(10).call_id}'")
    found = await place.check(head)
    (missing,) = found.findings()
    assert (missing.what, missing.call_id) == ("missing", record(10).call_id)
    await table.close()


async def test_an_export_is_checked_elsewhere(place: Place, tmp_path: Path) -> None:
    """Whole it is good; a changed, dropped or added line is named, and so is a cut end."""
    await place.fill()
    to = tmp_path / "export"
    to.mkdir()
    head = place.head()
    assert write(await place.lines(), [head], to) == 16
    assert heads.read(to / "heads.jsonl") == [head]
    assert checked(to, head).ok
    rows = (to / "rows.jsonl").read_text().splitlines()
    leaves = (to / "leaves.jsonl").read_text().splitlines()
    second = str(UUID(int=2))
    for file, lines, expected in (
        ("rows.jsonl", [*rows[:2], rows[2].replace("0.000123", "0.000124"), *rows[3:]], "altered"),
        ("rows.jsonl", [*rows[:2], *rows[3:]], "missing"),
        ("rows.jsonl", [*rows[:2], rows[2][:-9], *rows[3:]], "missing"),
        ("rows.jsonl", [*rows[:3], rows[2], *rows[3:]], "added"),
        ("leaves.jsonl", [*leaves[:2], *leaves[3:]], "added"),
        ("leaves.jsonl", leaves[:-1], ""),
    ):
        kept = (to / file).read_text()
        (to / file).write_text("\n".join(lines) + "\n")
        found = checked(to, head)
        assert not found.ok
        if expected:
            assert (expected, second) in {(one.what, one.call_id) for one in found.findings()}
        (to / file).write_text(kept)


def checked(directory: Path, head: Head) -> Verdict:
    """What a check of an export finds."""
    damaged: list[str] = []
    return verdict(read(directory, damaged), [head], damaged)


async def test_a_proof_leads_to_the_head(place: Place) -> None:
    """Of all leaves about a call: row, content and correction."""
    await place.fill()
    head = place.head()
    proof = await prove(place.store, head, record(1).call_id)
    assert proof is not None
    assert [msgspec.json.decode(one.entry)[0] for one in proof.leaves] == [
        "call", "content", "correction",
    ]  # fmt: skip
    for one in proof.leaves:
        path = [bytes.fromhex(hash) for hash in one.path]
        found = root_of_path(one.number, head.size, leaf_hash(one.entry.encode()), path)
        assert found is not None
        assert found.hex() == head.root
    assert await prove(place.store, head, str(UUID(int=77))) is None


async def test_growth_is_proved_although_rows_were_erased(place: Place, tmp_path: Path) -> None:
    """From a head to a later one, over a row that is gone; not from another history."""
    await place.fill(3)
    first = place.head()
    for table in ("calls", "nonces"):
        place.client.command(f"TRUNCATE TABLE {table}")
    await place.write(place.rows, record(8), record(9))
    head = place.head()
    path = await prove_extension(place.store, first.size, head)
    proof = tmp_path / "grown.json"

    def found(earlier: Head) -> bool:
        """What the script of the docs finds."""
        extension = Extension(first=earlier, head=head, path=path)
        proof.write_bytes(msgspec.json.encode(extension))
        return checks(proof, tmp_path, "grown") == 0

    assert found(first)
    assert not found(place.evidence.growth.key.head(first.size, bytes(32), first.time))
    with pytest.raises(ValueError, match="did not grow from"):
        await prove_extension(place.store, head.size + 1, head)
