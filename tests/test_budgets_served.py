"""Budgets in the whole product: exact and told of once over `kill -9`, made by API, asked for."""

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from evaluation.standin import processes
from proxy.commands.cli import main
from support.patience import PATIENCE_S

SETTINGS = """
[budgets.search]
scope = {{ team = "search" }}
limit_usd = 0.0001
thresholds = [10, 50, 100]
notify = ["hook"]

[budgets.each-user]
scope = {{ user = "*" }}
limit_calls = 1_000
period = "rolling 24h"

[notify.hook]
type = "webhook"
url = "{url}"
"""


class Hook(HTTPServer):
    """Keeps the messages that it receives, by their ids: one may be sent twice after a crash."""

    def __init__(self) -> None:
        self.bodies: dict[str, dict[str, Any]] = {}
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies[self.headers["webhook-id"]] = json.loads(data)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    server = Hook()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[processes.Serving]:
    data = tmp_path_factory.mktemp("budgets")
    settings = processes.FAST_ROWS + SETTINGS.format(url=hook.url)
    with (
        processes.stand_in(data / "stand-in.log") as (upstream, _),
        processes.serve(data, {"openai": upstream}, settings=settings) as served,
    ):
        yield served


def request(url: str, method: str = "GET", body: object = None, **headers: str) -> tuple[int, Any]:
    """Status and document of a response."""
    data = None if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = urllib.request.Request(url, method=method, data=data, headers=names)
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def call(served: processes.Serving, **tags: str) -> int:
    """A call; its status."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
    headers = {f"x_taximeter_{name}": value for name, value in tags.items()}
    url = f"{served.proxy_url}/openai/v1/chat/completions"
    return request(url, "POST", body, Authorization="Bearer sk-test", **headers)[0]


def budget(served: processes.Serving, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request(f"{served.console_url}/api/budgets?name={name}")[1]
    return found


def page(served: processes.Serving) -> Mapping[str, str]:
    """What the page sends with a change."""
    token = request(f"{served.console_url}/api/session")[1]["page_token"]
    return {"X_Taximeter_Page": token}


def until(what: Any) -> Any:
    """The first result that is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def in_rows(served: processes.Serving) -> Decimal:
    """What the rows of team search cost."""
    rows = served.calls(team="search")
    return sum((Decimal(row["cost_usd"]) for row in rows), Decimal(0))


def meter_of(served: processes.Serving) -> int:
    """The process id of the meter."""
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = status.read_bytes().split(b"\0")
            parent = (status.parent / "stat").read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            continue
        if b"proxy.serving.meter_process" in words and int(parent) == served.pid:
            return int(status.parent.name)
    raise AssertionError("no meter runs")


def test_killed_in_the_middle_of_a_window(served: processes.Serving, hook: Hook) -> None:
    """The spend is exact again after `kill -9`, and each alert was told once."""
    for _ in range(3):
        assert call(served, team="search", user="ann") == 200
    until(lambda: [one for one in budget(served, "search") if one["alerts"]])
    os.kill(meter_of(served), signal.SIGKILL)
    for _ in range(12):
        assert call(served, team="search") == 200

    def settled() -> bool:
        try:
            [one] = budget(served, "search")
        except OSError:
            return False  # the meter starts
        rows = in_rows(served)
        whole = len(served.calls(team="search")) == 15
        return whole and one["spent_usd"] is not None and Decimal(one["spent_usd"]) == rows

    until(settled)
    [one] = budget(served, "search")
    assert one["state"] == "spent"
    ids = until(lambda: _all_told(hook))
    assert sorted(ids) == ["10", "100", "50"]
    assert {body["budget"] for body in hook.bodies.values()} == {"search"}
    until(lambda: _users(served) == {"ann": "3", "": "12"})


def _users(served: processes.Serving) -> dict[str, str]:
    """What each user has spent."""
    return {entry["key"]["user"]: entry["spent_calls"] for entry in budget(served, "each-user")}


def _all_told(hook: Hook) -> list[str]:
    """The thresholds of all messages, once 100 is among them."""
    told = [str(each) for body in hook.bodies.values() for each in body["thresholds"]]
    return told if "100" in told else []


