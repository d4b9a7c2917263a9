"""Pools as a relay sees them: those of the machine, or its own while these cannot be read."""

import random
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from time import monotonic, time

from proxy.door.shared_table import Kind, Shared
from proxy.gateway import pools
from proxy.gateway.failures import What
from proxy.gateway.limits import reset_s, room
from proxy.gateway.pools import Pool

To = Callable[[Pool, float], Pool]


POOLS = Kind(
    magic=b"TAXPOOL3",
    what="rate limits",
    places=2_048,
    fields=struct.Struct("<2dq6d"),
    empty=Pool(),
    pack=attrgetter(*Pool.__struct_fields__),
    unpack=lambda values: Pool(*values),  # type: ignore[arg-type]  # the third is a whole number
)


class SharedPools:
    """Pools by their names.  Nothing here raises.  `clock` and `wall` are in seconds; instants in
    arguments and results are the clock's, those in the memory are the wall's.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self._wall = wall
        self._own: OrderedDict[str, Pool] = OrderedDict()  # as last seen
        self._unsaid: set[str] = set()  # pools whose state in `own` the others do not know
        self._shared = Shared(path, POOLS, clock, lambda: self._unsaid.update(self._own))

    def close(self) -> None:
        self._shared.close()

    def seen(self, name: str) -> Pool:
        """The state as it is, with instants of the wall."""
        wall = self._wall()
        if name not in self._unsaid and (found := self._shared.seen(name, wall)) is not None:
            self._remember(name, found)
            return found
        return self._step(name, wall, lambda pool, _: pool)

    def opens_at(self, name: str, now: float) -> float:
        """When a call may be sent; `now` if it may be sent now."""
        wall = self._wall()
        opens = pools.opens_at(self.seen(name), wall)
        return now + max(0.0, opens - wall)

    def take(self, name: str, *, share: float | None = None, least: int = 0) -> bool:
        """Send a call, if the pool is open: one step, so that a probe is one of all relays.

        While the lock is not free nobody knows whether another relay's probe is on its way, so none
        is sent.  With a `share`, it is a first try, and counts for the budget of retries.
        """
        taken = False

        def to(pool: Pool, now: float) -> Pool:
            nonlocal taken
            taken = pools.opens_at(pool, now) <= now
            if pool.closed_until and self._shared.busy:
                taken = False
            if taken and share is not None:
                pool, _ = pools.called(pool, now, share=share, least=least, retry=False)
            return pools.sent(pool, now) if taken else pool

        self.change(name, to)
        return taken

    def change(self, name: str, to: To) -> Pool:
        """Put a pool into its next state, which is returned with instants of the wall."""
        return self._step(name, self._wall(), to)

    def ended(
        self, name: str, end: What, headers: Mapping[str, str], error: Mapping[str, object]
    ) -> None:
        """Note what the end of a call says of its pool.

        `headers` of the answer are in lower case, `error` is the decoded body's; {} without one.
        """
        at = datetime.now(UTC)
        left = room(headers, at)
        reset = reset_s(headers, error, at) if end is What.LIMITED else None

        def to(pool: Pool, now: float) -> Pool:
            pool = pools.told(pool, now, left)
            if end is What.LIMITED:
                return pools.limited(pool, now, reset, random.random())
            if end in (What.NOT_SENT, What.AMBIGUOUS, What.REFUSED):
                return pools.dropped(pool)
            return pools.answered(pool, now)

        self.change(name, to)

    def may_call(self, name: str, *, share: float, least: int, retry: bool) -> bool:
        """Count a call against the pool's budget of retries."""
        allowed = False

        def to(pool: Pool, now: float) -> Pool:
            nonlocal allowed
            found, allowed = pools.called(pool, now, share=share, least=least, retry=retry)
            return found

        self.change(name, to)
        return allowed

    def _step(self, name: str, wall: float, to: To) -> Pool:
        found = self._shared.change(name, wall, partial(self._next, name=name, to=to, now=wall))
        if found is not None:
            self._unsaid.discard(name)
            self._remember(name, found)
            return found
        own = self._own.get(name, Pool())
        found = to(own, wall)
        if found != own:
            self._unsaid.add(name)
            self._remember(name, found)
        return found

    def _next(self, shared: Pool, *, name: str, to: To, now: float) -> Pool:
        known = pools.merged(shared, self._own[name]) if name in self._unsaid else shared
        return to(known, now)

    def _remember(self, name: str, pool: Pool) -> None:
        self._own[name] = pool
        self._own.move_to_end(name)
        if len(self._own) > POOLS.places:
            forgotten, _ = self._own.popitem(last=False)
            self._unsaid.discard(forgotten)
