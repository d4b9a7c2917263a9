"""Conversations leave as lines with their decisions, and come back as the same."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.clickhouse import conversations as module
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.contents import Contents
from exporters.clickhouse.conversations import Place, Selection, conversations
from exporters.clickhouse.query import Filter
from exporters.clickhouse.store import Store
from exporters.content import Captured, content_of
from exporters.record import Batch, Record
from proxy.exports.asked import again, parameters
from proxy.exports.directory import LINES, MANIFEST, Directory, DirectoryError, Question, whole
from proxy.exports.importing import imported
from proxy.exports.line import GROUPS, Lines, content_of_line, place_of, record_of
from proxy.instants import instant
from proxy.secrecy.redaction import Redactor

HOUR_US = 3_600_000_000
START_US = 1_795_910_400_000_000 // HOUR_US * HOUR_US
UNTIL = datetime(2027, 1, 1, tzinfo=UTC)
DATABASE = "test_export_conversations"
ALL = Selection(since=None, until=UNTIL)
REDACTOR = Redactor(("email",), {})
ASKED = Question(asked=(("session", "s"),), since=None, until="2027-01-01T00:00:00Z")


def record(number: int, **changes: Any) -> Record:
    """A call of a session, its facts unlike those of others."""
    one = Record(
        ts_us=START_US + number * 700_000_000,
        call_id=str(UUID(int=number + 1)),
        source=f"w:{number}",
        session_id=f"s{number % 2}",
        user_id="ann",
        provider="openai",
        request_model="gpt-5.4-mini",
        response_model="gpt-5.4-mini-2026-03-17",
        outcome="ok",
        usage={"output": Decimal(number), "input": Decimal("10.5")},
        cost_usd=Decimal("0.0000001") * number if number % 3 else None,
        cost_status="exact" if number % 3 else "unpriced",
        list_usd=Decimal("0.01"),
        receipt='{"lines": [{"usd": "0.10"}]}',
        route="cheap",
        candidate="openai/gpt-5.4-mini",
        route_reason="ranked:cost",
        propensity=0.1 + 0.2,
        tags={"z": "1", "a": "2"},
        first_token_us=None,
    )
    return msgspec.structs.replace(one, **changes)


def rows() -> list[Record]:
    """Calls over several hours, a refusal, and a socket with its response, some at one instant."""
    found = [record(number) for number in range(12)]
    at = found[5].ts_us
    found.append(
        record(20, ts_us=at, outcome="refused", error_type="budget_exceeded", blocked_by=("b",))
    )
    found.append(record(21, ts_us=at, socket_id=str(UUID(int=22)), outcome="ok"))
    found.append(record(22, ts_us=at, socket_id=str(UUID(int=22))))
    return found


def said(one: Record) -> Captured:
    """What was captured of a call: patterns of today redact what those of then did not."""
    body = {"messages": [{"role": "user", "content": f"I am ann@mail.example.com, {one.source}"}]}
    return Captured(
        request=json.dumps(body, separators=(",", ":")),
        output='He said "ü" to bob@mail.example.com',
        output_cut=True,
        redactions={"phone": 1},
    )


async def fill(dsn: str, database: str, records: list[Record]) -> None:
    rows, contents = ClickHouse(dsn, database=database), Contents(dsn, database=database)
    await rows.export(Batch("s:0-99", tuple(records)))
    there = [content_of(one, said(one)) for one in records if int(one.call_id[-1], 16) % 2]
    await contents.export(Batch("s:0-99", tuple(there)))
    await rows.close()
    await contents.close()


@pytest.fixture(scope="module")
def filled(chdb_dsn: str) -> None:
    """The database that the tests read."""
    asyncio.run(fill(chdb_dsn, DATABASE, rows()))


@pytest.fixture
async def store(filled: None, chdb_dsn: str) -> AsyncIterator[Store]:
    """A store with `rows`."""
    made = Store(chdb_dsn, database=DATABASE)
    yield made
    await made.close()


async def lines(store: Store, wanted: Selection, after: Place | None = None) -> list[bytes]:
    """All lines of a selection."""
    make = Lines(REDACTOR)
    return [make.line(*one) async for page in conversations(store, wanted, after) for one in page]


@pytest.mark.thorough
async def test_a_round_trip_gives_the_same_digest(
    store: Store, chdb_dsn: str, database: str, tmp_path: Path
) -> None:
    """Export, import into an empty store, export again: the bytes are the same."""
    wanted = await lines(store, ALL)
    assert len(wanted) == len(rows())
    with Directory(tmp_path / "a", ASKED) as to:
        to.add(wanted)
        manifest = to.finish(redacted=("email",), left_out=())
    assert (manifest.calls, manifest.refusals, manifest.sockets) == (13, 1, 1)
    assert manifest.digests == {LINES: sha256((tmp_path / "a" / LINES).read_bytes()).hexdigest()}
    assert json.loads((tmp_path / "a" / MANIFEST).read_bytes())["tree_head"] is None

    other = database
    writers = ClickHouse(chdb_dsn, database=other), Contents(chdb_dsn, database=other)
    empty = Store(chdb_dsn, database=other)
    _, first = await imported(tmp_path / "a", *writers, empty)
    _, second = await imported(tmp_path / "a", *writers, empty)
    assert (first.added, first.there) == (15, 0)
    assert (second.added, second.there) == (0, 15)
    assert await lines(empty, ALL) == wanted
    for one in (*writers, empty):
        await one.close()


@pytest.mark.thorough
async def test_reading_goes_on_behind_any_line(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of any size, from any place: nothing is left out and nothing comes twice."""
    wanted = await lines(store, ALL)
    monkeypatch.setattr(module, "PAGE_ROWS", 2)
    monkeypatch.setattr(module, "CONTENT_ROWS", 3)
    for at in range(0, len(wanted), 2):
        assert await lines(store, ALL, place_of(wanted[at])[0]) == wanted[at + 1 :]


