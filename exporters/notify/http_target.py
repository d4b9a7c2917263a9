"""Sends notices over HTTP, whatever the format.

URL and headers may be secrets: no log, error, answer or repr holds them.  Redirects are not
followed, for they would send both to an unknown host.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from exporters.notify.notice import Notice, cut, one_line
from exporters.notify.target import Answer, Format

TIMEOUT_S = 15.0  # for one request, from DNS lookup to the response head
BODY_BYTES_MAX, BODY_TIMEOUT_S = 2048, 1.0  # read of a response's body
SHOWN_MAX = 200  # characters of it in a message
RETRY_AFTER_S_MAX = 3600.0
TRANSIENT_STATUSES = frozenset({408, 425, 429})  # and 5xx: the same request may succeed later
GONE_STATUSES = frozenset({404, 410})  # whatever is sent: the webhook was deleted
HEADERS = {"User-Agent": "taximeter", "Content-Type": "application/json"}


class HttpTarget:
    """POSTs each notice in `format`.  Create it inside the running loop."""

    def __init__(
        self,
        name: str,
        format: Format,
        *,
        tls: ssl.SSLContext | None = None,
        outgoing_proxy: Callable[[URL], URL | None] = lambda _: None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.name = name
        self.type = format.type
        self._format = format
        self._outgoing_proxy = outgoing_proxy
        self._session = ClientSession(
            connector=TCPConnector(ssl=tls or True, force_close=True),
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=timeout_s),
        )

    async def send(self, notice: Notice) -> Answer:
        """POST once."""
        try:
            request = self._format.request(notice, datetime.now(UTC))
            url = URL(request.url)
            proxy = self._outgoing_proxy(url)
        except Exception as error:  # noqa: BLE001 — the others must be told; str(error) has the text
            return Answer("refused", f"cannot encode it ({type(error).__name__})")
        try:
            async with self._session.post(
                url,
                data=request.body,
                headers={**HEADERS, **request.headers},
                proxy=proxy,
                allow_redirects=False,
            ) as response:
                body = await _beginning(response)
                return read_answer(response.status, response.headers, body)
        except Exception as error:  # noqa: BLE001 — the meter must go on; str(error) has the URL
            return Answer("retry", f"cannot reach it ({type(error).__name__})")

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """What a response means."""
    said = one_line(body.decode("utf-8", "replace")).strip()
    detail = f"HTTP {status}" + (f": {cut(said, SHOWN_MAX)}" if said else "")
    if status < 300:
        return Answer("delivered", detail)
    if status in GONE_STATUSES:
        return Answer("gone", detail)
    if status in TRANSIENT_STATUSES or status >= 500:
        after_s = retry_after_s(headers.get("Retry-After", ""), body, datetime.now(UTC))
        return Answer("retry", detail, min(after_s, RETRY_AFTER_S_MAX))
    return Answer("refused", detail)


def retry_after_s(header: str, body: bytes, now: datetime) -> float:
    """Seconds until a retry is welcome, 0 if unknown: from Retry-After, or a body like Discord's.

    Discord's body has the exact number, a float; its header is rounded.
    """
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        document = msgspec.json.decode(body)
        named = document.get("retry_after") if isinstance(document, dict) else None
        if isinstance(named, int | float) and not isinstance(named, bool):
            return max(float(named), 0.0)
    try:
        seconds = float(header)
    except ValueError:
        try:
            at = parsedate_to_datetime(header)
        except (ValueError, TypeError, IndexError):
            return 0.0
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return max(seconds, 0.0) if seconds < float("inf") else 0.0  # also NaN


async def _beginning(response: ClientResponse) -> bytes:
    """The beginning of the body; what drips after it holds nothing up."""
    body = b""
    with suppress(Exception):  # the head has said all that matters
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while len(body) < BODY_BYTES_MAX:
                if not (more := await response.content.read(BODY_BYTES_MAX - len(body))):
                    break
                body += more
    return body
