"""The audit log: each change once, whoever made it, before it was made, and without a secret."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar
from aiohttp.test_utils import TestClient, TestServer

from exporters.clickhouse.audit import AuditTable
from exporters.clickhouse.audit_sql import AuditQuestion
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from proxy.access.audit import DOCUMENT_BYTES_MAX, Audit, NotAudited
from proxy.access.page_token import HEADER as PAGE_HEADER
from proxy.access.page_token import PageTokens
from proxy.access.roles import COMMAND, Caller, Role, Way
from proxy.access.tokens import Tokens
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.console import api, command_token
from proxy.console.access_api import AccessApi
from proxy.console.admission import admission
from proxy.console.audit_api import AuditApi, readable
from proxy.console.command_token import CommandToken
from proxy.delivery.audit import AuditDelivery
from proxy.query.asked import asked
from proxy.query.language import AUDIT_LOG, audit_question
from proxy.settings.config import Config
from proxy.settings.places import Places
from support.wire import TOKEN

ANN = Caller("ann", Role.FINANCE, Way.COOKIE)


def question(**query: str) -> AuditQuestion:
    """What the API makes of parameters."""
    return audit_question(asked(query.items(), AUDIT_LOG), datetime.now(UTC))


@dataclass
class Place:
    """A log over an empty table, and its delivery."""

    config: Config
    store: Store
    delivery: AuditDelivery

    async def read(self, **query: str) -> list[dict[str, Any]]:
        """What the table answers once everything was delivered."""
        await self.delivery.delivery.step()
        sql, bound = question(**query).sql()
        return [readable(row) for row in await self.store.ask(sql, bound)]


@pytest.fixture
async def place(store_dsn: str, database: str, tmp_path: Path) -> AsyncIterator[Place]:
    rows = ClickHouse(store_dsn, database=database)
    await rows.open()
    await rows.close()
    (tmp_path / "state").mkdir()
    config = Config(data=tmp_path, node="here")
    store, table = Store(store_dsn, database=database), AuditTable(store_dsn, database=database)
    delivery = AuditDelivery(config, table)
    yield Place(config, store, delivery)
    delivery.close()
    await table.close()
    await store.close()


async def test_an_entry_comes_back(place: Place) -> None:
    """Who, in which role, what, from what, to what, when and where."""
    audit = place.delivery.audit
    made = await audit(ANN, "budgets.change", "search", {"limit_usd": "5"}, {"limit_usd": "9.10"})
    await audit(COMMAND, "reprice", "calls")
    second, first = await place.read()
    assert first["id"] == made
    assert {name: first[name] for name in ("actor", "role", "action", "target", "node")} == {
        "actor": "ann", "role": "finance", "action": "budgets.change", "target": "search",
        "node": "here",
    }  # fmt: skip
    assert (first["before"], first["after"]) == ({"limit_usd": "5"}, {"limit_usd": "9.10"})
    assert (second["before"], second["after"]) == (None, None)
    assert first["ts"] <= second["ts"]


async def test_questions(place: Place) -> None:
    """Each filter narrows, pages neither repeat nor skip, and an unknown name is refused."""
    for number in range(5):
        await place.delivery.audit(ANN if number % 2 else COMMAND, f"a.{number}", "x")
    every = await place.read()
    assert [row["action"] for row in every] == [f"a.{number}" for number in (4, 3, 2, 1, 0)]
    assert [row["action"] for row in await place.read(actor="ann")] == ["a.3", "a.1"]
    assert [row["action"] for row in await place.read(action="a.2", target="x")] == ["a.2"]
    assert await place.read(target="' OR 1") == []
    assert await place.read(until="1h") == []
    assert len(await place.read(since="1h")) == 5
    page = await place.read(limit="2")
    last = page[-1]
    rest = await place.read(before=last["ts"], before_id=last["id"])
    assert [row["id"] for row in (*page, *rest)] == [row["id"] for row in every]
    for query, said in (
        ({"actr": "ann"}, "did you mean actor"),
        ({"limit": "0"}, "from 1 to"),
        ({"limit": "²"}, "from 1 to"),
        ({"since": "soon"}, "soon"),
        ({"before": "1h", "before_id": "x"}, "before_id"),
    ):
        with pytest.raises(ValueError, match=said):
            question(**query).sql()


async def test_an_entry_arrives_once(place: Place) -> None:
    """A delivery that died between sending and saving sends the same entry under its token."""
    await place.delivery.audit(ANN, "a", "x")
    path = Places(place.config.data).cursor("audit")
    await place.read()
    cursor = json.loads(path.read_text())
    path.write_text(json.dumps(cursor | {"offset": 0, "sending_to": cursor["offset"]}))
    again = AuditDelivery(place.config, place.delivery.delivery.exporter)
    await again.delivery.step()
    again.close()
    assert len(await place.read()) == 1


def written(data: Path) -> str:
    """All that the journal has on disk."""
    return b"".join(file.read_bytes() for file in data.rglob("*.seg")).decode("latin-1")


async def test_secrets_are_masked(tmp_path: Path) -> None:
    """By the name of a field and by form, at any depth; long documents are named, not kept."""
    audit = Audit(Config(data=tmp_path))
    secret = "sk-" + "a" * 40
    await audit(
        ANN,
        f"a {secret}",
        f"x {secret}",
        {"webhook": {"secret": "hush-hush", "url": "https://u:hush@h/"}, "list": [secret]},
        {"token": TOKEN, secret: 1, "amount": 5, "keys": ["hush-hush"]},
    )
    await audit(ANN, "a", "x", {"text": "y" * 2 * DOCUMENT_BYTES_MAX})
    audit.close()
    text = written(tmp_path)
    for hidden in (secret, "hush", TOKEN):
        assert hidden not in text
    assert '"amount\\":5' in text
    assert len(text) < DOCUMENT_BYTES_MAX


async def test_no_entry_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes no entry stops the change: nothing happens that the log does not have."""
    audit = Audit(Config(data=tmp_path))

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("proxy.journal.segment_writer.write_buffers", refuse)
    app = api.application(
        None,  # type: ignore[arg-type]
        dict,
        Config(data=tmp_path).console,
        admits=admission(Config(data=tmp_path).console, None, CommandToken(tmp_path / "c")),
        more=AccessApi(tmp_path / "access.json", PageTokens(), audit).routes(),
    )
    async with TestClient(TestServer(app)) as client:
        headers = command_token.headers(tmp_path / "c")
        body = {"name": "ann", "role": "viewer"}
        async with client.post("/api/access", json=body, headers=headers) as answer:
            assert (answer.status, "nothing was changed" in await answer.text()) == (503, True)
    assert not (tmp_path / "access.json").exists()
    with pytest.raises(NotAudited):
        await audit(ANN, "a", "x")
    audit.close()


