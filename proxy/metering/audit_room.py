"""How many of the sampled calls are counted: counting must neither delay rows nor fill a core."""

from time import monotonic

WAITING_MAX = 50  # calls that wait for their tokens to be counted
PER_S_MAX = 20  # more decide nothing, and a prompt of 256 KiB takes 50 to 100 ms


class AuditRoom:
    """One for a meter."""

    def __init__(self) -> None:
        self._second = 0
        self._taken = 0  # in that second

    def take(self, waiting: int) -> bool:
        """Whether one more call may be counted now, `waiting` being how many wait already."""
        if waiting >= WAITING_MAX:
            return False
        second = int(monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= PER_S_MAX
