"""Makes the records of calls that have ended: at once, or in threads if tokens are counted."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic

from exporters.record import Record
from proxy.exchange import Exchange
from proxy.metering.open_call import OpenCall

log = logging.getLogger(__name__)

COUNTING_MAX = 1_000  # calls whose tokens wait to be counted; no more are read then
# Sampled calls are counted only to compare, so this must neither delay rows nor fill a core.
AUDITS_WAITING_MAX = 50
AUDITS_PER_S_MAX = 20  # more decide nothing, and a prompt of 256 KiB takes 50 to 100 ms

MakeRecords = Callable[[Exchange], Sequence[Record]]
Keep = Callable[[OpenCall, Sequence[Record], int], None]


class Making:
    """`make` turns an exchange into its records and never raises; `keep` takes those of a call.

    `failed` counts the calls whose records could not be kept: a bug.
    """

    def __init__(self, make: MakeRecords, keep: Keep) -> None:
        self._make, self._keep = make, keep
        self.failed = 0
        self._ready: list[tuple[OpenCall, Sequence[Exchange], int]] = []
        self._counting: set[asyncio.Task[None]] = set()
        self._second = self._audits = 0  # the second it is, and the audits that began in it

    def __bool__(self) -> bool:
        """Whether some calls have no records yet."""
        return bool(self._ready or self._counting)

    def take(self, call: OpenCall, exchanges: Sequence[Exchange], number: int = 0) -> None:
        """Take what ended: a call, with responses that ended with it, or its response `number`."""
        readings = [exchange.reading for exchange in exchanges]
        counts = any(reading.count or reading.audit for reading in readings)
        if not counts and (number or not call.counting):
            self._ready.append((call, exchanges, number))
            return
        earlier = [] if number else [*call.counting]  # a call's own record is its last
        work = self._count(call, exchanges, number, earlier)
        task = asyncio.get_running_loop().create_task(work)
        for tasks in (self._counting, call.counting):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def finish(self) -> None:
        """Make the records of what was taken, but for those that are being counted.

        All at once, so that code and data stay in the processor's caches: an eighth less time.
        """
        made = [(call, self._made(exchanges), number) for call, exchanges, number in self._ready]
        self._ready.clear()
        for one in made:
            self._pass_on(*one)

    async def room(self) -> None:
        """Wait while too many calls are being counted."""
        while len(self._counting) >= COUNTING_MAX:
            await asyncio.wait(self._counting, return_when=asyncio.FIRST_COMPLETED)

    def may_audit(self) -> bool:
        """Whether one more sampled call may be counted now."""
        if len(self._counting) >= AUDITS_WAITING_MAX:
            return False
        if (second := int(monotonic())) != self._second:
            self._second, self._audits = second, 0
        self._audits += 1
        return self._audits <= AUDITS_PER_S_MAX

    async def _count(
        self,
        call: OpenCall,
        exchanges: Sequence[Exchange],
        number: int,
        earlier: Sequence[asyncio.Task[None]],
    ) -> None:
        await asyncio.gather(*earlier, return_exceptions=True)
        self._pass_on(call, await asyncio.to_thread(self._made, exchanges), number)

    def _pass_on(self, call: OpenCall, records: Sequence[Record], number: int) -> None:
        try:
            self._keep(call, records, number)
        except Exception:  # one odd call must not stop metering
            log.exception("Call %s could not be recorded.", call.source)
            self.failed += 1

    def _made(self, exchanges: Sequence[Exchange]) -> list[Record]:
        return [record for exchange in exchanges for record in self._make(exchange)]
