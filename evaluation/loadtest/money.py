"""What a load test costs: quoted before, held back before each request, never above the limit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import msgspec

from evaluation.loadtest.mix import Request
from evaluation.loadtest.target import Target
from evaluation.runs import wire
from evaluation.runs.plan import CALL_TOKENS, MESSAGE_TOKENS, TOOLS_TOKENS, Prices
from pricing import TariffBook


@dataclass(frozen=True, slots=True)
class Quote:
    """USD by the candidate that is dearest; None if a price is not known."""

    requests: int
    expected: Decimal | None  # if sizes are as planned and nothing is cached
    most: Decimal | None  # a token a byte, as in an evaluation's quote


class Money:
    """Prices of one target."""

    def __init__(self, target: Target, book: TariffBook, at: datetime) -> None:
        self._target, self._prices = target, Prices(book, at)

    def expected(self, request: Request) -> Decimal | None:
        """What a request costs if it is as large as planned."""
        return self._dearest((request.input_tokens, request.output_tokens))

    def most(self, request: Request, outgoing: wire.Outgoing) -> Decimal | None:
        """What it can cost at most, whoever serves it and however often it is billed."""
        size = len(msgspec.json.encode(outgoing.body)) + CALL_TOKENS + 2 * MESSAGE_TOKENS
        size += TOOLS_TOKENS if request.tools else 0
        dearest = self._dearest((size, request.output_tokens))
        return None if dearest is None else dearest * self._target.attempts

    def _dearest(self, tokens: tuple[int, int]) -> Decimal | None:
        found = [self._prices.most(one, tokens) for one in self._target.billed]
        known = [usd for usd in found if usd is not None]
        return max(known, default=Decimal(0)) if len(known) == len(found) else None


def quote(money: Money, planned: Iterable[tuple[Request, wire.Outgoing]]) -> Quote:
    """What all of them cost; each text is made, measured and forgotten."""
    expected: list[Decimal | None] = []
    most: list[Decimal | None] = []
    for request, outgoing in planned:
        expected.append(money.expected(request))
        most.append(money.most(request, outgoing))
    return Quote(len(expected), _sum(expected), _sum(most))


def _sum(amounts: Sequence[Decimal | None]) -> Decimal | None:
    known = [usd for usd in amounts if usd is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None


@dataclass(slots=True)
class Cap:
    """A limit that nothing passes: what a request can cost is held back before it is sent.

    One whose cost nobody knows, as of an answer that was cut, counts as the most it can be.
    """

    max_usd: Decimal
    spent: Decimal = Decimal(0)
    _held: dict[int, Decimal] = field(default_factory=dict)

    @property
    def committed(self) -> Decimal:
        """Spent and held back."""
        return self.spent + sum(self._held.values(), Decimal(0))

    def hold(self, number: int, most: Decimal | None) -> bool:
        """Whether a request may be sent."""
        if most is None or self.committed + most > self.max_usd:
            return False
        self._held[number] = most
        return True

    def settle(self, number: int, usd: Decimal | None) -> None:
        """It has ended."""
        held = self._held.pop(number, Decimal(0))
        self.spent += held if usd is None else usd
