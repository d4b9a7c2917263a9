"""Takes alerts to a webhook, in order, for as long as it takes; whoever tells it waits for nothing.

Both the URL and the headers may be secrets (Slack's path is one): no log, error or repr has them.
What waits is bounded, and the oldest goes when there is no more room, counted.
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

WAITING_MAX = 200  # alerts that begin or end while the webhook takes none
BODY_ALERTS_MAX = 50  # in one request
TIMEOUT_S = 10.0  # for one request, from the name lookup to the answer's head; its body is not read
RETRY_S_MIN, RETRY_S_MAX = 1.0, 60.0
RETRY_AFTER_S_MAX = 300.0
LOG_EVERY_S = 60.0
FOR_NOW = frozenset({408, 425, 429})  # and 5xx: the same request may be taken later


class Webhook:
    """POSTs what it is told to `url`.  Make it inside the running loop.

    `node` and `console_url` are for the body.  `delivered`, `lost` and `retries` count alerts and
    attempts; `error` is why the newest attempt failed, "" if it did not.
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
        self._told = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._logged = -LOG_EVERY_S
        self.delivered = self.lost = self.retries = 0
        self.error = ""

    @property
    def waiting(self) -> list[Alert]:
        """What it was told and has not delivered, oldest first."""
        return list(self._waiting)

    def tell(self, alerts: Iterable[Alert]) -> None:
        """Deliver these as soon as possible."""
        self._waiting += alerts
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            self._lose(1, f"more than {WAITING_MAX} wait")
        if self._waiting:
            self._idle.clear()
            self._told.set()

    async def run(self) -> None:
        """Deliver for ever; cancelled to stop."""
        wait_s = self._retry_s
        while True:
            await self._told.wait()
            self._told.clear()
            while self._waiting:
                again_s = await self._post(self._next())
                if again_s is None:
                    wait_s = self._retry_s
                    continue
                self.retries += 1
                await asyncio.sleep(max(wait_s, min(again_s, RETRY_AFTER_S_MAX)))
                wait_s = min(wait_s * 2, RETRY_S_MAX)
            self._idle.set()

    async def settled(self) -> None:
        """Return once nothing waits."""
        await self._idle.wait()

    async def close(self) -> None:
        await self._session.close()

    def _next(self) -> list[Alert]:
        """The oldest that wait, as many as have the same status."""
        firing = self._waiting[0].ended_at is None
        alike = takewhile(lambda one: (one.ended_at is None) is firing, self._waiting)
        return list(islice(alike, BODY_ALERTS_MAX))

    async def _post(self, batch: Sequence[Alert]) -> float | None:
        """Send once.  None: it was taken, or refused for good; else try again after so long."""
        try:
            body = webhook_body(batch, node=self._node, console_url=self._console_url)
        except (ValueError, TypeError) as error:
            self._lose(self._done(batch), f"they cannot be written down ({type(error).__name__})")
            return None
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=self._headers,
                proxy=self._proxy,
                allow_redirects=False,  # it would take the headers to a host that nobody named
            ) as answer:
                status, after = answer.status, answer.headers.get("Retry-After", "")
        except Exception as error:  # noqa: BLE001 — the meter must live on; the text has the URL
            self._complain(f"it cannot be reached ({type(error).__name__})")
            return 0.0
        if status < 300:
            self.error = ""
            self.delivered += self._done(batch)
        elif status in FOR_NOW or status >= 500:
            self._complain(f"it answers {status}")
            return float(after) if after.isdecimal() else 0.0
        else:
            self._lose(self._done(batch), f"it refuses them with {status}; see alerts.webhook")
        return None

    def _done(self, batch: Sequence[Alert]) -> int:
        """Forget these, unless they had to make room meanwhile; returns how many."""
        found = 0
        while self._waiting and any(self._waiting[0] is one for one in batch):
            self._waiting.popleft()
            found += 1
        return found

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        self._complain(f"{self.lost} alerts were lost for it: {why}")

    def _complain(self, why: str) -> None:
        self.error = why
        if monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = monotonic()
            log.warning("The webhook does not take alerts: %s.", why)

    def status(self) -> dict[str, object]:
        """For the console: whether it takes alerts, and what waits for it or was lost."""
        return {
            "ok": not self.error,
            "error": self.error,
            "waiting": len(self._waiting),
            "delivered": self.delivered,
            "lost": self.lost,
            "retries": self.retries,
        }
