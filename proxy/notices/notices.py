"""`Notices`: the one way to tell somebody something.  Callers never wait.

    notices.tell(threshold_notice(crossing, now), budget.notify)

The log is always told.  Create it inside the running loop, run it, and close it last.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from exporters.notify.notice import Notice
from exporters.notify.other_targets import LogTarget
from exporters.notify.target import Target
from proxy.notices.outbox import Outbox
from proxy.notices.sender import RETRY_S_MIN, Sender

log = logging.getLogger(__name__)

SYNC_S = 1.0
STOP_WAIT_S = 2.0  # how long a stop waits for targets; the rest is sent after the next start


class Notices:
    """An outbox and a sender for each target."""

    def __init__(
        self, outbox: Outbox, targets: Iterable[Target] = (), *, retry_s: float = RETRY_S_MIN
    ) -> None:
        self.outbox = outbox
        every = [*targets]
        if not any(target.type == LogTarget.type for target in every):
            every.append(LogTarget())
        self._log = next(target.name for target in every if target.type == LogTarget.type)
        self._senders = {one.name: Sender(one, outbox, retry_s=retry_s) for one in every}
        self._tasks: list[asyncio.Task[None]] = []
        self.failed = 0  # notices that could not be kept: a bug, and logged

    def tell(self, notice: Notice, targets: Collection[str] = ()) -> bool:
        """Tell these targets and the log; False if it was told before.  Never raises.

        Unknown names are left out: a notice outlives the configuration that named its targets.
        """
        names = [name for name in (self._log, *targets) if name in self._senders]
        try:
            new = self.outbox.add(notice, names)
        except Exception:  # a fault in one notice must not stop the caller
            self.failed += 1
            log.exception("Cannot keep alert %s; it is not sent.", notice.name)
            return False
        for name in names if new else ():
            self._senders[name].wake()
        return new

    async def run(self) -> None:
        """Deliver until cancelled; call `close` after that."""
        self._tasks = [asyncio.create_task(one.run()) for one in self._senders.values()]
        while True:
            await asyncio.wait(self._tasks, timeout=SYNC_S, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done():
                    task.result()  # a bug: the process ends, and a new one may do better
            await self.outbox.sync()

    async def settled(self) -> None:
        """Return once nothing waits that can be sent."""
        await asyncio.gather(*(one.settled() for one in self._senders.values()))

    async def close(self) -> None:
        """Wait briefly for the targets, then stop; what they did not accept is kept."""
        if self._tasks:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_WAIT_S):
                    await self.settled()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sender in self._senders.values():
            await sender.target.close()
        self.outbox.close()

    def status(self) -> Mapping[str, Mapping[str, object]]:
        """By target, for the console and metrics."""
        return {name: sender.status() for name, sender in self._senders.items()}
