"""The console answers every panel of every dashboard, and nothing that is not in their files."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from test_dashboards import NOW

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store, Table
from exporters.record import Batch, Record, TransientError
from proxy.console.api import application
from proxy.dashboards.answers import CACHED_MAX, ZONES_MAX, Answers, Statement
from proxy.dashboards.boards import boards
from proxy.settings.config import Listen

if TYPE_CHECKING:
    from conftest import RecordMaker

DATABASE = "test_dashboards_api"
HOSTILE = (
    "it's",
    "x') OR 1=1 --",
    "\\",
    "a\\'b",
    "{team_1:String}",
    "${project}",
    "$__fromTime",
    "%s",
)
NOTHING: Mapping[str, str] = {}
SINCE = {"from": "now-6h"}
SPEND = "/api/dashboards/taximeter-spend"


@pytest.fixture(scope="module")
def records(make_records: "RecordMaker", chdb_dsn: str) -> list[Record]:
    """Those in the store, of the last two hours."""
    records = make_records(60)

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE)
        await exporter.export(Batch("s:0-59", tuple(records)))
        await exporter.close()

    asyncio.run(fill())
    return records


@pytest.fixture
async def console(chdb_dsn: str, records: list[Record]) -> AsyncIterator[ClientSession]:
    """A session whose base is a console over a store with those records."""
    store = Store(chdb_dsn, database=DATABASE)
    server = TestServer(application(store, dict, Listen()))
    await server.start_server()
    async with ClientSession(server.make_url("/")) as session:
        yield session
    await server.close()
    await store.close()


async def get(
    console: ClientSession, path: str, query: Mapping[str, str] = NOTHING, status: int = 200
) -> Any:
    async with console.get(path, params=query) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


@pytest.mark.parametrize("zone", ["localtime", "Factory"])
async def test_a_zone_is_a_place(console: ClientSession, zone: str) -> None:
    """What each machine takes for another one is no zone: the store may be elsewhere."""
    wrong = await get(console, f"{SPEND}/panels/16", {"tz": zone}, 400)
    assert f"unknown time zone '{zone}'" in wrong["error"]


async def test_zones_do_not_fill_the_memory_of_the_engine(console: ClientSession) -> None:
    """It keeps megabytes for each, so that every zone on earth would end the embedded store."""
    zones = sorted(name for name in available_timezones() if "/" in name)[:ZONES_MAX]
    asked = [{"tz": zone, "from": "now-1h"} for zone in zones]
    for query in asked[: ZONES_MAX - 2]:
        await get(console, f"{SPEND}/panels/16", query)
    wrong = await get(console, f"{SPEND}/panels/16", asked[-1], 400)
    assert wrong["parameter"] == "tz"
    assert "choose UTC" in wrong["hint"]
    await get(console, f"{SPEND}/panels/16", asked[0])
    await get(console, f"{SPEND}/panels/16", {"from": "now-1h"})
    await get(console, f"{SPEND}/panels/10", asked[-1])  # its query does not need the zone


@pytest.mark.thorough
async def test_every_panel_is_answered(console: ClientSession) -> None:
    """Each target of each has columns, and all together rows, with nothing chosen."""
    listed = await get(console, "/api/dashboards")
    assert [each["uid"] for each in listed] == list(boards())
    assert all(each["title"] and each["description"] for each in listed)
    for each in listed:
        found = await get(console, f"/api/dashboards/{each['uid']}")
        assert found["variables"]
        for panel in found["panels"]:
            assert {"id", "type", "title", "gridPos", "options", "fieldConfig"} <= panel.keys()
            path = f"/api/dashboards/{each['uid']}/panels/{panel['id']}"
            answer = await get(console, path, SINCE)
            assert answer["to"] - answer["from"] >= 6 * 3_600_000
            for target in answer["targets"]:
                assert target["refId"]
                assert all(column.keys() == {"name", "type"} for column in target["columns"])
                assert all(len(row) == len(target["columns"]) for row in target["rows"])


async def test_what_is_chosen_narrows(console: ClientSession, records: list[Record]) -> None:
    """Values add up; a hostile one is a team that nobody has."""
    calls = named("Calls")
    path = f"{SPEND}/panels/{calls}"

    async def counted(*teams: str) -> int:
        asked = [("from", "now-6h"), *(("var-team", team) for team in teams)]
        async with console.get(path, params=asked) as answer:
            assert answer.status == 200, await answer.text()
            [target] = (await answer.json())["targets"]
            return int(target["rows"][0][0])

    assert await counted() == await counted("$__all") == len(records)
    offered = await get(console, f"{SPEND}/variables/team", SINCE)
    assert offered["options"] == sorted({each.team for each in records})
    each_team = [await counted(team) for team in offered["options"]]
    assert sum(each_team) == await counted(*offered["options"]) == len(records)
    for value in HOSTILE:
        assert await counted(value) == 0, value
    assert await counted(*HOSTILE, offered["options"][0]) == each_team[0]


def named(title: str) -> str:
    """The id of a panel of the dashboard Spend."""
    panels = boards()["taximeter-spend"].panels
    return next(id for id, each in panels.items() if each.document["title"] == title)


async def test_a_panel_as_csv(console: ClientSession, records: list[Record]) -> None:
    """The rows of its target, money exact, named after panel and range."""
    models = named("Models")
    path = f"{SPEND}/panels/{models}"
    async with console.get(path, params={"from": "now-6h", "format": "csv"}) as answer:
        assert answer.content_type == "text/csv"
        assert "taximeter-models-20" in answer.headers["Content-Disposition"]
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
    costs = [Decimal(row["cost"]) for row in rows if row["cost"]]
    assert sum(costs) == sum(each.cost_usd for each in records if each.cost_usd is not None)


@pytest.mark.parametrize(
    ("path", "query", "status", "error"),
    [
        ("/api/dashboards/taximeter-spent", {}, 404, "did you mean taximeter-spend?"),
        (f"{SPEND}/panels/99", {}, 404, "has no panel '99'"),
        (f"{SPEND}/variables/tema", {}, 404, "did you mean team?"),
        (f"{SPEND}/panels/1", {"var-tema": "x"}, 400, "did you mean var-team?"),
        (f"{SPEND}/panels/1", {"til": "now"}, 400, "expected: from, to, tz"),
        (f"{SPEND}/panels/1", {"from": "yesterday"}, 400, "expected now-7d"),
        (f"{SPEND}/panels/1", {"from": "now", "to": "now-1h"}, 400, "is empty"),
        (f"{SPEND}/panels/1", {"tz": "europe/berlin"}, 400, "did you mean Europe/Berlin?"),
        (f"{SPEND}/panels/1", {"refId": "SELECT 1"}, 400, "unknown refId"),
        (f"{SPEND}/panels/1", {"format": "xml"}, 400, "expected: json, csv"),
    ],
)
async def test_what_is_not_there(
    console: ClientSession, path: str, query: dict[str, str], status: int, error: str
) -> None:
    """Names and values that are not understood are refused, with what to do."""
    assert error in (await get(console, path, query, status))["error"]


class Slow:
    """A store that counts its queries; `wrong` makes them fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.wrong = False
        self.go = asyncio.Event()

    async def table(self, sql: str, parameters: Mapping[str, object]) -> Table:
        self.asked += 1
        await self.go.wait()
        if self.wrong:
            raise TransientError("away")
        return Table([], [[self.asked]])


