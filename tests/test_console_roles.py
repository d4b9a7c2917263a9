"""Roles at the console: one table decides for every route, and every way in obeys it."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from proxy.access import tokens
from proxy.access.failures import ADDRESSES_MAX, FAILURES_MAX, FAILURES_S, Failures
from proxy.access.page_token import HEADER as PAGE_HEADER
from proxy.access.page_token import PageTokens
from proxy.access.roles import Caller, Role, Way
from proxy.access.rules import READING, RULES, rule_of
from proxy.console import command_token
from proxy.console.admission import CALLER, admission
from proxy.console.command_token import CommandToken
from proxy.settings.config import Listen
from support.names import routes
from support.wire import TOKEN

ROUTES = sorted((method, path) for path, methods in routes().items() for method in methods)


@asynccontextmanager
async def doors(data: Path, listen: Listen) -> AsyncIterator[TestClient[Any, Any]]:
    """The console's admission before handlers that only say who came, and one unlisted route."""
    command = CommandToken(data / "command.token")
    known = tokens.Tokens(data / "access.json", listen.token)
    app = web.Application(middlewares=[admission(listen, known, command)])

    async def who(request: web.Request) -> web.Response:
        caller = request[CALLER]
        return web.json_response([caller.name, caller.role, caller.way])

    for method, path in (*RULES, ("POST", "/unlisted")):
        app.router.add_route(method, path if path != "/static/" else "/static/main.js", who)
    async with TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as client:
        yield client


def add(data: Path, name: str, role: Role) -> str:
    """A new token in the file."""
    data.mkdir(exist_ok=True)
    token, after = tokens.planned(data / "access.json", name, role)
    tokens.save(data / "access.json", after)
    return token


async def status(
    client: TestClient[Any, Any], method: str, path: str, headers: Mapping[str, str] | None = None
) -> int:
    """What the console answers; a `{part}` of the path is any."""
    path = re.sub(r"\{\w+\}", "1", path)
    path = "/static/main.js" if path == "/static/" else path
    async with client.request(method, path, headers=headers) as answer:
        return answer.status


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_in_the_table(method: str, path: str) -> None:
    """A route that somebody adds has no access until the table says who may use it."""
    assert rule_of(method, path) is not None


def test_the_table_names_only_routes_that_there_are() -> None:
    """No rule is left over from a route that is gone, so the table can be read as the truth."""
    known = {
        (method, "/static/" if path.startswith("/static/") else path) for method, path in ROUTES
    }
    assert RULES.keys() - known == set()


async def test_each_role_on_each_route(tmp_path: Path) -> None:
    """A named token opens exactly the routes of its role; console.token and a command open all."""
    given = {role: add(tmp_path, role, role) for role in Role}
    async with doors(tmp_path, Listen(token=TOKEN)) as client:
        for (method, path), role in product(RULES, Role):
            rule = RULES[method, path]
            allowed = role in rule.roles and not rule.commands_only
            expected = 200 if allowed else 403
            assert await status(client, method, path, bearer(given[role])) == expected, (path, role)
        command = command_token.headers(tmp_path / "command.token")
        for (method, path), rule in RULES.items():
            own = 403 if rule.commands_only else 200
            assert await status(client, method, path, bearer(TOKEN)) == own, path
            assert await status(client, method, path, command) == 200, path
        for headers in (bearer(TOKEN), command):
            assert await status(client, "POST", "/unlisted", headers) == 403


async def test_an_open_console(tmp_path: Path) -> None:
    """Without any token it can be read as ever; a change needs our page, the rest a token."""
    async with doors(tmp_path, Listen()) as client:
        for (method, path), rule in RULES.items():
            read = rule.is_open and method in READING
            assert await status(client, method, path) == (200 if read else 403), path
        add(tmp_path, "ci", Role.VIEWER)
        assert await status(client, "GET", "/api/calls") == 401


async def test_a_change_from_a_page(tmp_path: Path) -> None:
    """It needs the token of the caller's own page, and no other site; a bearer needs neither."""
    admin, other = add(tmp_path, "ann", Role.ADMIN), add(tmp_path, "bob", Role.ADMIN)
    listen = Listen()
    pages = PageTokens()
    known = tokens.Tokens(tmp_path / "access.json")
    app = web.Application(middlewares=[admission(listen, known, None, pages)])

    async def done(_: web.Request) -> web.Response:
        return web.Response()

    app.router.add_post("/api/store/check", done)
    app.router.add_get("/", done)
    async with TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as client:
        async with client.get("/", params={"token": admin}) as answer:
            assert answer.status == 200
        ours = pages.of(Caller("ann", Role.ADMIN, Way.COOKIE))
        theirs = pages.of(Caller("bob", Role.ADMIN, Way.COOKIE))
        here = str(client.make_url("")).rstrip("/")
        for headers, expected in (
            ({PAGE_HEADER: ours}, 200),
            ({PAGE_HEADER: ours, "Origin": here, "Sec-Fetch-Site": "same-origin"}, 200),
            ({}, 403),
            ({PAGE_HEADER: theirs}, 403),
            ({PAGE_HEADER: "é"}, 403),
            ({PAGE_HEADER: ours, "Origin": "http://evil.example"}, 403),
            ({PAGE_HEADER: ours, "Origin": "null"}, 403),
            ({PAGE_HEADER: ours, "Sec-Fetch-Site": "same-site"}, 403),
            ({PAGE_HEADER: ours, "Sec-Fetch-Site": "cross-site"}, 403),
            (bearer(other), 200),
        ):
            assert await status(client, "POST", "/api/store/check", headers) == expected, headers


