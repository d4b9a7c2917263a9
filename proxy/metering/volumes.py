"""What was used before a call, for prices by volume: `gemini/day.grounding`, `acme/month.tokens`.

    used = what the store holds + what this meter metered and the store did not hold at that moment

The store is read at the start and every minute, on the thread that writes, so that no answer has
half a batch.  What other meters wrote since then is not seen.  Windows are days and months in UTC,
by the start of the call.  Before the first answer, and for windows older than last month, counters
are unknown, which is not zero: the price is then missing (`unknown_counter`).
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
    """The start of the day or month of `counter` at that instant; None for any other window.

    The window is the word before the dot: `gemini/day.grounding`.
    """
    kind = counter.partition("/")[2].partition(".")[0]
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {"day": midnight, "month": midnight.replace(day=1)}.get(kind)


def oldest(now: datetime) -> datetime:
    """The start of the previous month: calls that end late fall into no earlier window."""
    this = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (this - timedelta(days=1)).replace(day=1)


class CounterSums(dict[Key, Decimal]):
    """Sums by counter and window."""

    def add(self, counter: str, at: datetime, quantity: Decimal) -> None:
        if (start := window(counter, at)) is not None:
            key = counter, start
            self[key] = EXACT.add(self.get(key, Decimal(0)), quantity)

    def forget(self, before: datetime) -> None:
        """Drop windows that began earlier."""
        for key in [key for key in self if key[1] < before]:
            del self[key]


@dataclass(frozen=True, slots=True)
class Passing:
    """The counters before a call, and how to add what it used."""

    before: Counters
    add: Callable[[Counters], None]


class Volumes:
    """The counters `names` of one meter.  Calls are priced one after the other."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self.ready = asyncio.Event()  # the store has been read
        self._lock = Lock()  # calls with counted tokens are priced on other threads
        self._since: datetime | None = None  # windows from here on are known
        self._base = CounterSums()  # what the store held, less what we had delivered to it
        self._metered = CounterSums()  # by this meter, since its start
        self._delivered = CounterSums()  # the part of it that the store has taken
        self._uncertain = False  # a batch may be in the store, or not

    @contextmanager
    def passing(self, subcalls: Sequence[Subcall]) -> Iterator[Passing]:
        """The context in which to price a call, one at a time."""
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
            return  # from an earlier process: the first reading will include them
        for record in records:
            if record.counts:
                at = datetime.fromtimestamp(record.ts_us / 1e6, UTC)
                _add(self._delivered, record.counts, at)

    def not_delivered(self) -> None:
        """A batch failed, and may still be in the store."""
        self._uncertain = True

    async def read(self, read: Read, now: datetime) -> None:
        """Ask the store.  Raises TransientError; the counters then stay as they are."""
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
        """Read until cancelled, starting when what an earlier process left is written (`drained`).

        Rows of that process that arrive after the first reading would count as ours.
        """
        await drained()
        while True:
            try:
                await self.read(read, datetime.now(UTC))
            except TransientError as error:
                log.warning("Could not refresh volume counters from the store: %s", error)
            await asyncio.sleep(READ_S)


class Delivering:
    """An exporter that reports its deliveries to `volumes`."""

    def __init__(self, exporter: Exporter, volumes: Volumes) -> None:
        self.name = exporter.name
        self._exporter = exporter
        self._volumes = volumes

    async def export(self, batch: Batch[Record]) -> None:
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


NO_VOLUMES = Volumes(())  # for books without prices by volume
