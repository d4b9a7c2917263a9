"""Which candidates are shut off for this machine's relays, and which call may try one again."""

from collections.abc import Callable
from time import monotonic

from msgspec.structs import replace

from proxy.door.shared_pools import SharedPools, To
from proxy.gateway import pools, shutting
from proxy.gateway.failures import What
from proxy.gateway.live import Condition
from proxy.gateway.measured import NO_WORD
from proxy.gateway.pools import Pool

LOOK_S = 1.0  # between two looks at a candidate that nobody had shut off


class Breakers:
    """One relay's view.  `candidate` is `provider/model`, of a configured route."""

    def __init__(self, shared: SharedPools, clock: Callable[[], float] = monotonic) -> None:
        self._shared, self._clock = shared, clock
        self._open_until: dict[str, float] = {}  # candidates that need no look until then

    def judged(
        self, candidate: str, condition: Condition, *, fresh: bool
    ) -> tuple[Condition, bool]:
        """What a decision goes by; and whether the call that goes there must `take` it first."""
        now = self._clock()
        if now < self._open_until.get(candidate, 0.0) and not (fresh and condition.failing):
            return (replace(condition, error_share=0.0) if condition.failing else condition), False
        found = condition

        def to(state: Pool, wall: float) -> Pool:
            nonlocal found
            found, state = shutting.judged(condition, state, wall, fresh=fresh)
            return state

        state = self._shared.change(shutting.name(candidate), to)
        if state.closed_until:
            self._open_until.pop(candidate, None)
        else:
            self._open_until[candidate] = now + LOOK_S
        return found, bool(state.closed_until) and not found.shut

    def take(self, candidate: str) -> bool:
        """Whether this call is the one that tries it."""
        return self._shared.take(shutting.name(candidate))

    def ended(self, candidate: str, end: What, *, tries: bool) -> None:
        """An attempt ended; `tries`: it was the one that had taken it."""
        if not tries and candidate in self._open_until:
            return
        to: To
        if end.harm:
            to = pools.failed
        elif end is What.ANSWERED:
            to = pools.answered
        elif tries and end in NO_WORD:
            to = _dropped
        else:
            return
        self._shared.change(shutting.name(candidate), to)


def _dropped(state: Pool, _: float) -> Pool:
    return pools.dropped(state)
