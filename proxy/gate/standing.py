"""One budget as a relay keeps it: its limit, its current window, and where its accounts are."""

from datetime import UTC, datetime

from pricing.budget import Budget, Key
from pricing.window import Window
from proxy.gate import layout
from proxy.gate.layout import COMMITTED, I64, RESERVED, START, account_at, whole
from proxy.gate.memory import Full, Memory
from proxy.gate.verdict import Refusal, Want, judged

PLACES_MAX = 10_000  # accounts whose place is remembered, of each budget


class Standing:
    """Not for use in two threads."""

    __slots__ = ("_end_ns", "_places", "_start_ns", "_start_s", "_window", "budget", "limit")

    def __init__(self, budget: Budget) -> None:
        assert budget.limit is not None  # else it enforces nothing
        self.budget = budget
        self.limit = whole(budget.limit)
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

    def place(self, memory: Memory, key: Key) -> int | None:
        """The number of an account; None: there is none."""
        known = self._places.get(key)
        if known is None:
            name = layout.named(self.budget.name, key)
            digest, number = layout.digest(name), -1
        else:
            digest, name, number = known
            at = account_at(number)
            if number >= 0 and memory.map[at : at + layout.DIGEST_BYTES] == digest:
                return number
        found = memory.find(digest)
        self._remember(key, (digest, name, -1 if found is None else found))
        return found

    def made(self, memory: Memory, key: Key) -> int:
        """The number of an account, which is made if there is none.  Raises Full."""
        number = self.place(memory, key)
        if number is None:
            digest, name, _ = self._places[key]
            number = memory.make(digest, name, self._start_s)
            self._remember(key, (digest, name, number))
        return number

    def _remember(self, key: Key, place: tuple[bytes, bytes, int]) -> None:
        if len(self._places) >= PLACES_MAX:
            self._places.clear()
        self._places[key] = place

    def forget(self) -> None:
        """The memory is another one."""
        self._places.clear()

    def held(self, memory: Memory, account: int | None) -> tuple[int, int]:
        """What is committed and reserved in the current window.

        What a window that is over had spent counts no more, even before the meter says so; in a
        rolling one it does until then, as most of it still counts.  Raises Full if the account may
        be one that found no place.
        """
        if account is None:
            if memory.u64(layout.INCOMPLETE):
                raise Full
            return 0, 0
        at = account_at(account)
        reserved = memory.amount(at + RESERVED)
        start: int = I64.unpack_from(memory.map, at + START)[0]
        if start < self._start_s and self.budget.windows.resets:
            return 0, reserved
        return memory.amount(at + COMMITTED), reserved

    def judge(self, memory: Memory, want: Want, now_ns: int) -> tuple[Refusal | None, int]:
        """Why a call is refused, if it is, and what it would hold back."""
        window = self.window(now_ns)
        committed, reserved = self.held(memory, self.place(memory, want.key))
        cause, units = judged(want, self.limit, committed, reserved)
        if cause is None:
            return None, units
        refusal = Refusal(
            budget=self.budget,
            key=want.key,
            cause=cause,
            window=window,
            committed=committed,
            reserved=reserved,
            amount=want.amount,
        )
        return refusal, units
