"""Whatever changes something, deletes it, or carries it out of the store is in the audit log."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest

from evaluation.standin import processes
from proxy.access.roles import Role
from proxy.access.rules import READING, RULES
from proxy.console import command_token
from proxy.settings.places import Places
from support.documents import read
from support.patience import PATIENCE_S

Body = Mapping[str, object] | None
SETTINGS = f'[content]\ncapture = true\n{processes.FAST_ROWS}\n[metering]\ntariffs = "own"\n'
BUDGET = {"limit_usd": 5, "period": "month"}
LAST_DAY = "since=1d"
FROM = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
# Route, with its parameters → the body to send, and the entries that it makes.
AUDITED: Mapping[tuple[str, str], tuple[Body, str]] = {
    ("POST", "/api/access"): ({"name": "bob", "role": "viewer"}, "access-add bob"),
    ("DELETE", "/api/access/bob"): (None, "access-remove bob"),
    ("POST", "/api/budgets"): ({"name": "b", **BUDGET}, "budget-add b"),
    ("PUT", "/api/budgets/b"): (BUDGET, "budget-change b"),
    ("DELETE", "/api/budgets/b"): (None, "budget-remove b"),
    ("PUT", "/api/prices/none.toml"): ({"text": "", "replaces": ""}, "tariffs-edit none.toml"),
    ("POST", "/api/store/check"): (None, "store-repair rollups"),
    ("POST", "/api/reprice"): ({"since": "1d", "write": True}, "reprice calls"),
    ("POST", "/api/backup"): ({"directory": "{data}/copy"}, "backup {data}/copy"),
    ("POST", "/api/audit"): (
        {"action": "tariffs-add", "target": "openai/own"},
        "tariffs-add openai/own",
    ),
    ("GET", "/api/calls/{call}/content"): (None, "content-read call {call}"),
    ("GET", "/api/audit/proof/{call}"): (None, "content-read proof of call {call}"),
    ("GET", "/api/audit/evidence?purpose=export"): (None, "evidence-export since the start"),
    ("GET", f"/api/export/conversations?{LAST_DAY}"): (None, "export conversations"),
    ("GET", f"/api/export/focus?since={FROM}&tz=UTC"): (None, "export focus"),
    ("POST", "/api/content/delete"): ({"call_id": "{call}"}, "content-delete call {call}"),
}
# Routes that need more than reading numbers and yet make no entry, and why.
UNAUDITED = {
    ("POST", "/api/audit/head"): "a head is a record of its own, in heads.jsonl",
    ("GET", "/api/audit"): "the log itself",
    ("GET", "/api/audit/consistency"): "hashes alone",
    ("GET", "/api/access"): "names and roles",
    ("POST", "/api/feedback"): "new rows, as calls are",
    ("POST", "/api/evaluations"): "new rows, as calls are",
    ("POST", "/api/notices"): "tells targets of the configuration what it is asked to",
    ("POST", "/api/reconcile"): "compares, and keeps nothing",
}
# Actions of what is not done over HTTP, and the test that shows each.
ELSEWHERE = {
    "configuration-change": "test_audit_start.py",
    "tariffs-change": "test_audit_start.py",
    "restore": "test_backup.py",
}


def registered(path: str) -> str:
    """The route of a path of the table."""
    plain = path.partition("?")[0].replace("{call}", "{call_id}").replace("/bob", "/{name}")
    return plain.replace("budgets/b", "budgets/{name}").replace("/none.toml", "/{name}")


def test_the_tables_have_every_route() -> None:
    """A route that somebody adds is audited, or says why not."""
    sensitive = {
        route
        for route, rule in RULES.items()
        if route[0] not in READING or Role.VIEWER not in rule.roles
    }
    tried = {(method, registered(path)) for method, path in AUDITED}
    assert tried | UNAUDITED.keys() >= sensitive
    assert not tried & UNAUDITED.keys()


def test_the_document_has_every_action() -> None:
    """docs/audit.md names the actions, and each has a test that makes it."""
    made = {entry.split()[0] for _, entry in AUDITED.values()} | ELSEWHERE.keys()
    text = read("docs/audit.md")
    assert [one for one in sorted(made) if f"`{one}`" not in text] == []
    for action, name in ELSEWHERE.items():
        assert f'"{action}"' in read(f"tests/{name}"), action


@pytest.fixture
def served(tmp_path: Path) -> Iterator[processes.Serving]:
    (tmp_path / "own").mkdir()
    with (
        processes.stand_in(tmp_path / "stand-in.log") as (upstream, _),
        processes.serve(tmp_path, {"openai": upstream}, settings=SETTINGS) as served,
    ):
        yield served


@pytest.mark.thorough
def test_each_makes_an_entry(served: processes.Serving) -> None:
    """Tried one by one over HTTP, as the command of the user; each entry says who and what."""

    def ask(method: str, path: str, body: Body = None) -> bytes:
        """The body of a good answer."""
        sent = None if body is None else filled(json.dumps(body)).encode()
        headers = command_token.headers(Places(served.data / "data").command_token)
        request = urllib.request.Request(
            served.console_url + filled(path), sent, headers, method=method
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return bytes(answer.read())

    def filled(text: str) -> str:
        return text.replace("{call}", call).replace("{data}", str(served.data))

    call = ""
    chat = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "Hello"}]}
    urllib.request.urlopen(
        urllib.request.Request(
            f"{served.proxy_url}/openai/v1/chat/completions",
            json.dumps(chat).encode(),
            {"authorization": "Bearer x"},
        ),
        timeout=PATIENCE_S,
    ).close()
    call = str(served.calls_when(1)[0]["call_id"])
    deadline = monotonic() + PATIENCE_S
    while monotonic() < deadline:  # content is written a moment after the row
        if ask("GET", f"/api/export/conversations?{LAST_DAY}").find(b'"content":null') < 0:
            break
        sleep(0.1)
    before = len(json.loads(ask("GET", "/api/audit")))
    for (method, path), (body, _) in AUDITED.items():
        ask(method, path, body)
    entries = json.loads(ask("GET", "/api/audit"))[: -before or None]
    said = [f"{one['action']} {one['target']}" for one in reversed(entries)]
    assert said == [filled(entry) for _, entry in AUDITED.values()]
    assert {(one["actor"], one["role"]) for one in entries} == {("command", "admin")}
    focus = next(one for one in entries if one["target"] == "focus")
    assert focus["after"]["since"] == FROM
