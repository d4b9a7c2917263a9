"""Sends what waits for one target, in order, until each notice is accepted, refused or too old.

A target that says it is gone (404, 410) is left alone until the configuration is loaded again; what
waits for it stays in the outbox meanwhile.
"""

import asyncio
import logging
from datetime import UTC, datetime
from time import monotonic

from exporters.notify.notice import Notice
from exporters.notify.target import Answer, Target
from proxy.notices.outbox import AGE_MAX, Outbox

log = logging.getLogger(__name__)

RETRY_S_MIN, RETRY_S_MAX = 1.0, 60.0
LOG_EVERY_S = 60.0
LOOK_S = 60.0  # between two looks for what is too old, where nothing is sent


class Sender:
    """The deliveries to one target.  Counters start at 0 with the process, as other metrics do.

    `error` is why the newest attempt failed, "" if it succeeded.
    """

    def __init__(self, target: Target, outbox: Outbox, *, retry_s: float = RETRY_S_MIN) -> None:
        self.target = target
        self._outbox = outbox
        self._retry_s = retry_s
        self._queued = asyncio.Event()
        self._queued.set()  # an earlier process may have left some
        self._idle = asyncio.Event()
        self._logged = -LOG_EVERY_S
        self.gone = False
        self.delivered = self.lost = self.retries = 0
        self.error = ""

    def wake(self) -> None:
        """Say that something may be waiting."""
        self._idle.clear()
        self._queued.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._queued.wait()
            except TimeoutError:
                pass
            self._queued.clear()
            await self._deliver()
            self._idle.set()

    async def settled(self) -> None:
        """Return once nothing waits that can be sent."""
        await self._idle.wait()

    async def _deliver(self) -> None:
        wait_s = self._retry_s
        while True:
            self._give_up()
            waiting = self._outbox.waiting(self.target.name)
            if self.gone or not waiting:
                return
            answer = await self.target.send(waiting[0])
            if answer.result != "retry":
                self._settle(waiting[0], answer)
                wait_s = self._retry_s
                continue
            self.retries += 1
            self._warn(answer.detail)
            await asyncio.sleep(max(wait_s, answer.after_s))
            wait_s = min(wait_s * 2, RETRY_S_MAX)

    def _settle(self, notice: Notice, answer: Answer) -> None:
        if answer.result == "delivered":
            self.error = ""
            self.delivered += self._outbox.done(notice.key, self.target.name)
        elif answer.result == "gone":
            self.gone = True
            self._warn(f"{answer.detail}.  It is gone; correct it and reload")
        else:
            self._lose(notice, f"{answer.detail}; check its configuration")

    def _give_up(self) -> None:
        for notice in self._outbox.expired(self.target.name, datetime.now(UTC)):
            self._lose(notice, f"it accepted nothing for {AGE_MAX.days} days")

    def _lose(self, notice: Notice, why: str) -> None:
        self.lost += self._outbox.done(notice.key, self.target.name, lost=True)
        self._warn(f"{why} (alerts lost so far: {self.lost})")

    def _warn(self, why: str) -> None:
        self.error = why
        if monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = monotonic()
            log.warning("Cannot deliver alerts to %s: %s.", self.target.name, why)

    def status(self) -> dict[str, object]:
        """For the console and metrics: whether the newest attempt succeeded, and the counters."""
        return {
            "type": self.target.type,
            "ok": not self.error,
            "error": self.error,
            "gone": self.gone,
            "waiting": len(self._outbox.waiting(self.target.name)),
            "delivered": self.delivered,
            "lost": self.lost,
            "retries": self.retries,
        }
