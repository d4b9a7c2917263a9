"""What the API is asked it answers, and nothing else: wrong questions get errors for people."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import COLUMNS, Batch, Record
from proxy.access.rules import RULES
from proxy.console.api import application
from proxy.console.asking import ACCEPTED, API
from proxy.console.report_api import NOTES
from proxy.settings.config import Listen
from support.wire import TOKEN

if TYPE_CHECKING:
    from conftest import RecordMaker

DATABASE = "test_api_questions"
WELL: dict[str, dict[str, object]] = {"clickhouse": {"ok": True, "waiting": 0}}


@pytest.fixture(scope="module")
def records(make_records: "RecordMaker", chdb_dsn: str) -> list[Record]:
    """Those in the store."""
    records = make_records(40)

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE)
        await exporter.export(Batch("s:0-39", tuple(records)))
        await exporter.close()

    asyncio.run(fill())
    return records


class Console:
    """A console, and questions to it."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def ask(self, path: str, status: int = 200, **query: str) -> Any:
        """The document of an answer, whose status and type are checked."""
        url = f"{path}?{urlencode(query)}" if query else path
        async with self.session.get(url) as answer:
            assert answer.content_type == "application/json", (path, await answer.text())
            assert answer.status == status, (path, query, await answer.text())
            return await answer.json()


def plain(path: str) -> str:
    """A path of the table as one that can be asked for."""
    return path.replace("{", "").replace("}", "")


# Routes of other handlers, behind the same middleware.
ELSEWHERE = {
    *("/api/content", "/api/audit", "/api/access", "/api/session", "/api/calls/{call_id}/content"),
    *("/api/budgets", "/api/budgets/{name}/test", "/api/budgets/{name}/history"),
    *("/api/evaluations", "/api/evaluations/{run_id}", "/api/routes"),
    *("/api/export/conversations", "/api/export/focus", "/api/metered", "/api/amortised"),
    *("/api/audit/evidence", "/api/audit/proof/{call_id}", "/api/audit/consistency"),
    *("/api/tariffs", "/api/tariffs/{provider}/{model}", "/api/prices"),
    *("/api/simulate", "/api/simulate/{name}", "/api/loadtest", "/api/loadtest/{name}"),
}


@pytest.fixture
async def console(chdb_dsn: str, records: list[Record]) -> AsyncIterator[Console]:
    """A console over a store with those records."""
    store = Store(chdb_dsn, database=DATABASE)
    server = TestServer(application(store, lambda: WELL, Listen()))
    await server.start_server()
    async with ClientSession(server.make_url("/")) as session:
        yield Console(session)
    await server.close()
    await store.close()


async def test_no_address_ignores_a_parameter(console: Console) -> None:
    """Every route of the API refuses names it does not know, and says which there are."""
    paths = [path for method, path in RULES if method == "GET" and path.startswith(API)]
    for path in set(paths) - ELSEWHERE:
        found = await console.ask(plain(path), 400, tem="x")
        assert found["parameter"] == "tem", path
        assert "unknown parameter 'tem'; " in found["error"]
        assert found["error"].endswith(found["hint"])
    assert (await console.ask("/api/spend", 400, tem="x"))["hint"] == "did you mean team?"
    assert (await console.ask("/api/health", 400, x="x"))["hint"] == "there are none here"


async def test_nothing_is_given_twice(console: Console) -> None:
    """Where one value is meant, a second one is refused and not dropped."""
    for (method, path), accepted in ACCEPTED.items():
        if method == "GET" and path not in ELSEWHERE:
            for name in accepted.once:
                found = await console.ask(f"{plain(path)}?{name}=1&{name}=1", 400)
                assert found["parameter"] == name


async def test_a_team_that_nobody_has(console: Console, records: list[Record]) -> None:
    """It spent nothing, and the answer says that there is none, and which are near."""
    assert await console.ask("/api/spend", team="nobody") == []
    found = await console.ask("/api/report", team="serch")
    assert (found["rows"], found["total"]["calls"]) == ([], 0)
    assert found["notes"] == ["no call has team=serch; did you mean search?"]
    async with console.session.get("/api/spend?team=ser%C3%A7h&format=csv") as answer:
        assert json.loads(answer.headers[NOTES]) == ["no call has team=serçh; did you mean search?"]
    both = await console.ask("/api/report?team=search&team=ads&by=")
    assert both["total"]["calls"] == len(records)
    assert (both["notes"], both["by"], both["rows"]) == ([], [], [both["total"]])


