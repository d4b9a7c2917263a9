"""What was used before a call, for prices by volume: `gemini/day.grounding`, `acme/month.tokens`.

    used = what the store holds + what this meter metered and the store did not hold at that moment

The store is read at start and every minute, on the thread that writes, so that no batch is half in
the answer.  What other meters wrote since is not seen until then.  Windows are days and months of
UTC, by the start of the call.  Until the first answer, and for a window older than last month,
nothing is known, and unknown is not zero: the price is then missing (`unknown_counter`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Lock

from exporters.record import EXACT, Batch, Exporter, Record, TransientError, nine_places
from pricing import Counters, Subcall

log = logging.getLogger(__name__)

READ_S = 60.0

Key = tuple[str, datetime]  # counter, start of the window
Hourly = Iterable[tuple[str, int, Decimal]]  # counter, start of an hour in seconds, quantity
Read = Callable[[datetime], Awaitable[Hourly]]  # what the store holds since then


def window(counter: str, at: datetime) -> datetime | None:
    """Start of the day or month that `counter` counts in at that instant; None for another kind.

    The kind is the word before the dot: `gemini/day.grounding`.
    """
    kind = counter.partition("/")[2].partition(".")[0]
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {"day": midnight, "month": midnight.replace(day=1)}.get(kind)


def oldest(now: datetime) -> datetime:
    """Start of the month before: calls that ended late fall into no earlier window."""
    this = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (this - timedelta(days=1)).replace(day=1)


class CounterSums(dict[Key, Decimal]):
    """Sums by counter and window."""

    def add(self, counter: str, at: datetime, quantity: Decimal) -> None:
        if (start := window(counter, at)) is not None:
            key = counter, start
            self[key] = EXACT.add(self.get(key, Decimal(0)), quantity)

    def forget(self, before: datetime) -> None:
        """Windows that began earlier."""
        for key in [key for key in self if key[1] < before]:
            del self[key]


@dataclass(frozen=True, slots=True)
class Passing:
    """A call on its way through the counters."""

    before: Counters
    add: Callable[[Counters], None]


class Volumes:
    """The counters `names`, kept for one meter.  Calls are priced one after the other."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self.ready = asyncio.Event()  # the store has been read
        self._lock = Lock()  # calls with counted tokens are priced on other threads
        self._since: datetime | None = None  # windows from here on are known
        self._base = CounterSums()  # what the store held, less what was ours in it since the start
        self._metered = CounterSums()  # by us, since the start
        self._delivered = CounterSums()  # of that, what the store has taken
        self._uncertain = False  # a batch may be in the store, or not

    @contextmanager
    def passing(self, subcalls: Sequence[Subcall]) -> Iterator[Passing]:
        """Price a call within: what was used before it, and where to add what it used."""
        providers = {subcall.provider for subcall in subcalls}
        mine = [name for name in self.names if name.partition("/")[0] in providers]
        if not mine:
            yield Passing({}, lambda counts: None)
            return
        at = subcalls[0].at
        with self._lock:
            before = {name: used for name in mine if (used := self._used(name, at)) is not None}
            yield Passing(before, lambda counts: _add(self._metered, counts, at))

    def _used(self, name: str, at: datetime) -> Decimal | None:
        start = window(name, at)
        if start is None or self._since is None or start < self._since:
            return None
        key = name, start
        nothing = Decimal(0)
        return EXACT.add(self._base.get(key, nothing), self._metered.get(key, nothing))

    def delivered(self, records: Iterable[Record]) -> None:
        """The store has taken these."""
        self._uncertain = False
        if self._since is None:
            return  # of an earlier process: the first reading will have them
        for record in records:
            if record.counts:
                at = datetime.fromtimestamp(record.ts_us / 1e6, UTC)
                _add(self._delivered, record.counts, at)

    def not_delivered(self) -> None:
        """A batch failed, and may be in the store all the same."""
        self._uncertain = True

    async def read(self, read: Read, now: datetime) -> None:
        """Ask the store.  Raises TransientError; what was known before then stays."""
        if self._uncertain:
            return
        since = oldest(now)
        base = CounterSums()
        for counter, hour, quantity in await read(since):
            if counter in self.names:
                base.add(counter, datetime.fromtimestamp(hour, UTC), quantity)
        for (counter, start), quantity in self._delivered.items():
            base.add(counter, start, -quantity)
        with self._lock:
            self._base, self._since = base, since
            for tally in (self._base, self._metered, self._delivered):
                tally.forget(since)
        self.ready.set()

    async def keep_reading(self, read: Read, drained: Callable[[], Awaitable[None]]) -> None:
        """For ever; cancelled to stop.  First `drained`: what an earlier process left is written.

        Rows of that process would be taken for ours if they came after the first reading.
        """
        await drained()
        while True:
            try:
                await self.read(read, datetime.now(UTC))
            except TransientError as error:
                log.warning("What was used before is not known anew: %s", error)
            await asyncio.sleep(READ_S)


class Delivering:
    """An exporter whose deliveries `volumes` hears of."""

    def __init__(self, exporter: Exporter, volumes: Volumes) -> None:
        self.name = exporter.name
        self._exporter = exporter
        self._volumes = volumes

    async def export(self, batch: Batch) -> None:
        """See `Exporter.export`."""
        try:
            await self._exporter.export(batch)
        except TransientError:
            self._volumes.not_delivered()
            raise
        self._volumes.delivered(batch.records)

    async def close(self) -> None:
        await self._exporter.close()


def _add(tally: CounterSums, counts: Counters, at: datetime) -> None:
    for name, quantity in counts.items():
        tally.add(name, at, nine_places(Decimal(quantity)))


NO_VOLUMES = Volumes(())  # for books without such prices
