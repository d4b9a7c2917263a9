"""What one relay goes by: pools and conditions of the whole machine, and sessions of its own."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from proxy.door.measured import Canaries, Conditions
from proxy.door.shared_pools import SharedPools
from proxy.gateway.live import Kept

SESSIONS_MAX = 20_000  # the longest unused are forgotten first
CACHE_S = 300.0  # how long providers keep a prompt that is not used again: 5 to 10 minutes


class Sessions:
    """Where sessions are cached.  `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: OrderedDict[tuple[str, str], Kept] = OrderedDict()

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


class State(Sessions):
    """The same, and who leads a route."""

    def __init__(
        self,
        clock: Callable[[], float],
        pools: SharedPools,
        measured: Conditions,
        canaries: Canaries,
    ) -> None:
        super().__init__(clock)
        self.pools, self.measured, self.canaries = pools, measured, canaries
        self.leaders: dict[str, int] = {}  # of configured routes: the best candidate so far
