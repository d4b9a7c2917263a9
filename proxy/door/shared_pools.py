"""Pools as a relay sees them: those of the machine, or its own while these cannot be read."""

import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic, time

from proxy.door.pool_memory import POOLS_MAX, PoolMemory
from proxy.gate.mapped import Busy
from proxy.gateway import pools
from proxy.gateway.failures import What
from proxy.gateway.limits import reset_s, room
from proxy.gateway.pools import Pool

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks whether the file is still the one that is mapped
AWAY_S = 0.25  # after a lock that was not free, before the next try: each stops the relay

To = Callable[[Pool, float], Pool]


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
        self._path = path
        self._clock, self._wall = clock, wall
        self._memory: PoolMemory | None = None
        self._look_at = 0.0  # when to look for the file again, by the clock
        self._away_until = 0.0  # until then, the relay uses its own
        self._own: OrderedDict[str, Pool] = OrderedDict()  # as last seen
        self._unsaid: set[str] = set()  # pools whose state in `own` the others do not know
        self._complaint = ""

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def seen(self, name: str) -> Pool:
        """The state as it is, with instants of the wall."""
        return self._step(name, self._wall(), lambda pool, _: pool)

    def opens_at(self, name: str, now: float) -> float:
        """When a call may be sent; `now` if it may be sent now."""
        wall = self._wall()
        opens = pools.opens_at(self.seen(name), wall)
        return now + max(0.0, opens - wall)

    def take(self, name: str) -> bool:
        """Send a call, if the pool is open: one step, so that a probe is one of all relays."""
        taken = False

        def to(pool: Pool, now: float) -> Pool:
            nonlocal taken
            taken = pools.opens_at(pool, now) <= now
            return pools.sent(pool, now) if taken else pool

        self.change(name, to)
        return taken

    def change(self, name: str, to: To) -> None:
        """Put a pool into its next state."""
        self._step(name, self._wall(), to)

    def ended(
        self, name: str, end: What, headers: Mapping[str, str], error: Mapping[str, object]
    ) -> None:
        """Note what the end of a call says of its pool.

        `headers` of the answer are in lower case, `error` is the decoded body's; {} without one.
        """
        at = datetime.now(UTC)
        left = room(headers, at)

        def to(pool: Pool, now: float) -> Pool:
            pool = pools.told(pool, now, left)
            if end is What.LIMITED:
                return pools.limited(pool, now, reset_s(headers, error, at), random.random())
            if end in (What.NOT_SENT, What.AMBIGUOUS):
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

    # -- where they are -------------------------------------------------------------------------

    def _step(self, name: str, wall: float, to: To) -> Pool:
        own = self._own.get(name, Pool())
        memory = self._opened()
        if memory is not None:
            unsaid = own if name in self._unsaid else None
            try:
                found = memory.change(name, wall, partial(_next, unsaid=unsaid, to=to, now=wall))
            except Busy:
                self._away_until = self._clock() + AWAY_S
            else:
                self._unsaid.discard(name)
                self._remember(name, found)
                return found
        found = to(own, wall)
        if found != own:
            self._unsaid.add(name)
            self._remember(name, found)
        return found

    def _remember(self, name: str, pool: Pool) -> None:
        self._own[name] = pool
        self._own.move_to_end(name)
        if len(self._own) > POOLS_MAX:
            forgotten, _ = self._own.popitem(last=False)
            self._unsaid.discard(forgotten)

    def _opened(self) -> PoolMemory | None:
        """The memory; another one if its file was removed or replaced.  None: not now."""
        now = self._clock()
        if now < self._away_until:
            return None
        if now < self._look_at:
            return self._memory
        self._look_at = now + LOOK_S
        with suppress(OSError):  # it was removed
            if self._memory is not None and self._path.stat().st_ino == self._memory.inode:
                return self._memory
        self.close()
        self._unsaid.update(self._own)
        try:
            self._memory = PoolMemory(self._path)
        except OSError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("Cannot share rate limits with other relays: %s.", error)
        return self._memory


def _next(shared: Pool, *, unsaid: Pool | None, to: To, now: float) -> Pool:
    return to(shared if unsaid is None else pools.merged(shared, unsaid), now)
