"""What one relay remembers of pools and sessions.  Other relays have states of their own."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from proxy.gateway import pools
from proxy.gateway.live import Kept
from proxy.gateway.pools import Pool

SESSIONS_MAX = 20_000  # the longest unused are forgotten first
POOLS_MAX = 2_000
CACHE_S = 300.0  # how long providers keep a prompt that is not used again: 5 to 10 minutes


class State:
    """Pools by their names, and where sessions are cached.  `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pools: OrderedDict[str, Pool] = OrderedDict()
        self._sessions: OrderedDict[tuple[str, str], Kept] = OrderedDict()

    def opens_at(self, pool: str, now: float) -> float:
        """When a call may be sent to this pool; `now` if it may be sent now."""
        return pools.opens_at(self._pools.get(pool, Pool()), now)

    def change(self, pool: str, to: Callable[[Pool, float], Pool]) -> None:
        """Put a pool into its next state."""
        self._pools[pool] = to(self._pools.get(pool, Pool()), self._clock())
        self._pools.move_to_end(pool)
        if len(self._pools) > POOLS_MAX:
            self._pools.popitem(last=False)

    def may_call(self, pool: str, *, share: float, least: int, retry: bool) -> bool:
        """Count a call against the pool's budget of retries."""
        found, allowed = pools.called(
            self._pools.get(pool, Pool()), self._clock(), share=share, least=least, retry=retry
        )
        self.change(pool, lambda _, __: found)
        return allowed

    def kept(self, route: str, session: str) -> Kept | None:
        """Where the session's prompt is cached."""
        return self._sessions.get((route, session)) if session else None

    def keep(self, route: str, session: str, candidate: int, tokens: int) -> None:
        """A candidate has read the session's prompt.  As many turns are expected as there were."""
        if not session:
            return
        before = self._sessions.pop((route, session), None)
        now = self._clock()
        made = Kept(candidate=candidate, until=now + CACHE_S, cached_tokens=tokens)
        if before is not None and before.candidate == candidate:
            new = max(0, tokens - before.cached_tokens)
            made = replace(made, turns=before.turns + 1, new_tokens=new)
        self._sessions[route, session] = made
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
