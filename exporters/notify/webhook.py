"""Sends alerts to a webhook in order, retrying until each is accepted or refused for good.

The URL and the headers may be secrets (Slack's path is one): no log, error or repr holds them.
Callers never wait.  The queue is bounded: when it is full the oldest alert is dropped and counted.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, takewhile
from time import monotonic

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from exporters.notify.alert import Alert, webhook_body

log = logging.getLogger(__name__)

WAITING_MAX = 200  # alerts that start or end while the webhook accepts none
BODY_ALERTS_MAX = 50  # in one request
TIMEOUT_S = 10.0  # for one request, from DNS lookup to the response head; the body is not read
RETRY_S_MIN, RETRY_S_MAX = 1.0, 60.0
RETRY_AFTER_S_MAX = 300.0
LOG_EVERY_S = 60.0
TRANSIENT_STATUSES = frozenset({408, 425, 429})  # and 5xx: the same request may succeed later


class Webhook:
    """POSTs alerts to `url`.  Create it inside the running loop.

    `node` and `console_url` are for the body.  `delivered` and `lost` count alerts, `retries`
    counts requests; `error` is why the newest attempt failed, "" if it succeeded.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        node: str = "",
        console_url: str = "",
        tls: ssl.SSLContext | None = None,
        proxy: URL | None = None,
        timeout_s: float = TIMEOUT_S,
        retry_s: float = RETRY_S_MIN,
    ) -> None:
        self._url = URL(url)
        self._headers = {"User-Agent": "taximeter", **headers, "Content-Type": "application/json"}
        self._node = node
        self._console_url = console_url
        self._proxy = proxy
        self._retry_s = retry_s
        self._session = ClientSession(
            connector=TCPConnector(ssl=tls or True, force_close=True),
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=timeout_s),
        )
        self._waiting: deque[Alert] = deque()
        self._queued = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._logged = -LOG_EVERY_S
        self.delivered = self.lost = self.retries = 0
        self.error = ""

    @property
    def waiting(self) -> list[Alert]:
        """Alerts not yet delivered, oldest first."""
        return list(self._waiting)

    def send(self, alerts: Iterable[Alert]) -> None:
        """Queue these for delivery."""
        self._waiting += alerts
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            self._lose(1, f"more than {WAITING_MAX} alerts are waiting")
        if self._waiting:
            self._idle.clear()
            self._queued.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        wait_s = self._retry_s
        while True:
            await self._queued.wait()
            self._queued.clear()
            while self._waiting:
                retry_after_s = await self._post(self._next())
                if retry_after_s is None:
                    wait_s = self._retry_s
                    continue
                self.retries += 1
                await asyncio.sleep(max(wait_s, min(retry_after_s, RETRY_AFTER_S_MAX)))
                wait_s = min(wait_s * 2, RETRY_S_MAX)
            self._idle.set()

    async def settled(self) -> None:
        """Return once the queue is empty."""
        await self._idle.wait()

    async def close(self) -> None:
        await self._session.close()

    def _next(self) -> list[Alert]:
        """The oldest alerts waiting, as many as have the same status."""
        firing = self._waiting[0].ended_at is None
        alike = takewhile(lambda one: (one.ended_at is None) is firing, self._waiting)
        return list(islice(alike, BODY_ALERTS_MAX))

    async def _post(self, batch: Sequence[Alert]) -> float | None:
        """Send once.  None: accepted, or refused for good; else seconds to wait before a retry."""
        try:
            body = webhook_body(batch, node=self._node, console_url=self._console_url)
        except (ValueError, TypeError) as error:
            self._lose(self._done(batch), f"cannot encode them ({type(error).__name__})")
            return None
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=self._headers,
                proxy=self._proxy,
                allow_redirects=False,  # a redirect would send the headers to an unknown host
            ) as answer:
                status, after = answer.status, answer.headers.get("Retry-After", "")
        except Exception as error:  # noqa: BLE001 — the meter must go on; str(error) has the URL
            self._warn(f"cannot reach it ({type(error).__name__})")
            return 0.0
        if status < 300:
            self.error = ""
            self.delivered += self._done(batch)
        elif status in TRANSIENT_STATUSES or status >= 500:
            self._warn(f"HTTP {status}")
            return float(after) if after.isdecimal() else 0.0
        else:
            self._lose(self._done(batch), f"HTTP {status}; check alerts.webhook")
        return None

    def _done(self, batch: Sequence[Alert]) -> int:
        """Remove these from the queue; returns how many had not been dropped in the meantime."""
        found = 0
        while self._waiting and any(self._waiting[0] is one for one in batch):
            self._waiting.popleft()
            found += 1
        return found

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        self._warn(f"{why} (alerts lost so far: {self.lost})")

    def _warn(self, why: str) -> None:
        self.error = why
        if monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = monotonic()
            log.warning("Cannot deliver alerts to the webhook: %s.", why)

    def status(self) -> dict[str, object]:
        """For the console: whether the newest attempt succeeded, and the counters."""
        return {
            "ok": not self.error,
            "error": self.error,
            "waiting": len(self._waiting),
            "delivered": self.delivered,
            "lost": self.lost,
            "retries": self.retries,
        }
