"""What all calls of a relay share."""

from typing import TYPE_CHECKING

from proxy.relay.deadlines import Deadlines
from proxy.relay.settling import Settling
from proxy.relay.upstream import Upstreams

if TYPE_CHECKING:
    from proxy.relay.attempt import Attempt


class Services:
    """Connections to providers, the journal's pace, and the clocks of silence."""

    def __init__(self, upstreams: Upstreams, settling: Settling) -> None:
        self.upstreams = upstreams
        self.settling = settling
        self._deadlines: dict[float, Deadlines[Attempt]] = {}

    def deadlines(self, after_s: float) -> "Deadlines[Attempt]":
        """The clock for all that may be silent equally long."""
        found = self._deadlines.get(after_s)
        if found is None:
            found = self._deadlines[after_s] = Deadlines(after_s, lambda attempt: attempt.overdue())
        return found

    def stop(self) -> None:
        for deadlines in self._deadlines.values():
            deadlines.stop()
