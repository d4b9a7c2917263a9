"""What one budget holds: what the store said, and what this meter metered since.

    spend = what the store held - what we had delivered to it by then + what we metered

So it equals the rows to the last digit, whenever the store was asked.  Amounts are kept by key and
by slot: a window or, where windows roll on, a quarter of an hour.  Pure.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pricing.budget import Budget, Key
from pricing.window import BUCKET, Window, bucket
from proxy.budgets.sums import ZERO, Entry, Kind, Sums, of_row

KEYS_MAX = 16_384  # of one budget, as `proxy.gate` has; others are counted in `left_out`

_Slots = dict[datetime, dict[Kind, Sums]]


class Tally:
    """Sums by key, slot and kind."""

    def __init__(self) -> None:
        self.keys: dict[Key, _Slots] = {}

    def add(self, key: Key, slot: datetime, kind: Kind, sums: Sums) -> None:
        kinds = self.keys.setdefault(key, {}).setdefault(slot, {})
        kinds[kind] = kinds.get(kind, ZERO).plus(sums)

    def within(self, key: Key, window: Window) -> Iterator[tuple[Kind, Sums]]:
        for slot, kinds in self.keys.get(key, {}).items():
            if slot in window:
                yield from kinds.items()

    def forget(self, before: datetime) -> None:
        """Drop slots that began earlier, and keys that have none left."""
        for key, slots in list(self.keys.items()):
            for slot in [slot for slot in slots if slot < before]:
                del slots[slot]
            if not slots:
                del self.keys[key]


class Count:
    """One budget's.  `missed`: rows that were metered before and that the store does not have yet.

    Until it has, nothing is known.  `blind`: there are more than are remembered one by one.
    """

    def __init__(
        self, budget: Budget, missed: Collection[str] = (), *, blind: bool = False
    ) -> None:
        self.budget = budget
        self.blind = blind
        self._base, self._metered, self._delivered = Tally(), Tally(), Tally()
        self._missed = set(missed)
        self.read: Window | None = None  # the window that was last asked for
        self.read_at: datetime | None = None
        self.changed: set[Key] = set()  # keys to evaluate
        self.left_out = 0
        self._window: Window | None = None

    @property
    def waits(self) -> bool:
        """Whether rows from before this budget are on their way to the store."""
        return self.blind or bool(self._missed)

    def window(self, now: datetime) -> Window:
        """The window that contains `now`."""
        window = self._window
        moves = window is not None and window.end is not None and not self.budget.windows.resets
        if window is None or now not in window or (moves and bucket(now) + BUCKET != window.end):
            window = self._window = self.budget.windows.window(now)
        return window

    def knows(self, window: Window) -> bool:
        """Whether the store was asked for `window`, or for one before it."""
        return self.read is not None and self.read.start <= window.start

    def metered(self, entry: Entry) -> None:
        """A new row."""
        self._change(entry, self._metered)

    def delivered(self, source: str, entry: Entry) -> None:
        """The store has taken a row."""
        if source in self._missed:
            self._missed.discard(source)
        else:
            self._add(entry, self._delivered)

    def dropped(self, source: str) -> None:
        """The store will never have a row."""
        self._missed.discard(source)

    def corrected(self, entry: Entry) -> None:
        """The store has taken a correction."""
        self._change(entry, self._metered)
        self._add(entry, self._delivered)

    def take(self, rows: Iterable[Sequence[Any]], window: Window, now: datetime) -> None:
        """The store's answer for `window`, which it gave after all that was `delivered`."""
        rolling = self.budget.windows.rolling is not None
        names = sorted(name for name, value in self.budget.scope.items() if value == "*")
        base = Tally()
        for row in rows:
            key: Key = tuple(zip(names, map(str, row[: len(names)]), strict=True))
            kind, at, sums = of_row(row[len(names) :])
            if self._room_for(key):
                base.add(key, at if rolling else window.start, kind, sums)
        for key, slots in self._delivered.keys.items():
            for slot, kinds in slots.items():
                for kind, sums in kinds.items():
                    if slot in window:
                        base.add(key, slot, kind, ZERO.minus(sums))
        before = {key: self.sums(key, window) for key in self.all_keys()}
        self._base, self.read, self.read_at = base, window, now
        for key in self.all_keys():
            if key not in before or self.sums(key, window) != before[key]:
                self.changed.add(key)

    def all_keys(self) -> Collection[Key]:
        """All keys with a row, in any slot that is kept."""
        if not self.budget.scope or "*" not in self.budget.scope.values():
            return [()]
        return self._base.keys.keys() | self._metered.keys.keys()

    def sums(self, key: Key, window: Window) -> Mapping[Kind, Sums]:
        """What `window` holds, by kind."""
        found: defaultdict[Kind, Sums] = defaultdict(Sums)
        for tally in (self._base, self._metered):
            for kind, sums in tally.within(key, window):
                found[kind] = found[kind].plus(sums)
        return found

    def roll(self, now: datetime) -> None:
        """Forget what no window needs, that before the current one excepted: rows come late."""
        start = self.window(now).start
        if self.budget.windows.resets:
            start = self.budget.windows.window(start - BUCKET).start
        for tally in (self._base, self._metered, self._delivered):
            tally.forget(start)

    def _change(self, entry: Entry, tally: Tally) -> None:
        key = self._add(entry, tally)
        if key is not None:
            self.changed.add(key)

    def _add(self, entry: Entry, tally: Tally) -> Key | None:
        key = self.budget.matches(entry.facts)
        if key is None or not self._room_for(key):
            return None
        tally.add(key, self._slot(entry.at), entry.kind, entry.sums)
        return key

    def _slot(self, at: datetime) -> datetime:
        if self.budget.windows.rolling is not None:
            return bucket(at)
        if self._window is not None and at in self._window:
            return self._window.start
        return self.budget.windows.window(at).start

    def _room_for(self, key: Key) -> bool:
        known = key in self._metered.keys or key in self._base.keys
        if known or max(len(self._metered.keys), len(self._base.keys)) < KEYS_MAX:
            return True
        self.left_out += 1
        return False