async def test_tokens_over_http(place: Place) -> None:
    """An admin adds and removes tokens; the token is in one answer, and in no entry."""
    pages, data, audit = PageTokens(), place.config.data, place.delivery.audit
    listen = Config(data=data).console
    tokens = Tokens(data / "access.json", TOKEN)
    app = api.application(
        place.store,
        dict,
        listen,
        admits=admission(listen, tokens, None, pages),
        audit=audit,
        more=[
            *AccessApi(data / "access.json", pages, audit).routes(),
            *AuditApi(place.store, audit, place.delivery).routes(),
        ],
    )
    delivering, token = asyncio.create_task(place.delivery.run()), ""
    jar = CookieJar(unsafe=True)
    async with TestServer(app) as server, ClientSession(server.make_url(""), cookie_jar=jar) as us:
        async with us.get("/", params={"token": TOKEN}) as answer:
            assert answer.status == 200
        async with us.get("/api/session") as answer:
            session = await answer.json()
        assert (session["name"], session["role"]) == ("console.token", "admin")
        page = {PAGE_HEADER: session["page_token"]}
        for body, expected in (
            ({"name": "bob", "role": "auditor"}, 201),
            ({"name": "bob", "role": "auditor"}, 400),
            ({"name": "eve", "role": "root"}, 400),
            ({"name": "eve"}, 400),
        ):
            async with us.post("/api/access", json=body, headers=page) as answer:
                assert answer.status == expected, body
                made = await answer.json() if expected == 201 else {}
                token = made.get("token", "") or token
        async with us.get("/api/access") as answer:
            assert [one["name"] for one in await answer.json()] == ["bob"]
            assert "hash" not in await answer.text()
        bob = {"Authorization": f"Bearer {token}"}
        async with ClientSession(server.make_url("")) as other:
            async with other.get("/api/audit?action=access-add", headers=bob) as answer:
                (entry,) = await answer.json()
                assert token not in await answer.text()
            assert (entry["actor"], entry["target"]) == ("console.token", "bob")
            assert entry["after"]["role"] == "auditor"
            async with other.post("/api/access", json={}, headers=bob) as answer:
                assert answer.status == 403
        async with us.delete("/api/access/bob", headers=page) as answer:
            assert answer.status == 200
        async with us.delete("/api/access/bob", headers=page) as answer:
            assert (answer.status, "no token is named" in await answer.text()) == (400, True)
        async with us.get("/api/audit?actr=1") as answer:
            assert answer.status == 400
    delivering.cancel()


