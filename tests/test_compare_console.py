"""A comparison in the console: the command's answer, as a page and as JSON, from the same calls."""

import asyncio
import base64
import fcntl
import hashlib
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import suppress
from html import escape
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.observed import COLUMNS
from exporters.clickhouse.store import Store
from exporters.record import Batch
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.console.api import application
from proxy.settings.config import Listen
from support import deciding

DATABASE = "test_compare_console"
WEIGHTS = {"weights": "quality=4,cost=3", "anchors": "cost=0.02:0,0.002:1", "since": "20d"}


@pytest.fixture(scope="module")
def filled(chdb_dsn: str) -> str:
    """A store with calls of three candidates."""
    records = tuple(deciding.calls(np.random.default_rng(5), count=240))

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE)
        await exporter.export(Batch("s:0", records))
        await exporter.close()

    asyncio.run(fill())
    return chdb_dsn


@pytest.fixture
async def session(filled: str) -> AsyncIterator[ClientSession]:
    """A console over it."""
    store = Store(filled, database=DATABASE)
    server = TestServer(application(store, lambda: {}, Listen()))
    await server.start_server()
    async with ClientSession(server.make_url("/")) as session:
        yield session
    await server.close()
    await store.close()


@pytest.mark.thorough
async def test_the_page_and_the_json_say_the_same(session: ClientSession) -> None:
    """And no style or script runs but the page's own."""
    async with session.get("/api/compare", params=WEIGHTS) as answer:
        assert answer.status == 200
        found = await answer.json()
    assert found["total"]["calls"] == 240
    assert {each["model"] for each in found["candidates"]} == {"cheap", "good", "poor"}
    async with session.get("/compare", params=WEIGHTS) as answer:
        page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
        assert answer.status == 200
    assert found["verdict"]["winner"] in page
    assert 'value="quality=4,cost=3"' in page
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'self'")
    assert "<script" not in page
    assert " style=" not in page


@pytest.mark.slow
async def test_recommendations_have_a_page_too(session: ClientSession) -> None:
    """And the same answer in JSON."""
    async with session.get("/api/recommend", params={"since": "20d"}) as answer:
        assert answer.status == 200
        found = await answer.json()
    assert set(found["spend"]) == {"openai/cheap", "openai/good", "openai/poor"}
    async with session.get("/recommend", params={"since": "20d", "smallest": "0.02"}) as answer:
        assert answer.status == 200
        page = await answer.text()
    assert "0 recommended" in page
    assert 'value="0.02"' in page
    async with session.get("/api/recommend", params={"smallest": "much"}) as answer:
        assert answer.status == 400
        assert "invalid float value: 'much'" in (await answer.json())["error"]


@pytest.mark.thorough
async def test_what_is_wrong_is_said_where_it_was_asked(session: ClientSession) -> None:
    """By both, and as text: nothing of it becomes markup or an option of the command."""
    async with session.get("/api/compare", params={"weights": "qualty=4"}) as answer:
        assert answer.status == 400
        assert "did you mean quality?" in (await answer.json())["error"]
    for wrong, said in (
        ({"slo": "--html=x<1"}, "unknown metric '--html'"),
        ({"run": "R9"}, "no run R9"),
        ({"tem": "x"}, "did you mean team?"),
        ({"since": "<b>"}, "invalid time"),
    ):
        async with session.get("/compare", params=wrong) as answer:
            assert answer.status == 400, wrong
            page = await answer.text()
            assert escape(said) in page
            assert "<b>" not in page


@pytest.mark.slow
async def test_no_calls(session: ClientSession) -> None:
    """An answer in JSON, a sentence on the page."""
    period = {"since": "2020-01-01", "until": "2020-01-02"}
    async with session.get("/api/compare", params=period) as answer:
        assert (await answer.json())["verdict"]["conclusion"] == "cannot tell"
    async with session.get("/compare", params=period) as answer:
        assert "there are no calls to compare" in await answer.text()


@pytest.mark.slow
def test_tables_fit_a_terminal_of_80_columns(tmp_path: Path) -> None:
    """Of both commands; numbers are whole."""
    models = ("openai/gpt-5.4", "openai/gpt-5.4-mini", "anthropic/claude-sonnet-4-5")
    use = {"input": 3000, "output": 400}
    records = [
        deciding.call(1000 * number + at, model, use)
        for number, model in enumerate(models)
        for at in range(30)
    ]
    sums, rows = deciding.observed(records)
    document = {
        **{"since": "2026-01-01", "until": "2026-01-02", "tz": "UTC", "notes": [], "share": 1.0},
        **{"sums": sums, "total": {"calls": 90}, "columns": list(COLUMNS), "rows": rows},
    }
    file = tmp_path / "observed.json"
    file.write_bytes(msgspec.json.encode(document))
    for command, words in (("compare", ["--weights", "quality=4,cost=3"]), ("recommend", [])):
        arguments = [command, "--observed", str(file), *words]
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        with subprocess.Popen(
            [sys.executable, "-m", "proxy", *arguments],
            stdout=slave,
            env=os.environ | {"TERM": "dumb"},
        ) as process:
            os.close(slave)
            shown = b""
            with suppress(OSError):  # how Linux ends it
                while data := os.read(master, 65536):
                    shown += data
        os.close(master)
        assert process.returncode == 0
        lines = shown.decode().splitlines()
        assert len(lines) > 10
        assert max(len(line.rstrip()) for line in lines) <= 80


@pytest.mark.thorough
def test_calls_from_a_file(
    filled: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `GET /api/observed` answers suffices; anything else is refused."""

    async def ask() -> bytes:
        store = Store(filled, database=DATABASE)
        server = TestServer(application(store, lambda: {}, Listen()))
        await server.start_server()
        async with (
            ClientSession(server.make_url("/")) as session,
            session.get("/api/observed", params={"since": "20d"}) as answer,
        ):
            data = await answer.read()
        await server.close()
        await store.close()
        return data

    data = asyncio.run(ask())
    assert "session-" not in data.decode()  # sessions are numbers there
    for document, code in ((data, Exit.OK), (b"{}", Exit.MISTAKE), (b"[1", Exit.MISTAKE)):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(document)))
        assert main(["compare", "--observed", "-", "--json"]) == code
        if code == Exit.OK:
            assert len(json.loads(capsys.readouterr().out)["candidates"]) == 3
    assert "no answer of GET /api/observed" in capsys.readouterr().err
    older = data.replace(b'"sticky"', b'"formerly"')
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(older)))
    assert main(["recommend", "--observed", "-"]) == Exit.MISTAKE
    assert "has no sticky" in capsys.readouterr().err
    assert main(["compare", "--observed", "-", "--team", "x"]) == Exit.MISTAKE
