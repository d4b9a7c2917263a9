"""Who may look at the console, and what a hostile question gets: never SQL, never a file."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiohttp import ClientSession, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import Batch, Record
from proxy.commands import console_client
from proxy.console import api
from proxy.console.admission import admission
from proxy.network import server_tls, url_of
from proxy.settings.config import Config, ConsoleListen, Listen
from support.relay_bench import make_certificate
from support.wire import TOKEN, to_the_end

HOSTILE = (
    "'",
    "' OR 1=1 --",
    "\\' OR 1=1 --",
    "'; DROP TABLE calls; --",
    "{f0:String}",
    "%27%20OR%201",
    "a\tb\nc\\n\\0",
    "ü\U0001f600",
    "x' INTO OUTFILE '/tmp/owned' --",
)


@asynccontextmanager
async def console(
    dsn: str, database: str, listen: Listen, rows: list[Record]
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """The console over a real store with these rows."""
    writer = ClickHouse(dsn, database=database)
    await writer.open()
    await writer.export(Batch("test:0-1", tuple(rows)))
    store = Store(dsn, database=database)
    app = api.application(store, lambda: {"relays": {"ok": True}}, listen)
    client = TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True))
    try:
        async with client:
            yield client
    finally:
        await store.close()
        await writer.close()


def rows() -> list[Record]:
    """One call for each hostile text, in a column and as the name and value of a tag."""
    base = Record(
        ts_us=time.time_ns() // 1000,
        call_id="",
        provider="openai",
        outcome="ok",
        cost_status="unpriced",
    )
    return [
        msgspec.structs.replace(base, call_id=str(uuid4()), team=text, tags={text: text})
        for text in HOSTILE
    ]


async def test_no_sql_from_callers(chdb_dsn: str, database: str) -> None:
    """Whatever stands in a question is a value, compared as it is, or a clear 400; never SQL."""
    async with console(chdb_dsn, database, Listen(), rows()) as client:

        async def ask(path: str, **query: str) -> tuple[int, Any]:
            async with client.get(path, params=query) as answer:
                return answer.status, await answer.json()

        for text in HOSTILE:
            status, found = await ask("/api/calls", team=text)
            assert (status, [row["team"] for row in found]) == (200, [text])
            status, found = await ask("/api/spend", by=f"tag.{text}", since="1h")
            assert status in (200, 400), found
            for path, query in (
                ("/api/calls", {text: "1"}),
                ("/api/calls", {"limit": text}),
                ("/api/calls", {"since": text}),
                ("/api/calls", {"before": "1h", "before_id": text}),
                ("/api/calls", {"http_status": text}),
                ("/api/spend", {"by": text}),
                ("/api/spend", {"until": text}),
                ("/api/timeline", {"step": text}),
            ):
                status, found = await ask(path, **query)
                assert status == 400, (path, query, found)
            assert (await ask(f"/api/calls/{text}"))[0] == 404
        for query in ({"since": "9" * 30 + "d"}, {"since": "9" * 5000}, {"step": "9" * 30}):
            assert (await ask("/api/timeline", **query))[0] == 400, query
        assert len((await ask("/api/calls"))[1]) == len(HOSTILE)


async def test_console_token(chdb_dsn: str, database: str) -> None:
    """With a token set everything but a bare liveness wants it, as a header or as the cookie."""
    async with console(chdb_dsn, database, Listen(token=TOKEN), rows()) as client:

        async def status(path: str, headers: Mapping[str, str] | None = None) -> int:
            async with client.get(path, headers=headers) as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert TOKEN not in await answer.text()
                return answer.status

        everything = (
            "/",
            "/static/main.js",
            "/api/calls",
            "/api/spend",
            "/metrics",
            "/api/nothing",
        )
        for path in everything:
            assert await status(path) == 401
            assert await status(path + "?token=wrong") == 401
            assert await status(path, {"Authorization": "Bearer wrong"}) == 401
            assert await status(path, {"Cookie": f"taximeter_console={TOKEN}"}) == 401
            expected = 404 if path == "/api/nothing" else 200
            assert await status(path, {"Authorization": f"Bearer {TOKEN}"}) == expected
        assert await status(f"/api/calls?token={TOKEN}") == 401  # a page alone signs in
        async with client.get("/api/health") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True})

        async with client.get(f"/?token={TOKEN}") as answer:
            assert answer.status == 200
            assert 'content="0;url=/"' in await answer.text()
            cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert await status("/") == 200
        async with client.get(f"/?token={TOKEN}") as answer:  # again: it leaves the address bar
            assert 'content="0;url=/"' in await answer.text()
        async with client.get("/api/health") as answer:
            assert "parts" in await answer.json()
        assert await status("/api/calls", {"Host": "taximeter.example:4001"}) == 200


async def test_console_without_token(chdb_dsn: str, database: str) -> None:
    """Without one, a page of another site learns nothing: by its name (rebinding) or by asking."""
    async with console(chdb_dsn, database, Listen(host="my-host"), rows()) as client:
        for host, expected in (
            ("localhost:4001", 200),
            ("127.0.0.1", 200),
            ("[::1]:4001", 200),
            ("10.1.2.3:4001", 200),
            ("My-Host:4001", 200),
            ("evil.example", 403),
            ("evil.example:4001", 403),
            ("127.0.0.1.evil.example", 403),
            ("localhost.evil.example", 403),
            ("evil.example@localhost", 200),
            ("[::1", 403),
            ("", 403),
        ):
            async with client.get("/api/calls", headers={"Host": host}) as answer:
                assert answer.status == expected, host
        for site, path, expected in (
            ("cross-site", "/api/calls", 403),
            ("cross-site", "/static/main.js", 403),
            ("cross-site", "/", 200),  # a link to us
            ("same-origin", "/api/calls", 200),
            ("none", "/api/calls", 200),
        ):
            async with client.get(path, headers={"Sec-Fetch-Site": site}) as answer:
                assert answer.status == expected, (site, path)
                assert "Access-Control-Allow-Origin" not in answer.headers
                assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_console_serves_its_page_alone(chdb_dsn: str, database: str) -> None:
    """No path climbs out of the page's files, and none of our own sources is served."""
    async with console(chdb_dsn, database, Listen(), []) as client:
        port = client.port
        for path in (
            "/../api.py",
            "/..%2fapi.py",
            "/static/main.js/../api.py",
            "/static/main.js/..%2f..%2fpyproject.toml",
            "/%2e%2e/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/api.py",
            "/static",
            "/static/",
            "/static/index.html",
            "/defaults.toml",
            "/static/main.js%00.py",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            answer = await to_the_end(reader)
            writer.close()
            assert answer.split(b" ")[1] in (b"400", b"404"), (path, answer)


async def test_console_over_tls(tmp_path: Path) -> None:
    """With a certificate the address says https, and the command line trusts just that one."""
    certificate, key = make_certificate(tmp_path)
    listen = Listen(port=1, tls_cert=certificate, tls_key=key, token=TOKEN)
    assert url_of(listen) == "https://127.0.0.1:1"
    app = web.Application(middlewares=[admission(listen)])

    async def hello(_: web.Request) -> web.Response:
        return web.json_response({"hello": 1})

    app.router.add_get("/api/spend", hello)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=server_tls(listen))
    console_url = f"https://127.0.0.1:{server.port}"
    description = {
        "pid": 1, "port": 1, "console_port": 1, "started": "", "proxy_url": "",
        "console_url": console_url, "data": str(tmp_path), "store": "",
    }  # fmt: skip
    (tmp_path / "serve.json").write_text(json.dumps(description))
    console_listen = ConsoleListen(port=1, tls_cert=certificate, tls_key=key, token=TOKEN)
    config = Config(data=tmp_path, console=console_listen)
    assert await asyncio.to_thread(console_client.ask, config, "/api/spend", {}) == {"hello": 1}
    async with ClientSession() as session:
        with pytest.raises(OSError, match="certificate"):
            await session.get(f"{console_url}/api/spend")
    await server.close()
