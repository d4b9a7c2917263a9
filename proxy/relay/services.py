"""What all calls of a relay share."""

from proxy.relay.deadlines import Deadlines, Waits
from proxy.relay.settling import Settling
from proxy.relay.upstream import Upstreams

Watched = Deadlines[Waits] | None  # the clock that runs for somebody, if any


class Services:
    """Connections to providers, the journal's pace, and the clocks of silence."""

    def __init__(self, upstreams: Upstreams, settling: Settling) -> None:
        self.upstreams = upstreams
        self.settling = settling
        self._deadlines: dict[float, Deadlines[Waits]] = {}

    def watch(self, waits: Waits, before: Watched, after_s: float) -> Watched:
        """Have `waits` be told by what is returned after `after_s` of silence, no longer `before`.

        None, for 0: it may be silent forever.
        """
        after = self._deadlines.get(after_s)
        if after is None and after_s:
            after = self._deadlines[after_s] = Deadlines(after_s, lambda late: late.overdue())
        if before is not None and before is not after:
            before.drop(waits)
        if after is not None:
            after.touch(waits)
        return after

    def stop(self) -> None:
        for deadlines in self._deadlines.values():
            deadlines.stop()
