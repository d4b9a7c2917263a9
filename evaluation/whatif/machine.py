"""The pools of one simulated machine, as the relays of a real one share them."""

from collections.abc import Callable

from proxy.gateway import pools
from proxy.gateway.pools import Pool


class Pools:
    """Pools by their names.  Instants are those of the simulation, in seconds."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}

    def opens_at(self, name: str, now: float) -> float:
        """When a call may be sent; `now` if it may be sent now."""
        return max(now, pools.opens_at(self._pools.get(name, Pool()), now))

    def change(self, name: str, to: Callable[[Pool, float], Pool], now: float) -> None:
        """Put a pool into its next state."""
        self._pools[name] = to(self._pools.get(name, Pool()), now)

    def may_call(self, name: str, now: float, *, share: float, least: int, retry: bool) -> bool:
        """Count a call against the pool's budget of retries."""
        self._pools[name], allowed = pools.called(
            self._pools.get(name, Pool()), now, share=share, least=least, retry=retry
        )
        return allowed
