"""The console below a path of a reverse proxy, in a real browser: every page and a change."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from evaluation.standin import processes
from proxy.console.page import DECISIONS, PAGES
from proxy.settings.sources import SettingsError, load
from support.accessibility import mistakes
from support.browser import browser, resize
from support.patience import PATIENCE_S

BASE = "/tools/taximeter"
TOKEN = "a-token-for-the-console"
SETTINGS = (
    f'[console]\ntoken = "{TOKEN}"\nbase_path = "{BASE}"\n[budgets.all]\nlimit_usd = 1\n'
    f"{processes.FAST_ROWS}"
)
# To our own pages; those to a provider's prices lead elsewhere.
LINKS = """
const links = [...document.querySelectorAll("a[href]")].map((e) => new URL(e.href));
return links.filter(({ origin }) => origin === location.origin).map(({ pathname }) => pathname);
"""
KEPT = ("Host", "Origin", "Cookie", "Accept", "Content-Type", "X-Taximeter-Page")
WIDE, PHONE = 1440, 390


@dataclass
class Prefix:
    """A reverse proxy that serves `upstream` below BASE, and notes what is asked beside it."""

    upstream: str
    beside: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """As nginx with `proxy_pass` to a URL that ends with a slash, and the Host passed on."""
        path = request.raw_path
        if not path.startswith(f"{BASE}/"):
            self.beside.append(path)
            return web.Response(status=404)
        sent = {
            name: value
            for name, value in request.headers.items()
            if name in KEPT or name.startswith("Sec-Fetch-")
        }
        async with (
            ClientSession() as session,
            session.request(
                request.method,
                self.upstream + path.removeprefix(BASE),
                headers=sent,
                data=await request.read(),
                allow_redirects=False,
            ) as answer,
        ):
            made = web.Response(status=answer.status, body=await answer.read())
            for name in ("Content-Type", "Location", "Content-Security-Policy", "Set-Cookie"):
                if name in answer.headers:
                    made.headers[name] = answer.headers[name]
            return made


@contextmanager
def below_a_path(upstream: str) -> Iterator[tuple[str, Prefix]]:
    """The address of a reverse proxy, and what it saw."""
    loop, seen = asyncio.new_event_loop(), Prefix(upstream)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", seen.answer)
    server = TestServer(app)
    asyncio.run_coroutine_threadsafe(server.start_server(), loop).result(PATIENCE_S)
    try:
        yield str(server.make_url("")).rstrip("/"), seen
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def text(page: webdriver.Chrome, selector: str) -> str:
    script = "return document.querySelector(arguments[0])?.textContent ?? ''"
    return str(page.execute_script(script, selector))


def sign_in(page: webdriver.Chrome, token: str) -> None:
    page.find_element(By.ID, "token").send_keys(token + Keys.ENTER)


@pytest.mark.parametrize(
    "path",
    ["taximeter", "/taximeter/", "/", "//evil.example", "/a b", '/"', "/a?b", "/..", "/a/./b"],
)
def test_a_path_that_cannot_be_is_a_mistake(tmp_path: Path, path: str) -> None:
    """It would be part of every link, so it is refused before anything starts."""
    file = tmp_path / "taximeter.toml"
    file.write_text(f"[console]\nbase_path = {json.dumps(path)}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file, {"HOME": str(tmp_path)})
    [mistake] = caught.value.mistakes
    assert mistake.startswith("console.base_path: expected a path such as /taximeter")


@pytest.mark.parametrize("path", ["", "/taximeter", "/tools/taximeter-2/~x"])
def test_a_path_is_taken(tmp_path: Path, path: str) -> None:
    """From the environment too."""
    environ = {"HOME": str(tmp_path), "TAXIMETER_CONSOLE_BASE_PATH": path}
    assert load(None, environ).console.base_path == path


@pytest.mark.slow
def test_everything_works_below_a_path(tmp_path: Path) -> None:
    """Nothing is asked for beside it, no link leaves it, and no page complains."""
    with (
        processes.serve(tmp_path, {}, settings=SETTINGS) as served,
        below_a_path(served.console_url) as (root, seen),
        browser() as page,
    ):
        wait = WebDriverWait(page, PATIENCE_S).until
        for width in (PHONE, WIDE):
            resize(page, width)
            page.get(f"{root}{BASE}/calls?since=24h")
            assert mistakes(page) == []
        sign_in(page, "wrong")
        wait(lambda _: "not a token" in text(page, "[role=alert]"))
        page.get_log("browser")  # type: ignore[no-untyped-call]  # 401, as expected
        sign_in(page, TOKEN)
        wait(lambda _: text(page, "#health").startswith("updated"))
        assert page.current_url == f"{root}{BASE}/calls?since=24h"
        for path in [*(path for path in PAGES if "{" not in path), "/dashboards/taximeter-spend"]:
            page.get(f"{root}{BASE}{path}")
            wait(lambda _: "loading" not in text(page, "#health, #panels"))
            wait(lambda _: len(page.find_elements(By.CSS_SELECTOR, "nav a")) > 6)
            links = page.execute_script(LINKS)
            assert [each for each in links if not each.startswith(f"{BASE}/")] == []
        page.get(f"{root}{BASE}/budgets")
        wait(lambda _: text(page, "#health").startswith("updated"))  # and the form is filled
        page.find_element(By.CSS_SELECTOR, "#editor summary").click()
        page.find_element(By.NAME, "name").send_keys("more")
        page.find_element(By.NAME, "limit").send_keys("5" + Keys.ENTER)
        wait(lambda _: text(page, "#answer").startswith("Saved."))
        wait(lambda _: page.current_url == f"{root}{BASE}/budgets?name=more")
        complaints = page.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
        severe = [entry["message"] for entry in complaints if entry["level"] == "SEVERE"]
        nothing_to_compare = tuple(f"{root}{BASE}{path} " for path in DECISIONS)
        assert [each for each in severe if not each.startswith(nothing_to_compare)] == []
        assert seen.beside == []
        page.delete_all_cookies()
        wait(lambda _: text(page, "#health").startswith("You are signed out."))
