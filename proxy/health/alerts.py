"""Checks our own health every few seconds and sends alerts: the I/O around `watch`.

Firing alerts are saved to a file, so that a restarted meter neither repeats an alert nor forgets to
resolve one.  The outbox keeps what targets have not accepted yet.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import msgspec

from exporters.notify.notice import loss_notice
from exporters.series import Family
from proxy.health import vitals
from proxy.health.watch import KNOWN, State, Watch
from proxy.journal.disk import write_atomically
from proxy.notices.notices import Notices
from proxy.notices.targets import WEBHOOK
from proxy.settings.config import AlertOptions

log = logging.getLogger(__name__)

CHECK_S = 2.0


class SavedAlerts(msgspec.Struct):
    """The content of the file."""

    state: State


class Alerting:
    """Tells the alerts of one watch to the log and to `targets`.

    Nothing here raises into the meter: a fault of the watch must not cost a row.
    """

    def __init__(
        self,
        limits: AlertOptions,
        file: Path,
        status: Callable[[], vitals.Status],
        notices: Notices,
        *,
        targets: tuple[str, ...] = (),
        node: str = "",
    ) -> None:
        self._path = file
        self._status = status
        self._notices = notices
        self._targets = targets
        self._node = node
        self._failing = False
        saved = self._load()
        self._written = msgspec.json.encode(saved) if saved else b""
        self._watch = Watch(limits, saved.state if saved else None)

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
        while True:
            await self.check()
            await asyncio.sleep(CHECK_S)

    async def check(self) -> None:
        """Check once, tell of alerts that start or end, and save the state if it changed."""
        try:
            for alert in self._watch.look(self._status(), datetime.now(UTC), monotonic()):
                self._notices.tell(loss_notice(alert, self._node), self._targets)
            data = msgspec.json.encode(SavedAlerts(self._watch.state))
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

    async def close(self) -> None:
        """Check a last time; close the notices after that."""
        await self.check()

    def shown(self) -> Mapping[str, object]:
        """For `/api/alerts`: firing alerts, the last that ended, and the status of the targets."""
        targets = self._notices.status()
        return {
            "firing": self._watch.firing,
            "ended": list(self._watch.ended),
            "webhook": targets.get(WEBHOOK),
            "targets": targets,
            "outbox": self._notices.outbox.status(),
        }

    def families(self) -> list[Family]:
        """Metrics of the alerts."""
        names = (alert.name for alert in self._watch.firing)
        return list(vitals.alert_families(KNOWN, names, self._notices.status()))
