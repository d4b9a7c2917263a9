"""One budget as a relay keeps it: its limit, its current window, and where its accounts are."""

from datetime import UTC, datetime

from pricing.budget import Budget, Key
from pricing.window import Window
from proxy.gate import layout
from proxy.gate.layout import ACCOUNT, account_at, whole
from proxy.gate.memory import Full, Memory
from proxy.gate.verdict import Cause, Refusal, Want

NO_ACCOUNT = (b"", b"", b"", 0, 0)
PLACES_MAX = 10_000  # accounts whose place is remembered, of each budget


class Standing:
    """Not for use in two threads."""

    __slots__ = (
        "_end_ns",
        "_places",
        "_resets",
        "_start_ns",
        "_start_s",
        "_window",
        "budget",
        "limit",
    )

    def __init__(self, budget: Budget) -> None:
        assert budget.limit is not None  # else it enforces nothing
        self.budget = budget
        self.limit = whole(budget.limit)
        self._resets = budget.windows.resets
        self._window = Window(datetime.now(UTC), None)
        self._start_s = self._start_ns = self._end_ns = 0
        self._places: dict[Key, tuple[bytes, bytes, int]] = {}

    def window(self, now_ns: int) -> Window:
        """The window of an instant, in nanoseconds since the epoch; most come in the same one."""
        if not self._start_ns <= now_ns < self._end_ns:
            at = datetime.fromtimestamp(now_ns / 1e9, UTC)
            self._window = window = self.budget.windows.window(at)
            self._start_s = int(window.start.timestamp())
            self._start_ns = self._start_s * 1_000_000_000
            end_s = window.end.timestamp() if window.end is not None else float(2**33)
            self._end_ns = int(end_s) * 1_000_000_000
        return self._window

    def look(self, memory: Memory, key: Key, now_ns: int) -> tuple[int, int, int]:
        """(number of the account, committed, reserved) in the window of an instant; -1: no account.

        What a window that is over had spent counts no more, even before the meter says so; in a
        rolling one it does until then, as most of it still counts.  Raises Full if the account may
        be one that found no place.
        """
        if not self._start_ns <= now_ns < self._end_ns:
            self.window(now_ns)
        known = self._places.get(key)
        number = -1 if known is None else known[2]
        found = NO_ACCOUNT
        if known is not None and number >= 0:
            found = ACCOUNT.unpack_from(memory.map, account_at(number))
        if known is None or found[0] != known[0]:
            number = self._find(memory, key)
            if number < 0:
                if memory.u64(layout.INCOMPLETE):
                    raise Full
                return -1, 0, 0
            found = ACCOUNT.unpack_from(memory.map, account_at(number))
        _, committed, reserved, start, _ = found
        if start < self._start_s and self._resets:
            return number, 0, int.from_bytes(reserved, "little")
        return number, int.from_bytes(committed, "little"), int.from_bytes(reserved, "little")

    def make(self, memory: Memory, key: Key) -> int:
        """Make the account that `look` did not find; returns its number.  Raises Full."""
        digest, name, _ = self._places[key]
        number = memory.make(digest, name, self._start_s)
        self._remember(key, (digest, name, number))
        return number

    def forget(self) -> None:
        """The memory is another one."""
        self._places.clear()

    def _find(self, memory: Memory, key: Key) -> int:
        known = self._places.get(key)
        name = known[1] if known else layout.named(self.budget.name, key)
        digest = known[0] if known else layout.digest(name)
        number = memory.find(digest)
        self._remember(key, (digest, name, -1 if number is None else number))
        return -1 if number is None else number

    def _remember(self, key: Key, place: tuple[bytes, bytes, int]) -> None:
        if len(self._places) >= PLACES_MAX:
            self._places.clear()
        self._places[key] = place

    def refusal(self, want: Want, cause: Cause, committed: int, reserved: int) -> Refusal:
        """Of a call that `look` was the last one for."""
        return Refusal(
            budget=self.budget,
            key=want.key,
            cause=cause,
            window=self._window,
            committed=committed,
            reserved=reserved,
            amount=want.amount,
        )