async def test_a_removed_token_ends_its_sessions(tmp_path: Path) -> None:
    """The next request with the token or its cookie is refused, without a restart."""
    token = add(tmp_path, "ann", Role.VIEWER)
    add(tmp_path, "bob", Role.VIEWER)
    async with doors(tmp_path, Listen()) as client:
        async with client.get("/", params={"token": token}) as answer:
            assert token not in str(answer.headers)
        assert await status(client, "GET", "/api/calls") == 200
        _, rest = tokens.without(tmp_path / "access.json", "ann")
        tokens.save(tmp_path / "access.json", rest)
        async with client.get("/api/calls") as answer:
            assert answer.status == 401
            assert 'taximeter_console=""' in answer.headers["Set-Cookie"]  # it is not sent again
        assert await status(client, "GET", "/api/calls", bearer(token)) == 401


async def test_wrong_tokens_are_limited(tmp_path: Path) -> None:
    """After FAILURES_MAX of an address even a right one waits; commands and probes do not."""
    token = add(tmp_path, "ann", Role.VIEWER)
    async with doors(tmp_path, Listen()) as client:
        for number in range(FAILURES_MAX):
            assert await status(client, "GET", "/api/calls", bearer(f"wrong {number}")) == 401
        async with client.get("/api/calls", headers=bearer(token)) as answer:
            assert answer.status == 429
            assert 0 < int(answer.headers["Retry-After"]) <= FAILURES_S + 1
        async with client.get("/", params={"token": "wrong"}) as answer:
            assert answer.status == 429
        assert await status(client, "GET", "/api/calls") == 401
        command = command_token.headers(tmp_path / "command.token")
        assert await status(client, "GET", "/api/calls", command) == 200


def test_failures_are_forgotten() -> None:
    """They count per address, or per IPv6 subscriber, for a minute, and take bounded memory."""
    failures = Failures()
    for number in range(FAILURES_MAX):
        failures.add(f"2001:db8::{number}", 100.0 + number)
    assert failures.wait_s("2001:db8::ffff", 130.0) == 30.0
    assert failures.wait_s("2001:db8:0:1::1", 130.0) == 0.0
    assert failures.wait_s("2001:db8::1", 100.0 + FAILURES_S) == 0.0
    for number in range(ADDRESSES_MAX):
        failures.add(f"10.0.{number // 256}.{number % 256}", 200.0)
    assert len(failures._failed) == ADDRESSES_MAX
    assert failures.wait_s("::ffff:10.0.0.1", 200.0) == 0.0


def test_the_file_has_no_token(tmp_path: Path) -> None:
    """Neither the token nor the cookie is in it, and it is readable by its owner alone."""
    file = tmp_path / "access.json"
    token = add(tmp_path, "ann", Role.AUDITOR)
    text = file.read_text()
    assert token not in text
    assert tokens.session(token) not in text
    assert file.stat().st_mode & 0o777 == 0o600
    known = tokens.Tokens(file)
    assert cast(SimpleNamespace, known.with_token(token)).name == "ann"
    assert known.with_token(tokens.load(file)[0].token_hash) is None
    assert known.with_session(tokens.load(file)[0].session_hash) is None
    assert known.with_session(token) is None


@pytest.mark.parametrize("name", ["", "console.token", "command", "anybody", "a b", "../x", "é"])
def test_names_that_are_refused(tmp_path: Path, name: str) -> None:
    """A name must be printable in a log, and none may pass for another kind of caller."""
    with pytest.raises(ValueError, match="name"):
        tokens.planned(tmp_path / "access.json", name, Role.ADMIN)


async def test_a_damaged_file_admits_nobody(tmp_path: Path) -> None:
    """It does not open the console, and console.token still works."""
    (tmp_path / "access.json").write_text("{")
    known = tokens.Tokens(tmp_path / "access.json", TOKEN)
    assert known.with_token(TOKEN) is not None
    known = tokens.Tokens(tmp_path / "access.json")
    assert known.required
    await asyncio.sleep(0)
    assert not known.listed()
