"""What the console sends of exports and bills over HTTP, and to whom."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from aiohttp.test_utils import TestServer
from test_export_focus import RECORDS, line

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import Batch, TransientError
from proxy.access.audit import Audit
from proxy.access.roles import Role
from proxy.access.tokens import Tokens, planned, save
from proxy.console import export_api
from proxy.console.admission import admission
from proxy.console.api import application
from proxy.console.export_api import ExportApi
from proxy.console.invoice_api import InvoiceApi
from proxy.exports.focus import COLUMNS
from proxy.settings.bills import FixedCostOptions
from proxy.settings.config import Config, ContentOptions, Listen
from proxy.settings.places import Places

DATABASE = "test_export_api"
SEATS = FixedCostOptions(name="seats", usd=Decimal(300), per="month", spread="calls")
FILTERED = "/api/export/conversations?project=shop"


@pytest.fixture(scope="module")
def filled(chdb_dsn: str) -> None:
    """The calls of a day, with receipts."""

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE)
        await exporter.export(Batch("s:0-99", RECORDS))
        await exporter.close()

    asyncio.run(fill())


class Console:
    """A console with a token of each role."""

    def __init__(self, session: ClientSession, tokens: dict[Role, str], audit: Path) -> None:
        self.session, self.tokens, self.audit = session, tokens, audit

    async def get(self, path: str, role: Role = Role.AUDITOR) -> tuple[int, bytes]:
        """Status and body."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        async with self.session.get(path, headers=headers) as answer:
            return answer.status, await answer.read()

    async def rows(self, path: str) -> Any:
        """The document of a good answer."""
        status, body = await self.get(path)
        assert status == 200, body
        return json.loads(body)


@pytest.fixture
async def console(filled: None, chdb_dsn: str, tmp_path: Path) -> AsyncIterator[Console]:
    """Over that store."""
    places = Places(tmp_path)
    tokens = {}
    for role in Role:
        token, after = planned(places.access, role.value, role)
        save(places.access, after)
        tokens[role] = token
    store, audit = Store(chdb_dsn, database=DATABASE), Audit(Config(data=tmp_path))
    listen = Listen()
    app = application(
        store,
        dict,
        listen,
        admits=admission(listen, Tokens(places.access)),
        more=[
            *ExportApi(store, ContentOptions(), audit).routes(),
            *InvoiceApi(store, {"seats": SEATS}).routes(),
        ],
    )
    async with TestServer(app) as server, ClientSession(server.make_url("/")) as session:
        yield Console(session, tokens, places.audit)
    audit.close()
    await store.close()


async def test_conversations_are_for_those_who_may_read_content(console: Console) -> None:
    """Tried role by role; each export is in the audit log before its first line is sent."""
    found = {role: (await console.get(FILTERED, role))[0] for role in Role}
    assert found == {
        Role.VIEWER: 403,
        Role.FINANCE: 403,
        Role.AUDITOR: 200,
        Role.ADMIN: 200,
    }
    status, body = await console.get(FILTERED)
    assert status == 200
    assert [json.loads(one)["kind"] for one in body.splitlines()] == ["call"] * 8
    frames = b"".join(path.read_bytes() for path in console.audit.rglob("*") if path.is_file())
    assert frames.count(b'"action":"export"') == 3
    status, body = await console.get("/api/export/conversations")
    assert (status, json.loads(body)["parameter"]) == (400, "since")


async def test_a_stream_that_breaks_is_not_taken_for_whole(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes away after the first page: the connection ends with an error."""

    async def two_pages(*_: object) -> AsyncIterator[list[Any]]:
        yield []
        raise TransientError("the store is away")

    monkeypatch.setattr(export_api, "conversations", two_pages)
    with pytest.raises(ClientError):
        await console.get(FILTERED)


async def test_finance_gets_sums(console: Console) -> None:
    """The bill by FOCUS, what was metered, and fixed costs, for whoever may read spend."""
    paths = [
        "/api/export/focus?since=2026-11-03&until=2026-11-04",
        "/api/metered?provider=openai&since=2026-11-03&until=2026-11-04",
        "/api/amortised?since=2026-11-01&until=2026-12-01&by=team",
    ]
    assert [(await console.get(path, Role.FINANCE))[0] for path in paths] == [200] * 3
    focus, metered, amortised = [await console.rows(path) for path in paths]
    assert focus["absent"]["unknown"] == 1
    assert sum(row["calls"] for row in metered) == len(RECORDS)
    assert [row["team"] for row in amortised["rows"]] == ["search"]
    status, body = await console.get(f"{paths[0]}&format=csv")
    table = list(csv.DictReader(io.StringIO(body.decode())))
    assert status == 200
    assert list(table[0]) == list(COLUMNS)
    assert len(table) == len(focus["lines"])
    assert (await console.get("/api/metered?since=2026-11-03"))[0] == 400
    assert (await console.get("/api/export/focus?since=2026-11-03T01:00Z"))[0] == 400


def test_a_line_is_what_the_receipts_have() -> None:
    """The shape that these tests make is that of `pricing.charge.line_document`."""
    assert set(line("input", 1, "2.5")) == {
        *("subcall", "model", "meter", "quantity", "rate", "per", "factors", "usd"),
        *("rule", "source"),
    }
