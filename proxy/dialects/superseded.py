"""Blocks of usage that a later one of the same stream replaces.

What no reader knows in them counts all the same.  Some providers state their usage in every event,
so a block is looked at only if none before had the same names and texts, and the same zeros.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping

from pricing.cause import Cause
from proxy.dialects.fields import is_quantity
from proxy.dialects.tally import Tally
from proxy.dialects.values import integer

SHAPES_MAX = 64  # remembered; further blocks are looked at each time

Block = Mapping[str, object]


class Superseded:
    """The blocks of one stream."""

    def __init__(self) -> None:
        self._shapes: set[int] = set()

    def unknown(self, usage: Block, tally: Callable[[Block], Tally]) -> Iterable[Cause]:
        """What no reader knows in a block, unless one like it was seen; `tally` reads it."""
        shape = hash(shape_of(usage))
        if shape in self._shapes:
            return ()
        if len(self._shapes) < SHAPES_MAX:
            self._shapes.add(shape)
        return tally(usage).unknown()


def shape_of(value: object) -> Hashable:
    """The same for values that differ in nothing but their numbers, and have the same zeros."""
    if type(value) is int:  # nearly always
        return value != 0, integer(value) is not None
    if isinstance(value, dict):
        return tuple([(name, shape_of(inner)) for name, inner in value.items()])
    if isinstance(value, list):
        return tuple(map(shape_of, value))
    if value is None or isinstance(value, str | bool):
        return value
    return is_quantity(value), bool(integer(value)), type(value)