def test_commands_without_a_meter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They change the file themselves; the entries wait in the journal, and are not passed over."""
    data = ("--data", str(tmp_path / "data"))
    assert main(["access", "add", "ann", "--role", "viewer", *data]) == Exit.OK
    token = capsys.readouterr().out.strip()
    assert Tokens(Places(tmp_path / "data").access).with_token(token)
    assert main(["access", "add", "ann", "--role", "viewer", *data]) == Exit.MISTAKE
    assert "already" in capsys.readouterr().err
    assert main(["access", "list", *data, "--json"]) == Exit.OK
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["ann"]
    assert main(["access", "remove", "ann", *data]) == Exit.OK
    assert main(["access", "remove", "ann", *data]) == Exit.MISTAKE
    capsys.readouterr()
    assert main(["audit", "log", *data]) == Exit.FAILED
    assert "2 entries are waiting" in capsys.readouterr().err
    assert main(["audit", "log", "--since", "soon", *data]) == Exit.MISTAKE


@pytest.mark.thorough
def test_commands_beside_a_meter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The running meter writes the entries, also those that waited; the console asks for tokens."""

    def taximeter(*words: str) -> str:
        """What a command prints; it opens no engine, for a meter serves."""
        capsys.readouterr()
        code = main([*words, "--data", str(tmp_path / "data"), "--config", str(config)])
        shown = capsys.readouterr()
        assert code == Exit.OK, shown.out + shown.err
        return shown.out

    config = tmp_path / "own.toml"
    (tmp_path / "tariffs").mkdir()
    config.write_text(f'[metering]\ntariffs = "{tmp_path / "tariffs"}"\n')
    taximeter("access", "add", "ann", "--role", "admin")
    serve = [sys.executable, "-m", "proxy", "serve", "--json", "--config", str(config)]
    serve += ["--data", str(tmp_path / "data"), "--port", "0", "--console-port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["console_url"]
        taximeter("access", "add", "bob", "--role", "viewer")
        taximeter("access", "remove", "bob")
        taximeter("tariffs", "add", "openai/own-model", "--input", "1", "--output", "2", "--yes")
        taximeter("store", "check", "--repair")
        log = taximeter("audit", "log", "--json")
        shown = taximeter("audit", "log", "--action", "access-add")
        taximeter("report")  # commands need no token
        process.terminate()
        assert process.wait(40) == 0
    entries = json.loads(log)
    assert [(one["actor"], one["action"], one["target"]) for one in reversed(entries)] == [
        ("command", "access-add", "ann"),
        ("command", "access-add", "bob"),
        ("command", "access-remove", "bob"),
        ("command", "tariffs-add", "openai/own-model"),
        ("command", "store-repair", "rollups"),
    ]
    assert entries[1]["after"] == {"input": "1", "output": "2"}
    assert "bob" in shown
    assert not list((tmp_path / "data" / "audit").glob("*/*.seg"))