async def test_viewers_share_a_query() -> None:
    """All who ask the same at once wait for one query, also if the first of them leaves."""
    store = Slow()
    answers = Answers(store)
    asking = [asyncio.create_task(answers.answer(Statement("a", {}, NOW), NOW)) for _ in range(5)]
    other = asyncio.create_task(answers.answer(Statement("a", {"team": "x"}, NOW), NOW))
    await asyncio.sleep(0)
    asking[0].cancel()
    store.go.set()
    assert [table.data for table in await asyncio.gather(*asking[1:])] == [[[1]]] * 4
    assert (await other).data == [[2]]
    assert (await answers.answer(Statement("a", {}, NOW), NOW)).data == [[1]]


async def test_a_failure_is_not_remembered() -> None:
    """Once the store is back, it is asked again; answers are kept within limits."""
    store = Slow()
    store.go.set()
    store.wrong = True
    answers = Answers(store)
    with pytest.raises(TransientError):
        await answers.answer(Statement("a", {}, NOW), NOW)
    store.wrong = False
    assert (await answers.answer(Statement("a", {}, NOW), NOW)).data == [[2]]
    for number in range(CACHED_MAX + 5):
        await answers.answer(Statement(f"{number}", {}, NOW), NOW)
    assert len(answers._flights) == CACHED_MAX
