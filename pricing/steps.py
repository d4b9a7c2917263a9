"""Prices by volume: the position of a call on each ladder, and its shares by step."""

from bisect import bisect_left
from collections.abc import Iterable
from decimal import Decimal
from types import MappingProxyType

from pricing.charge import Counters
from pricing.tariff import EXACT, Ladder, Volume
from pricing.usage import Quantity

WITHIN_CALL = "call"  # the counter of a ladder that starts at 0 for each call


class Positions:
    """The value of each counter, from before the call to its last line."""

    def __init__(self, counters: Counters) -> None:
        self._before = counters
        self._at: dict[str, Decimal] = {}
        self._after: dict[str, Decimal] = {}

    @property
    def moved(self) -> Counters:
        """What the call adds to each counter that outlives it."""
        return MappingProxyType(
            {
                name: EXACT.subtract(at, Decimal(self._before[name]))
                for name, at in self._at.items()
                if name in self._before
            }
        )

    def expect(self, quantities: Iterable[tuple[str, Quantity]]) -> None:
        """Announce what will be split: the whole call may be priced by where it ends."""
        for name, quantity in quantities:
            if name and (start := self._start(name)) is not None:
                self._after[name] = EXACT.add(self._after.get(name, start), Decimal(quantity))

    def split(
        self, name: str, ladder: Ladder | None, quantity: Quantity
    ) -> list[tuple[int, Quantity]] | None:
        """Shares of `quantity` by step, in order; None if the counter is unknown.

        Without a ladder there is one step.  The unit with number `steps[i]` is the last of the step
        before: with steps at 0 and 100, 100 units are all on the first step.
        """
        if ladder is None:
            return [(0, quantity)]
        start = self._start(name)
        if start is None:
            return None
        end = self._at[name] = EXACT.add(start, Decimal(quantity))
        if ladder.mode is Volume.WHOLE_CALL:
            return [(_step(ladder, self._after[name]), quantity)]
        shares: list[tuple[int, Quantity]] = []
        while start < end:
            step = _step(ladder, start, next_unit=True)
            upto = min([end, *ladder.steps[step + 1 : step + 2]])
            shares.append((step, EXACT.subtract(upto, start)))
            start = upto
        return shares

    def _start(self, name: str) -> Decimal | None:
        if name in self._at:
            return self._at[name]
        if name.startswith(f"{WITHIN_CALL}/"):
            return Decimal(0)
        before = self._before.get(name)
        return None if before is None else Decimal(before)


def _step(ladder: Ladder, position: Decimal, *, next_unit: bool = False) -> int:
    """The step of the unit that ends at `position`, or of the one that begins there."""
    passed = bisect_left(ladder.steps, position)
    if next_unit and passed < len(ladder.steps) and ladder.steps[passed] == position:
        passed += 1
    return max(passed - 1, 0)
