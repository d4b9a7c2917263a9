"""What simulations and load tests found is kept, and the console shows it as the command did."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from evaluation.reports.page import whole
from proxy import results
from proxy.access.rules import RULES
from proxy.console.asking import answering, guarded, understood
from proxy.console.results_api import ResultsApi
from proxy.results import COMMANDS, KEPT_MAX, Result

AT = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


def result(number: int = 0, **changes: Any) -> Result:
    given: dict[str, Any] = {
        "at": AT + timedelta(minutes=number),
        "title": f"assistant <{number}>",
        "said": "Gate passed & well.",
        "ok": True,
        "document": {"number": number},
        "html": whole("Simulated routes", f"<h2>Gate {number}</h2><p>passed</p>"),
    }
    return Result(**given | changes)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[Request, Application]]:
    app = Application(middlewares=[guarded, understood])
    app.add_routes(answering(ResultsApi(tmp_path).routes()))
    async with TestClient(TestServer(app)) as client:
        yield client


def test_the_newest_are_kept(tmp_path: Path) -> None:
    """So many of each command; a result is read as it was written, by nobody else."""
    for number in range(KEPT_MAX + 3):
        path = results.keep(tmp_path, "simulate", result(number))
        assert path is not None
        assert path.stat().st_mode & 0o077 == 0
    assert results.keep(tmp_path, "loadtest", result()) is not None
    listed = results.listed(tmp_path, "simulate")
    assert len(listed) == KEPT_MAX
    assert [each.at for _, each in listed] == sorted((e.at for _, e in listed), reverse=True)
    newest = listed[0][0]
    assert results.kept(tmp_path, "simulate", newest) == result(KEPT_MAX + 2)
    assert len(results.listed(tmp_path, "loadtest")) == 1


def test_what_cannot_be_kept_fails_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No directory is made for it, none too large is written, and a broken file hides no other."""
    assert results.keep(tmp_path / "nowhere", "simulate", result()) is None
    assert not (tmp_path / "nowhere").exists()
    with monkeypatch.context() as patched:
        patched.setattr(results, "BYTES_MAX", 100)
        assert results.keep(tmp_path, "simulate", result()) is None
    assert "larger than 100 bytes" in caplog.text
    path = results.keep(tmp_path, "simulate", result())
    assert path is not None
    path.with_name("20261128T093100000000Z.json").write_text("{")
    assert [name for name, _ in results.listed(tmp_path, "simulate")] == [path.stem]
    (tmp_path / "results" / "loadtest").write_text("in the way")
    assert results.keep(tmp_path, "loadtest", result()) is None
    assert "is not kept" in caplog.text


async def test_a_result_is_a_page_and_json(
    client: TestClient[Request, Application], tmp_path: Path
) -> None:
    """The list leads to the report, under a policy that admits its style alone."""
    for command in COMMANDS:
        answer = await client.get(f"/{command}")
        assert f"taximeter {command}" in await answer.text()
        path = results.keep(tmp_path, command, result(7))
        assert path is not None
        [listed] = await (await client.get(f"/api/{command}")).json()
        assert (listed["name"], listed["title"], listed["ok"]) == (path.stem, "assistant <7>", True)
        assert "html" not in listed
        one = await client.get(f"/api/{command}/{path.stem}")
        assert await one.json() == {"number": 7}
        text = await (await client.get(f"/{command}")).text()
        assert "assistant &lt;7&gt;" in text
        assert f'href="/{command}?result={path.stem}"' in text
        page = await client.get(f"/{command}", params={"result": path.stem})
        text, policy = await page.text(), page.headers["Content-Security-Policy"]
        assert "<h3>Gate 7</h3><p>passed</p>" in text
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


@pytest.mark.parametrize("name", ["20261128T093000000000Z", "x", "../simulate/x", "%2e%2e%2fx"])
async def test_no_other_file_is_shown(
    client: TestClient[Request, Application], name: str, tmp_path: Path
) -> None:
    """Only a name that a command gave; the answer says how many are kept."""
    (tmp_path / "results" / "simulate").mkdir(parents=True)
    (tmp_path / "results" / "simulate" / "x.json").write_text("{}")
    answer = await client.get("/simulate", params={"result": name})
    assert answer.status == 404
    assert f"the newest {KEPT_MAX} are kept" in await answer.text()
    assert (await client.get(f"/api/loadtest/{name}")).status == 404


def test_no_page_starts_a_load_test() -> None:
    """Nor a simulation: both can only be read."""
    methods = {(m, p) for m, p in RULES for c in COMMANDS if p.startswith((f"/{c}", f"/api/{c}"))}
    assert {method for method, _ in methods} == {"GET"}
    assert len(methods) == 6
