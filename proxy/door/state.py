"""What one relay goes by: pools, conditions and sessions of the whole machine."""

from collections.abc import Callable

from proxy.door.breakers import Breakers
from proxy.door.measured import Conditions, KnownCanaries
from proxy.door.sessions import SharedSessions
from proxy.door.shared_pools import SharedPools
from proxy.settings.places import Places


class State:
    """`clock` is monotonic."""

    def __init__(self, clock: Callable[[], float], places: Places) -> None:
        self.pools = SharedPools(places.gateway_pools, clock)
        self.sessions = SharedSessions(places.gateway_sessions, clock)
        self.measured = Conditions(places.gateway_live, clock)
        self.canaries = KnownCanaries(places)
        self.breakers = Breakers(self.pools, clock)
        self.leaders: dict[str, int] = {}  # of configured routes: the best candidate so far