async def test_filters_choose(store: Store) -> None:
    """A session is its calls, refusals and sockets; a route has calls alone, which is said."""
    one = Selection(since=None, until=UNTIL, filters=(Filter("session", ("s1",)),))
    assert len(await lines(store, one)) == 7
    session = Selection(since=None, until=UNTIL, filters=(Filter("session", ("s0", "s1")),))
    found = [json.loads(line) for line in await lines(store, session)]
    assert {line["caller"]["session_id"] for line in found} == {"s0", "s1"}
    assert {line["kind"] for line in found} == {"call", "refusal", "socket"}
    assert [line["ts_us"] for line in found] == sorted(line["ts_us"] for line in found)
    route = Selection(since=None, until=UNTIL, filters=(Filter("route", ("cheap",)),))
    assert route.left_out() == ["no refusals: they have no route", "no sockets: they have no route"]
    assert {json.loads(line)["kind"] for line in await lines(store, route)} == {"call"}


async def test_a_line_says_what_was_decided(store: Store) -> None:
    """Route, candidate, reason, refusal, cost and timings; what is unknown is null; redacted."""
    found = [json.loads(line) for line in await lines(store, ALL)]
    first, refused = found[0], next(one for one in found if one["kind"] == "refusal")
    assert first["decision"]["route"] == "cheap"
    assert first["decision"]["reason"] == "ranked:cost"
    assert first["decision"]["refusal"] is None
    assert refused["decision"]["refusal"] == "budget_exceeded"
    assert refused["decision"]["blocked_by"] == ["b"]
    assert first["cost"]["cost_usd"] is None
    assert first["cost"]["cost_status"] == "unpriced"
    assert found[1]["cost"]["cost_usd"] == "0.0000001"
    assert first["timings"]["first_token_us"] is None
    assert first["messages"] == [
        {"role": "user", "content": "I am [redacted:email], w:0"},
        {"role": "assistant", "content": 'He said "ü" to [redacted:email]'},
    ]
    assert first["content"]["redactions"] == {"email": 2, "phone": 1}
    assert found[1]["content"] is None