def test_made_by_api(served: processes.Serving) -> None:
    """Beside the file's, checked as they are, and in force at the relays soon after."""
    api = f"{served.console_url}/api/budgets"
    new = {"name": "none", "scope": {"team": "none"}, "limit_usd": "0", "action": "block"}
    assert request(api, "POST", new)[0] == 403  # not from our page
    status, made = request(api, "POST", new, **page(served))
    assert (status, made["limit_usd"]) == (201, "0")
    assert "'none' is not known yet" in made["warnings"][0]
    assert request(api, "POST", new, **page(served))[0] == 409
    until(lambda: call(served, team="none") == 429)
    [one] = until(lambda: [b for b in budget(served, "none") if b["refused_calls"]])
    assert (one["origin"], one["state"], one["limit_usd"]) == ("api", "spent", "0")
    assert until(lambda: budget(served, "none")[0]["alerts"])[0]["threshold"] == "100"
    status, found = request(f"{api}/none", "PUT", {**new, "limit_usd": "9.5"}, **page(served))
    assert (status, found["limit_usd"]) == (200, "9.5")
    until(lambda: call(served, team="none") == 200)
    assert request(f"{api}/none", "DELETE", **page(served))[0] == 200
    assert budget(served, "none") == []
    assert request(f"{api}/none", "DELETE", **page(served))[0] == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"name": "x", "scope": {"provider": "opnai"}}, "did you mean openai?"),
        ({"name": "x", "scope": {"teem": "a"}}, "did you mean team?"),
        ({"name": "x", "limit_usd": -1}, "at least 0"),
        ({"name": "x", "limit_usd": "a lot"}, "expected a number"),
        ({"name": "x", "limits": 1}, "unknown setting"),
        ({"limit_usd": 1}, "name: required"),
    ],
)
def test_refused(served: processes.Serving, body: object, says: str) -> None:
    """With every mistake and what was probably meant; nothing is made."""
    api = f"{served.console_url}/api/budgets"
    status, answer = request(api, "POST", body, **page(served))
    assert (status, says in answer["error"]) == (400, True), answer
    assert budget(served, "x") == []


def test_the_file_is_not_changed_by_api(served: processes.Serving) -> None:
    """The answer says where it is."""
    url = f"{served.console_url}/api/budgets/search"
    for method, body in (("PUT", {"limit_usd": 1}), ("DELETE", None)):
        status, answer = request(url, method, body, **page(served))
        assert (status, "configuration file" in answer["error"]) == (409, True)


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(served: processes.Serving, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `taximeter` beside the product; its exit code and output."""

    def run(*words: str) -> tuple[int, str]:
        config, data = served.data / "taximeter.toml", served.data / "data"
        code = main([*words, "--config", str(config), "--data", str(data)])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return run


def test_by_command(command: Command) -> None:
    """A table, the arithmetic of one, and what a call would meet."""
    code, text = command("budgets")
    assert code == 0
    assert "each-user[user=(none)]" in text
    assert json.loads(command("budgets", "--json")[1])[0]["name"] == "search"
    code, text = command("budgets", "show", "search")
    assert (code, "calls with a known price" in text) == (0, True)
    code, text = command("budgets", "test", "search", "--team", "ads")
    assert (code, text.splitlines()) == (
        0,
        [
            "passes: Budget search does not count this call.",
            "  team is ads; the scope has search",
        ],
    )
    assert "this budget only alerts" in command("budgets", "test", "search", "--team", "search")[1]
    assert command("budgets", "show", "nothing") == (
        2,
        "budgets: there is no budget nothing, or no call that it counts yet\n",
    )


def test_changes_are_in_the_audit_log(command: Command) -> None:
    """Who made, changed and removed a budget, with what it was and became."""
    entries = json.loads(command("audit", "log", "--target", "none", "--json")[1])
    assert [entry["action"] for entry in entries] == [
        "budget-remove",
        "budget-change",
        "budget-add",
    ]
    assert {entry["actor"] for entry in entries} == {"anybody"}
    assert (entries[1]["before"]["limit_usd"], entries[1]["after"]["limit_usd"]) == ("0", "9.5")


def test_metrics(served: processes.Serving) -> None:
    """Of each budget, the key that used most."""
    with urllib.request.urlopen(f"{served.console_url}/metrics") as answer:
        text = answer.read().decode()
    assert (
        'taximeter_budget_limit{taximeter_budget="each-user",taximeter_unit="calls"} 1000' in text
    )
    assert 'taximeter_budget_state{taximeter_budget="search",taximeter_state="spent"} 1' in text
