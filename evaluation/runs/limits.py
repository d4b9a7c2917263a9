"""Rate limits of a run: the gateway's pools, which the relays of this machine share with it.

A 429 closes a pool for the run and for the gateway alike, and one call at a time probes whether it
is open again.  Where a provider has several keys, a call goes to the first one with room.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from evaluation.runs.keys import Key, Keys
from evaluation.runs.plan import Candidate
from proxy.door.shared_pools import SharedPools
from proxy.gateway.failures import What
from proxy.gateway.limits import pool

WAIT_MAX_S = 600.0  # for a limit; a run of the same command goes on when it is reset


class Stopped(Exception):
    """The run was stopped while a call waited."""


class Closed(Exception):
    """No key of the provider will do; the message says why."""


@dataclass(slots=True)
class Limits:
    """Gives each call a key with room.  `stopped` ends all waiting."""

    keys: Keys
    pools: SharedPools
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _refused: dict[str, dict[str, str]] = field(default_factory=dict)  # model → key → why

    async def take(self, candidate: Candidate) -> Key:
        """A key whose pool is open, with the call counted to it.  Raises Stopped and Closed."""
        while True:
            now = asyncio.get_running_loop().time()
            refused = self._refused.get(candidate.name, {})
            usable = [k for k in self.keys[candidate.provider.name] if k.name not in refused]
            if not usable:
                raise Closed("; ".join(dict.fromkeys(refused.values())))
            opens = {key: self.pools.opens_at(_pool(candidate, key), now) for key in usable}
            key = min(usable, key=lambda each: opens[each])
            wait_s = opens[key] - now
            if wait_s > WAIT_MAX_S:
                raise Closed(f"its rate limit opens in {wait_s / 60:,.0f} minutes")
            if wait_s > 0:
                await self.wait(wait_s)
            elif self.pools.take(_pool(candidate, key)):
                return key

    async def wait(self, seconds: float) -> None:
        """Wait, unless the run is stopped.  Raises Stopped."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopped.wait()
        except TimeoutError:
            return
        raise Stopped

    def ended(
        self,
        candidate: Candidate,
        key: Key,
        end: What,
        headers: Mapping[str, str],
        error: Mapping[str, object],
    ) -> None:
        """Note how a call ended; `headers` are in lower case, `error` is the decoded body's."""
        self.pools.ended(_pool(candidate, key), end, headers, error)

    def refuse(self, candidate: Candidate, key: Key, why: str) -> bool:
        """Use the key no more for this model; whether there is another."""
        refused = self._refused.setdefault(candidate.name, {})
        refused[key.name] = why
        return len(refused) < len(self.keys[candidate.provider.name])


def _pool(candidate: Candidate, key: Key) -> str:
    return pool(candidate.provider.name, key.name, candidate.model)
