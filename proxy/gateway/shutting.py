"""Candidates that fail too often are shut off, and tried by one call before they are trusted.

The state is that of a pool (`proxy.gateway.pools`), which all relays of a machine share: open →
(half of its calls failed) → closed → half open, where one call may try it → open, or closed again
for longer.  What failed before it was opened is held against it no more.
"""

from msgspec.structs import replace

from proxy.gateway import pools
from proxy.gateway.live import Condition
from proxy.gateway.pools import Pool


def name(candidate: str) -> str:
    """The name of the state of a `provider/model`; no pool of limits has a space in its own."""
    return f"candidate {candidate}"


def judged(condition: Condition, state: Pool, now: float, *, fresh: bool) -> tuple[Condition, Pool]:
    """What a decision goes by, and the next state.  `now` is in seconds since the epoch.

    Unless its condition is `fresh`, it shuts nothing off.
    """
    fails = fresh and condition.failing and condition.failed_at > state.opened_at
    if fails and not state.closed_until:
        state = pools.shut(state, now)
    is_shut = bool(state.closed_until) and pools.opens_at(state, now) > now
    return replace(condition, error_share=0.0, shut=is_shut), state
