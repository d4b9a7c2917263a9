"""What all calls of a relay share."""

from proxy.relay.deadlines import Deadlines, Waits
from proxy.relay.settling import Settling
from proxy.relay.upstream import Upstreams


class Services:
    """Connections to providers, the journal's pace, and the clocks of silence."""

    def __init__(self, upstreams: Upstreams, settling: Settling) -> None:
        self.upstreams = upstreams
        self.settling = settling
        self._deadlines: dict[float, Deadlines[Waits]] = {}

    def watch(self, waits: Waits, before_s: float, after_s: float) -> float:
        """Have `waits` be told after `after_s` of silence, no longer after `before_s`; 0: never."""
        if before_s not in (0.0, after_s):
            self._deadlines[before_s].drop(waits)
        if after_s:
            deadlines = self._deadlines.get(after_s)
            if deadlines is None:
                deadlines = Deadlines[Waits](after_s, lambda late: late.overdue())
                self._deadlines[after_s] = deadlines
            deadlines.touch(waits)
        return after_s

    def stop(self) -> None:
        for deadlines in self._deadlines.values():
            deadlines.stop()
