"""Checks our own health every few seconds and sends alerts: the I/O around `watch`.

Firing alerts, and those the webhook has not accepted, are saved to a file, so that a restarted
meter neither repeats an alert nor forgets to resolve one.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import msgspec

from exporters.notify.alert import Alert, log_alert
from exporters.notify.webhook import Webhook
from exporters.series import Family
from proxy.health import vitals
from proxy.health.watch import KNOWN, State, Watch
from proxy.journal.disk import write_atomically
from proxy.settings.config import AlertOptions

log = logging.getLogger(__name__)

CHECK_S = 2.0
STOP_WAIT_S = 2.0  # how long a stop waits for the webhook; the rest is sent after the next start


class SavedAlerts(msgspec.Struct):
    """The content of the file."""

    state: State
    # For the webhook, oldest first.  The key is the one that files already have.
    undelivered: list[Alert] = msgspec.field(name="untold")


class Alerting:
    """Sends the alerts of one watch to the log and, if given, to `webhook`.

    Nothing here raises into the meter: a fault of the watch must not cost a row.
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
        self._sending: asyncio.Task[None] | None = None
        self._failing = False
        saved = self._load()
        self._written = msgspec.json.encode(saved) if saved else b""
        self._watch = Watch(limits, saved.state if saved else None)
        if saved and webhook:
            webhook.send(saved.undelivered)

    def _load(self) -> SavedAlerts | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=SavedAlerts)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("Cannot read %s (%s); starting without earlier alerts.", self._path, error)
            return None

    async def run(self) -> None:
        """Check until cancelled; call `close` after that."""
        if self._webhook:
            self._sending = asyncio.create_task(self._webhook.run())
        while True:
            await self.check()
            await asyncio.sleep(CHECK_S)

    async def check(self) -> None:
        """Check once, send alerts that start or end, and save the state if it changed."""
        try:
            self._send(self._watch.look(self._status(), datetime.now(UTC), monotonic()))
            undelivered = self._webhook.waiting if self._webhook else []
            data = msgspec.json.encode(SavedAlerts(self._watch.state, undelivered))
        except Exception:
            if not self._failing:
                log.exception("The check of our own health failed; alerts may be missing.")
            self._failing = True
            return
        self._failing = False
        if data != self._written:
            with suppress(OSError):  # a failing disk has alerts of its own
                await asyncio.to_thread(write_atomically, self._path, data)
                self._written = data

    def _send(self, alerts: Sequence[Alert]) -> None:
        """Send alerts that started or ended to the log and the webhook, without waiting."""
        for alert in alerts:
            log_alert(alert)
        if self._webhook and alerts:
            self._webhook.send(alerts)

    async def close(self) -> None:
        """Check a last time and wait briefly for the webhook; what it does not accept is saved."""
        await self.check()
        if self._webhook is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WAIT_S):
                await self._webhook.settled()
        if self._sending:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        await self.check()
        await self._webhook.close()

    def shown(self) -> Mapping[str, object]:
        """For `/api/alerts`: firing alerts, the last that ended, and the webhook's status."""
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
