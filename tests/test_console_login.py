"""A console that requires a token asks a browser for it, on whichever page was opened."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from proxy.access.failures import FAILURES_MAX
from proxy.console.admission import admission
from proxy.console.asking import guarded
from proxy.console.page import DECISIONS, PAGES, routes
from proxy.settings.config import Listen

Client = TestClient[web.Request, web.Application]

TOKEN = "a-token-for-the-console"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BASE = "/tools/taximeter"
DOCUMENTS = [path for path in PAGES if "{" not in path and path not in DECISIONS]
ASKED = "/calls?since=24h&team=a%26b"


def client_of(base_path: str = "") -> Client:
    """The pages of a console that requires a token."""
    admits = admission(Listen(token=TOKEN), base_path=base_path)
    app = web.Application(middlewares=[guarded, admits])
    app.add_routes(routes(base_path))
    return TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with client_of() as client:
        yield client


async def sent(client: Client, path: str, token: str, **headers: str) -> tuple[int, str, Any]:
    """Status, text and headers of the answer to the form."""
    data = {"token": token}
    async with client.post(
        path, data=data, headers=BROWSER | headers, allow_redirects=False
    ) as answer:
        return answer.status, await answer.text(), answer.headers


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_asks_for_a_token(client: Client, path: str) -> None:
    """A browser is shown a form, under a policy that lets nothing else in; a script gets JSON."""
    async with client.get(path, headers=BROWSER) as answer:
        assert (answer.status, answer.content_type) == (401, "text/html")
        assert '<form method="post">' in await answer.text()
        assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    async with client.get(path) as answer:
        assert (answer.status, answer.content_type) == (401, "application/json")


@pytest.mark.parametrize("path", ["/api/calls", "/api/session", "/metrics", "/static/dom.js"])
async def test_what_is_not_a_page_gets_json(client: Client, path: str) -> None:
    """Whatever it accepts."""
    for method in ("GET", "POST"):
        async with client.request(method, path, headers=BROWSER) as answer:
            assert (answer.status, answer.content_type) == (401, "application/json")


async def test_the_right_token_leads_to_the_page_that_was_asked_for(client: Client) -> None:
    """With a cookie that no script reads, and without the token in any address."""
    status, _, headers = await sent(client, f"{ASKED}&token=old", TOKEN)
    assert (status, headers["Location"]) == (303, ASKED)
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    assert TOKEN not in str(headers)
    async with client.get(ASKED, headers=BROWSER) as answer:
        assert answer.status == 200
        assert 'aria-current="page">Calls<' in await answer.text()


@pytest.mark.parametrize("token", ["wrong", "", "<b>\"'", f"{TOKEN}x", "ü\U0001f600"])
async def test_a_wrong_token_is_told(client: Client, token: str) -> None:
    """Without repeating it; and no session begins."""
    status, text, headers = await sent(client, ASKED, token)
    assert status == 401
    assert "This is not a token of this console" in text
    assert not token or token not in text
    assert "Set-Cookie" not in headers
    async with client.get("/", params={"token": token or "x"}, headers=BROWSER) as answer:
        assert "This is not a token of this console" in await answer.text()


async def test_guessing_is_slowed_down(client: Client) -> None:
    """The form says how long to wait, and then no token is looked at."""
    for _ in range(FAILURES_MAX):
        assert (await sent(client, "/", "wrong"))[0] == 401
    status, text, headers = await sent(client, "/", TOKEN)
    assert status == 429
    assert f"Try again in {headers['Retry-After']} s" in text


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_no_other_site_signs_anybody_in(client: Client, site: str) -> None:
    """Else it could make its visitor work under a token of its own."""
    status, _, headers = await sent(client, "/calls", TOKEN, **{"Sec-Fetch-Site": site})
    assert status in (401, 403)
    assert "Set-Cookie" not in headers


async def test_the_answer_leads_to_no_other_site(client: Client) -> None:
    """Whatever the address looks like, only pages of the console have the form."""
    for path in ("//evil.example/", "/%2fevil.example", "/\\evil.example", "/calls/../..//evil"):
        url = URL(f"http://127.0.0.1:{client.port}{path}", encoded=True)
        data = {"token": TOKEN}
        async with client.session.post(url, data=data, headers=BROWSER) as answer:
            assert answer.status in (401, 404)
            assert not answer.history


async def test_a_link_from_elsewhere_is_followed_once_more_by_our_own_page(client: Client) -> None:
    """As a browser leaves the cookie out when it follows such a link."""
    headers = BROWSER | {"Sec-Fetch-Site": "cross-site"}
    for path in DOCUMENTS:
        async with client.get(f"{path}?a=%22b", headers=headers) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
            assert f'content="0;url={path}?a=%22b"' in await answer.text()
            assert "Set-Cookie" not in answer.headers


async def test_behind_a_path_everything_leads_below_it() -> None:
    """Links, files, redirects and the cookie; the reverse proxy takes the path off."""
    async with client_of(BASE) as client:
        status, _, headers = await sent(client, ASKED, TOKEN)
        assert (status, headers["Location"]) == (303, BASE + ASKED)
        assert f"Path={BASE}" in headers["Set-Cookie"]
        async with client.get("/", params={"token": TOKEN}) as answer:
            assert f'content="0;url={BASE}/"' in await answer.text()
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for path in DOCUMENTS:
            async with client.get(path, headers=BROWSER | bearer) as answer:
                text = await answer.text()
            assert answer.status == 200
            for before in ('href="/', 'src="/', 'action="/'):
                assert text.count(before) == text.count(before + BASE[1:] + "/")
