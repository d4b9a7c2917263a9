"""What meter and board tell each other: accounts, what they hold, and which calls count.  No I/O.

An account is one budget for one key.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from pricing.budget import Key
from pricing.window import Window

Account = tuple[str, Key]  # the name of a budget, and for whom


class Counted(Protocol):
    """Which calls of one journal have all their rows in the spend that is published.

    `proxy.metering.progress.WriterProgress` is one.
    """

    def is_done(self, call: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Spent:
    """What a window holds: counted and uncertain, in the budget's unit."""

    window: Window
    committed: Decimal


@dataclass(frozen=True, slots=True)
class Held:
    """`reserved`: what open calls hold back.  `refused`: how many this window refused, or would."""

    reserved: Decimal
    refused: int