async def test_reports(console: Console, records: list[Record]) -> None:
    """Filters, groups, days and limits over HTTP; the rows add up to the total."""
    found = await console.ask("/api/report?since=2d&by=day&by=team&team!=ads&tz=Asia/Kathmandu")
    mine = [record for record in records if record.team != "ads"]
    assert found["total"]["calls"] == len(mine) == sum(row["calls"] for row in found["rows"])
    assert found["tz"] == "Asia/Kathmandu"
    assert found["by"] == ["day", "team"]
    known = sum((record.cost_usd or Decimal(0) for record in mine), Decimal(0))
    assert Decimal(found["total"]["cost_usd"]) == known
    rows = await console.ask("/api/spend", by="user", limit="3")
    assert sorted(row["other"] for row in rows) == [False] * 3 + [True]
    assert sum(row["calls"] for row in rows) == len(records)
    steps = await console.ask("/api/timeline", since="3h", step="600", stream="true", by="")
    assert sum(row["calls"] for row in steps) == sum(record.stream for record in records)
    calls = await console.ask("/api/calls", user="user 1", limit="1000")
    assert len(calls) == sum(record.user_id == "user 1" for record in records)


async def test_csv(console: Console, records: list[Record]) -> None:
    """For spreadsheets: a file with a name, the same numbers, and no formula."""
    async with console.session.get("/api/report?by=team&format=csv&since=7d") as answer:
        assert answer.headers["Content-Disposition"].startswith(
            'attachment; filename="taximeter-report-20'
        )
        assert answer.content_type == "text/csv"
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert sum(int(row["calls"]) for row in rows) == len(records)
    assert list(rows[0])[:2] == ["team", "calls"]
    async with console.session.get("/api/calls?format=csv&limit=3") as answer:
        calls = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [row["call_id"] for row in calls] == [record.call_id for record in records[:3]]
    assert list(calls[0]) == [*COLUMNS, "ingested_at"]


async def test_some_columns_of_calls(console: Console, records: list[Record]) -> None:
    """Those that are asked for, in their order; a page needs few, and receipts are long."""
    rows = await console.ask("/api/calls", columns="call_id,cost_usd", limit="2")
    assert [list(row) for row in rows] == [["call_id", "cost_usd"]] * 2
    assert rows[0]["call_id"] == records[0].call_id
    async with console.session.get("/api/calls?columns=team&columns=ts&format=csv") as answer:
        assert (await answer.text()).startswith("team,ts\r\n")
    wrong = await console.ask("/api/calls", 400, columns="call_id,reciept")
    assert (wrong["parameter"], wrong["hint"]) == ("columns", "did you mean receipt?")


async def test_what_a_page_has_is_not_sent_again(console: Console) -> None:
    """An answer has a tag of its content, and is compressed for those who can read it."""
    path = "/api/calls?limit=50"
    async with console.session.get(path) as answer:
        tag, document = answer.headers["ETag"], await answer.json()
        assert answer.headers["Content-Encoding"] == "gzip"
        assert int(answer.headers["Content-Length"]) < len(await answer.text()) / 4
    async with console.session.get(path, headers={"If-None-Match": tag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
        assert answer.headers["Cache-Control"] == "no-store"
    plain = {"If-None-Match": '"another"', "Accept-Encoding": "identity"}
    async with console.session.get(path, headers=plain) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.json() == document


async def test_errors_are_for_people(console: Console) -> None:
    """404, 405, 401, 413: JSON that says what to do, never the text of a library."""
    assert "did you mean /api/spend?" in (await console.ask("/api/spned", 404))["error"]
    assert "nothing at /api/xyzzy" in (await console.ask("/api/xyzzy", 404))["error"]
    async with console.session.put("/api/spend") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")
        assert (await answer.json())["error"] == "/api/spend does not take PUT; use GET"
    for path, said in (
        ("/api/calls/x", "no call with this id"),
        ("/api/store/check", "has no store to check"),
    ):
        assert said in (await console.ask(path, 404))["error"]
    async with console.session.get("/api/spend", headers={"Expect": "tea"}) as answer:
        assert answer.content_type == "application/json", await answer.text()


async def test_a_fault_of_ours_is_told_in_the_same_form(chdb_dsn: str) -> None:
    """500 as JSON without a traceback; what is waiting is said, and a token is asked for."""
    store = Store(chdb_dsn, database=DATABASE)
    state: dict[str, Any] = {"clickhouse": {"ok": True, "waiting": 3, "lag_s": 0.5}}
    server = TestServer(application(store, lambda: state, Listen(token=TOKEN)))
    await server.start_server()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with ClientSession(server.make_url("/")) as session:
        console = Console(session)
        assert "requires a token" in (await console.ask("/api/spend", 401))["error"]
    async with ClientSession(server.make_url("/"), headers=headers) as session:
        console = Console(session)
        assert (await console.ask("/api/report"))["notes"] == []
        said = "3 calls are recorded, but not in the store yet"
        assert (await console.ask("/api/report", until="12h"))["notes"] == [said]
        state["clickhouse"]["lag_s"] = 7.5
        assert (await console.ask("/api/report"))["notes"] == [said]
        state["clickhouse"] = None
        broken = await console.ask("/api/report", 500)
        assert broken["error"] == "Taximeter failed to answer this; its log says why"
    await server.close()
    await store.close()
