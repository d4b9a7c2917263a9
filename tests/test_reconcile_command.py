"""`taximeter reconcile` asks the provider or reads files, and says what a bill is made of."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import EPOCH, Batch, Record
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.console.invoice_api import metered_of
from proxy.invoices import fetching
from proxy.invoices.fetching import NotFetched, fetched
from proxy.invoices.metered import metered_rows
from proxy.invoices.statement import StatementError
from support import bills
from support.bill_lines import Line

FIRST = date(2026, 11, 1)
PATHS = os.pathsep.join(map(str, (Path(__file__).parents[1], Path(__file__).parent)))
KEY = "sk-admin-never-shown"


def record(number: int, **changes: object) -> Record:
    """A call of a day each, in the middle of it."""
    at = datetime(2026, 11, 1 + number, 12, 30, tzinfo=UTC)
    fields: dict[str, Any] = {
        "ts_us": (at - EPOCH) // timedelta(microseconds=1),
        "call_id": str(UUID(int=number + 1)),
        "source": f"w:{number}",
        "provider": "openai",
        "request_model": "gpt-5.4-mini",
        "outcome": "ok",
        "input_tokens_total": 1_000,
        "cache_read_tokens": 400,
        "output_tokens_total": 100,
        "cost_usd": Decimal("0.0013"),
        "cost_input_usd": Decimal("0.0006"),
        "cost_cache_read_usd": Decimal("0.0002"),
        "cost_output_usd": Decimal("0.0005"),
        "cost_status": "exact",
        "duration_us": 1_000_000,
    }
    return Record(**(fields | changes))


def lines(days: int = 4) -> list[Line]:
    """The bill of those calls."""
    items = (("input", "0.0006", 600), ("cache_read", "0.0002", 400), ("output", "0.0005", 100))
    return [
        Line(
            day=FIRST + timedelta(days=n),
            model="gpt-5.4-mini",
            item=item,
            usd=Decimal(usd),
            tokens=tokens,
        )
        for n in range(days)
        for item, usd, tokens in items
    ]


async def test_rows_are_summed_by_hour(chdb_dsn: str, database: str) -> None:
    """Items, tokens without those of caches, calls without a price, plans, and midnight."""
    rows = ClickHouse(chdb_dsn, database=database)
    late = datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC)
    records = [
        record(0),
        record(0, call_id=str(UUID(int=50)), cost_usd=None, cost_input_usd=None),
        record(
            0,
            call_id=str(UUID(int=51)),
            ts_us=(late - EPOCH) // timedelta(microseconds=1),
            duration_us=2_000_000,
        ),
        record(
            0,
            call_id=str(UUID(int=52)),
            cost_status="not_billed",
            reasons=("plan",),
            cost_usd=Decimal(0),
            list_usd=Decimal("0.5"),
        ),
        record(0, call_id=str(UUID(int=53)), provider="anthropic"),
    ]
    await rows.export(Batch("s:0-9", tuple(records)))
    await rows.close()
    store = Store(chdb_dsn, database=database)
    found = await metered_of(
        store, "openai", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    )
    await store.close()
    noon, midnight = metered_rows(found)
    assert (noon.calls, noon.unpriced, noon.planned) == (3, 1, 1)
    assert noon.plan_usd == Decimal("0.5")
    assert noon.tokens["input"] == 1_800
    assert noon.unpriced_tokens["cache_read"] == 400
    assert noon.crossing["input"] == 0
    assert midnight.crossing["input"] == Decimal("0.0006")


# -- the API of a provider -------------------------------------------------------------------------

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def provider(handler: Handler) -> AsyncIterator[str]:
    """A usage and cost API on this machine."""
    app = web.Application()
    app.router.add_get("/{rest:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))


async def test_pages_are_followed() -> None:
    """With the key in its header, and what the reference says in the query."""
    costs, usage = bills.openai(lines())
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        page = json.loads(costs if request.path.endswith("costs") else usage)
        if "embeddings" in request.path:
            page["data"] = []
        elif "page" not in request.query:
            page |= {"data": page["data"][:2], "has_more": True, "next_page": "p2"}
        else:
            page["data"] = page["data"][2:]
        return web.json_response(page)

    async with provider(answer) as url:
        texts = await fetched("openai", KEY, (FIRST, date(2026, 11, 4)), base_url=url)
    assert len(texts) == 5
    assert {one.headers["Authorization"] for one in seen} == {f"Bearer {KEY}"}
    assert seen[0].query["start_time"] == "1793491200"
    assert seen[0].query["end_time"] == "1793836800"
    assert seen[0].query.getall("group_by") == ["line_item"]


async def test_a_busy_api_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """429 with Retry-After, then an answer; a refusal is not repeated, and shows no key."""
    monkeypatch.setattr(fetching, "WAIT_S", 0.01)
    statuses = [429, 503, 200, 401]

    async def answer(request: web.Request) -> web.Response:
        status = statuses.pop(0)
        headers = {"Retry-After": "0"} if status == 429 else {}
        return web.json_response({"data": []}, status=status, headers=headers)

    async with provider(answer) as url:
        assert len(await fetched("openrouter", KEY, (FIRST, FIRST), base_url=url)) == 1
        with pytest.raises(NotFetched, match="answered HTTP 401: it needs an admin key") as failed:
            await fetched("openrouter", KEY, (FIRST, FIRST), base_url=url)
    assert KEY not in str(failed.value)
    with pytest.raises(StatementError, match="in clear"):
        await fetched("openrouter", KEY, (FIRST, FIRST), base_url="http://example.com")


# -- the command -----------------------------------------------------------------------------------

FILL = """
import asyncio, sys
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.record import Batch
from test_reconcile_command import record
async def fill():
    rows = ClickHouse(f"chdb://{sys.argv[1]}/chdb")
    await rows.export(Batch("s:0-9", tuple(record(n) for n in range(4))))
    await rows.close()
