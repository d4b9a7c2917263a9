"""Asks a provider's usage and cost API, page by page.  The key is in a header and nowhere else."""

import asyncio
import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import aiohttp
from yarl import URL

from proxy.invoices.asking import APIS, Parameters, next_page
from proxy.invoices.statement import StatementError
from proxy.network import outgoing_proxy

PAGES_MAX = 2_000  # of one question
PAGE_BYTES_MAX = 32 * 1024 * 1024
SILENCE_S = 60.0
TRIES = 4  # of one page
RETRIED = frozenset((429, 500, 502, 503, 504, 529))
WAIT_S, WAIT_S_MAX = 1.0, 60.0  # before another try, if the answer does not say


class NotFetched(OSError):
    """An API did not answer as it should; the message has no key."""


async def fetched(
    provider: str, key: str, days: tuple[date, date], *, base_url: str = "", by_key: bool = False
) -> list[str]:
    """The pages of all answers, as text.

    Raises NotFetched, and StatementError for an address that would send the key in clear.
    """
    api = APIS[provider]
    base = (base_url or api.base_url).rstrip("/")
    _check(base)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE_S, sock_read=SILENCE_S)
    headers = {"User-Agent": "taximeter", "Accept": "application/json", **api.header(key)}
    found: list[str] = []
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        for path, parameters in api.questions(*days, by_key):
            found += await _pages(session, base + path, parameters)
    return found


async def _pages(session: aiohttp.ClientSession, url: str, parameters: Parameters) -> list[str]:
    texts: list[str] = []
    more: Mapping[str, str] = {}
    while len(texts) < PAGES_MAX:
        text = await _page(session, URL(url).with_query([*parameters, *more.items()]))
        texts.append(text)
        try:
            page = json.loads(text, parse_float=Decimal)
        except ValueError:
            raise NotFetched(f"{url} answered something that is not JSON") from None
        token = next_page(page if isinstance(page, dict) else {})
        if not token:
            return texts
        more = {"page": token}
    raise NotFetched(f"{url} has more than {PAGES_MAX:,} pages; ask for fewer days")


async def _page(session: aiohttp.ClientSession, url: URL) -> str:
    """One page.  Tries again while the API is busy, as long as it asks for."""
    where = str(url.with_query(None))
    wait = WAIT_S
    for left in range(TRIES - 1, -1, -1):
        try:
            async with session.get(url, proxy=outgoing_proxy(url), allow_redirects=False) as answer:
                body = await answer.content.read(PAGE_BYTES_MAX + 1)
                while len(body) <= PAGE_BYTES_MAX and (piece := await answer.content.readany()):
                    body += piece
                status, after = answer.status, answer.headers.get("Retry-After", "")
        except (TimeoutError, aiohttp.ClientError) as error:
            raise NotFetched(f"{where} did not answer: {error or type(error).__name__}") from None
        if status == 200 and len(body) <= PAGE_BYTES_MAX:
            return body.decode("utf-8", "replace")
        if status not in RETRIED or not left:
            raise NotFetched(f"{where} answered HTTP {status}{_hint(status)}")
        await asyncio.sleep(min(float(after) if after.isdecimal() else wait, WAIT_S_MAX))
        wait *= 2
    raise AssertionError("the last try returns or raises")


def _hint(status: int) -> str:
    if status in (401, 403):
        return ": it needs an admin key, which is not a key for models; docs/invoice.md"
    return " with more than 32 MB" if status == 200 else ""


def _check(base: str) -> None:
    url = URL(base)
    here = url.host in ("127.0.0.1", "::1", "localhost")
    if not url.host or (url.scheme != "https" and not here):
        raise StatementError("base_url: use https, or the key would be sent in clear")
