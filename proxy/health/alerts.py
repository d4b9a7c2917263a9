"""Looks at our own health every few seconds, and tells whoever should know: the shell of the watch.

What fires, and what the webhook has not taken, is written down, so that a restarted meter neither
tells twice nor forgets to say that something is over.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import msgspec

from exporters.notify.alert import Alert, tell_log
from exporters.notify.webhook import Webhook
from exporters.series import Family
from proxy.health import vitals
from proxy.health.watch import KNOWN, State, Watch
from proxy.journal.disk import write_atomically
from proxy.settings.config import AlertOptions

log = logging.getLogger(__name__)

LOOK_S = 2.0
LAST_WORDS_S = 2.0  # how long a stop waits for the webhook; what is left goes out after a start


class Kept(msgspec.Struct):
    """The file."""

    state: State
    untold: list[Alert]  # to the webhook, oldest first


class Alerting:
    """One watch and its ways out: always the log, and `webhook` if there is one.

    Nothing here raises into the meter: a watch that fails is our fault and costs no row.
    """

    def __init__(
        self,
        limits: AlertOptions,
        file: Path,
        status: Callable[[], vitals.Status],
        webhook: Webhook | None = None,
    ) -> None:
        self._path = file
        self._status = status
        self._webhook = webhook
        self._telling: asyncio.Task[None] | None = None
        self._failing = False
        kept = self._load()
        self._written = msgspec.json.encode(kept) if kept else b""
        self._watch = Watch(limits, kept.state if kept else None)
        if kept and webhook:
            webhook.tell(kept.untold)

    def _load(self) -> Kept | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s cannot be read (%s); alerts begin anew.", self._path, error)
            return None

    async def run(self) -> None:
        """Look for ever; cancelled to stop, and then `close` is to be called."""
        if self._webhook:
            self._telling = asyncio.create_task(self._webhook.run())
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look once, tell what begins or ends, and write down what has changed."""
        try:
            self.tell(self._watch.look(self._status(), datetime.now(UTC), monotonic()))
            untold = self._webhook.waiting if self._webhook else []
            data = msgspec.json.encode(Kept(self._watch.state, untold))
        except Exception:
            if not self._failing:
                log.exception("The watch over our own losses fails; its alerts are missing.")
            self._failing = True
            return
        self._failing = False
        if data != self._written:
            with suppress(OSError):  # a disk that refuses has an alert of its own
                await asyncio.to_thread(write_atomically, self._path, data)
                self._written = data

    def tell(self, alerts: Iterable[Alert]) -> None:
        """Send alerts, begun or over, every way out.  Waits for nobody."""
        told = list(alerts)
        for alert in told:
            tell_log(alert)
        if self._webhook and told:
            self._webhook.tell(told)

    async def close(self) -> None:
        """Look a last time, and give the webhook a moment; what it does not take is kept."""
        await self.look()
        if self._webhook is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._webhook.settled()
        if self._telling:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        await self.look()
        await self._webhook.close()

    def shown(self) -> Mapping[str, object]:
        """For `/api/alerts`: what fires, the last that are over, and how the webhook is."""
        return {
            "firing": self._watch.firing,
            "ended": list(self._watch.ended),
            "webhook": self._webhook.status() if self._webhook else None,
        }

    def families(self) -> list[Family]:
        """Metrics of the alerts."""
        names = (alert.name for alert in self._watch.firing)
        webhook = self._webhook.status() if self._webhook else None
        return list(vitals.alert_families(KNOWN, names, webhook))