def test_every_field_is_in_one_group() -> None:
    """What a record has, a line says once."""
    grouped = [name for fields in GROUPS.values() for name in fields]
    assert sorted([*grouped, "ts_us", "call_id", "source"]) == sorted(Record.__struct_fields__)


LINE = st.builds(
    lambda number, text: Lines(REDACTOR).line(
        "call",
        msgspec.to_builtins(record(number)),
        {"request": text, "response": text, "output": text, "redactions": {}}
        | dict.fromkeys(("request_cut", "response_cut", "output_cut"), False),
    ),
    st.integers(0, 99),
    st.text() | st.from_regex(r"(a{1,3}@b\.example|key=|Bearer |\[redacted:|\"|\\){1,6}"),
)


@given(LINE)
@settings(max_examples=60)
def test_a_line_is_exported_as_itself(line: bytes) -> None:
    """Redaction comes to rest: what was imported is exported as the same bytes."""
    _, found = place_of(line)
    record = record_of(found)
    content = content_of_line(found, record)
    again = Lines(REDACTOR).line("call", msgspec.to_builtins(record), msgspec.to_builtins(content))
    assert again == line


@given(st.lists(LINE, min_size=1, max_size=4), st.integers(0, 10**6))
@settings(max_examples=25)
def test_a_killed_export_is_resumed(given_lines: list[bytes], cut: int) -> None:
    """Wherever the file ends, the next run goes on behind the last whole line."""
    with TemporaryDirectory() as name:
        path = Path(name) / "out"
        with Directory(path, ASKED) as to:
            to.add(given_lines)
        whole_file = (path / LINES).read_bytes()
        (path / LINES).write_bytes(whole_file[: cut % (len(whole_file) + 1)])
        later = msgspec.structs.replace(ASKED, until="2028-01-01T00:00:00Z")
        with Directory(path, later) as to:
            assert to.question == ASKED
            there = sum(to.counted.kinds.values())
            assert to.counted.last == (place_of(given_lines[there - 1])[0] if there else None)
            to.add(given_lines[there:])
            made = to.finish(redacted=(), left_out=())
        assert (path / LINES).read_bytes() == whole_file
        assert whole(path) == made


def test_a_directory_is_not_taken_twice(tmp_path: Path) -> None:
    """Another question, a whole export and a changed one are refused, and it is said why."""
    line = Lines(REDACTOR).line("call", msgspec.to_builtins(record(1)), None)
    other = msgspec.structs.replace(ASKED, asked=(("session", "t"),))
    with Directory(tmp_path, ASKED) as to, pytest.raises(DirectoryError, match="another export is"):
        Directory(tmp_path, ASKED)
    with pytest.raises(DirectoryError, match="beginning of another export"):
        Directory(tmp_path, other)
    with pytest.raises(DirectoryError, match="run the same"):
        whole(tmp_path)
    with Directory(tmp_path, ASKED) as to:
        to.add([line])
        to.finish(redacted=(), left_out=())
    with pytest.raises(DirectoryError, match="holds a whole export"):
        Directory(tmp_path, ASKED)
    with (tmp_path / LINES).open("r+b") as file:
        file.write(b"X")
    with pytest.raises(DirectoryError, match="is not what manifest"):
        whole(tmp_path)


def test_a_question_is_asked_again() -> None:
    """The period of the first run, in the words of the API."""
    asked = Question(
        asked=(("since", "7d"), ("team", "a,b"), ("tz", "UTC")),
        since="2026-11-01T00:00:00Z",
        until="2026-11-08T00:00:00Z",
    )
    assert dict(parameters(asked, Place(1, "call", "id", "w:1,2"))) == {
        "team": "a,b",
        "since": asked.since,
        "until": asked.until,
        "after": "1,call,id,w:1,2",
    }
    same = again(ALL, asked)
    assert (same.since, same.until) == (
        instant("2026-11-01T00:00:00Z", UNTIL),
        instant("2026-11-08T00:00:00Z", UNTIL),
    )