asyncio.run(fill())
"""


def fill(data: Path) -> None:
    """Put the calls into an embedded store, which only a process of its own can have open."""
    command = [sys.executable, "-c", FILL, str(data)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": PATHS})


def taximeter(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command, in a process of its own for the same reason."""
    return subprocess.run(
        [sys.executable, "-m", "proxy", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OPENAI_ADMIN_KEY": "", "PYTHONPATH": PATHS},
    )


@pytest.mark.slow  # three processes, each with a store of its own
def test_a_month_of_files(tmp_path: Path) -> None:
    """Costs and usage as downloaded: agreed to the last digit; then with a discount."""
    data = tmp_path / "data"
    fill(data)
    less = [
        Line(day=one.day, model=one.model, item=one.item, usd=one.usd * 2 / 5, tokens=one.tokens)
        for one in lines()
    ]
    files = []
    for number, text in enumerate((*bills.openai(lines()), *bills.openai(less))):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(text, encoding="utf-8")
    asked: tuple[str, ...] = ("reconcile", "--provider", "openai", "--data", str(data))
    asked += ("--since", "2026-11-01", "--until", "2026-11-05")
    same = taximeter(*asked, "--json", "--file", str(files[0]), "--file", str(files[1]))
    assert same.returncode == Exit.OK, same.stderr
    shown = json.loads(same.stdout)
    assert shown["total"]["metered_usd"] == "0.0052"
    assert shown["total"]["difference_usd"] == "0"
    overlay = tmp_path / "openai.toml"
    written = ("--write-overlay", str(overlay))
    other = taximeter(*asked, "--file", str(files[2]), "--file", str(files[3]), *written)
    assert other.returncode == Exit.OK, other.stderr
    assert "tier or discount not known" in other.stdout
    assert "Every day is explained to within 0.1 % of its bill." in other.stdout
    assert "factor = 0.4\n" in overlay.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--provider", "opnai", "--month", "2026-11"), "did you mean openai?"),
        (("--provider", "openai"), "give --month, or --since and --until"),
        (("--provider", "openai", "--since", "2026-11-01T03:00Z"), "whole days (UTC)"),
        (("--provider", "bedrock", "--month", "2026-11"), "give --file"),
        (("--provider", "openai", "--month", "2026-11"), "set OPENAI_ADMIN_KEY, or"),
        (
            ("--provider", "openai", "--month", "2026-11", "--file", "{empty}"),
            "the bill has no amounts",
        ),
    ],
)
def test_questions_that_are_not_understood(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 2, and what to do."""
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)
    (tmp_path / "state").mkdir()
    empty = tmp_path / "empty.json"
    empty.write_text('{"data": []}', encoding="utf-8")
    given = [word.replace("{empty}", str(empty)) for word in words]
    assert main(["reconcile", *given, "--data", str(tmp_path)]) == Exit.MISTAKE
    assert said in capsys.readouterr().err
