"""What a call costs as a value: lines, their sum, and how far to trust it.

Exact: Decimal from tariff to charge, no rounding, no clock, no files.  Rounding happens once, where
a record is written (`exporters.record`).  What cannot be priced is named in `reasons` and left out
of the sum; it never counts as zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from pricing.cause import Cause
from pricing.reason import Effect
from pricing.tariff import EXACT
from pricing.usage import Meter, Quantity

# What was used before this call, by counter: `gemini/day.grounding` → 1,499.  A counter that is
# missing is unknown, which is not 0.
Counters = Mapping[str, Quantity]
NO_COUNTERS: Counters = MappingProxyType({})


class Status(StrEnum):
    """How far a charge can be trusted."""

    EXACT = "exact"  # what the provider bills, by its price list or as it reported
    ESTIMATED = "estimated"  # complete, but based on a quantity or a fact that is not certain
    PARTIAL = "partial"  # a lower bound: something that is billed has no known price
    UNPRICED = "unpriced"  # no known usage, or no tariff
    NOT_BILLED = "not_billed"  # the provider does not charge this call


# The best status of a charge for which a reason of this effect was given.
AT_BEST: Mapping[Effect, Status] = MappingProxyType(
    {
        Effect.NONE: Status.EXACT,
        Effect.FREE: Status.EXACT,
        Effect.GUESS: Status.ESTIMATED,
        Effect.MISSING: Status.PARTIAL,
        Effect.UNKNOWN: Status.UNPRICED,
    }
)
_ORDER = (Status.EXACT, Status.ESTIMATED, Status.PARTIAL, Status.UNPRICED)


class ChargeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One meter's share of a charge: `usd == quantity * rate * product of factors / per`."""

    subcall: int  # index into the subcalls that were priced
    model: str
    meter: Meter
    quantity: Quantity  # as billed: rounded up, or raised to the minimum, where the tariff says so
    rate: Decimal  # list price, before factors, in the currency of the list
    per: Decimal  # the quantity that `rate` is for, e.g. 1,000,000 tokens
    factors: tuple[tuple[str, Decimal], ...] = ()  # name and value; a currency is `fx:CNY`
    usd: Decimal
    rule: str  # file:line of the price
    source: str  # where the price was read


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What a call costs.  `usd` is the sum of `lines`; None if it is unknown.

    The lines of an unknown cost are a floor: what the provider bills if it bills the call at all.
    """

    usd: Decimal | None
    status: Status
    reasons: tuple[Cause, ...] = ()
    lines: tuple[ChargeLine, ...] = ()
    tariff: str = ""  # provider/model@start of each tariff used, and the hash of the book
    reported_usd: Decimal | None = None  # what the provider said it costs
    counts: Counters = msgspec.field(
        default_factory=dict
    )  # what this call adds to each counter it moved
    # What it would have cost more without caches, and outside of a batch; None: unknown.
    saved_cache_usd: Decimal | None = None
    saved_batch_usd: Decimal | None = None

    @property
    def drift_usd(self) -> Decimal | None:
        """The reported cost less the computed one; None if there is nothing to compare.

        Anything but 0 means that a price changed, or that the bill holds something we do not know.
        """
        if self.reported_usd is None or self.usd is None:
            return None
        computed = [line.usd for line in self.lines if line.meter is not Meter.REPORTED_USD]
        if not computed:
            return None
        return EXACT.subtract(self.reported_usd, total(computed))


def total(amounts: Sequence[Decimal]) -> Decimal:
    """The exact sum; 0 of nothing."""
    usd = Decimal(0)
    for amount in amounts:
        usd = EXACT.add(usd, amount)
    return usd


def allowed(causes: Iterable[Cause], *, priced: bool) -> Status:
    """The best status that a charge with these reasons can have.

    `priced` says whether anything has a price: what has none then makes the sum a lower bound.
    """
    statuses = (AT_BEST[cause.reason.effect] for cause in causes)
    worst = max(statuses, key=_ORDER.index, default=Status.EXACT)
    return Status.PARTIAL if priced and worst is Status.UNPRICED else worst


def lowered(charge: Charge, causes: Iterable[Cause]) -> Charge:
    """`charge` with the status that these reasons allow, or the one it has if that is worse."""
    if charge.status is Status.NOT_BILLED:
        return charge
    best = allowed(causes, priced=charge.status is not Status.UNPRICED)
    worse = _ORDER.index(best) > _ORDER.index(charge.status)
    return replace(charge, status=best) if worse else charge


def not_billed(*causes: Cause) -> Charge:
    """The charge of a call that the provider does not bill, such as a poll or an error.

    Raises ValueError if no cause says why: a call is never free by default.
    """
    if not any(cause.reason.effect is Effect.FREE for cause in causes):
        raise ValueError(f"no reason says why the call is free: {', '.join(map(str, causes))}")
    nothing = Decimal(0)
    return Charge(
        usd=nothing,
        status=Status.NOT_BILLED,
        reasons=causes,
        saved_cache_usd=nothing,
        saved_batch_usd=nothing,
    )


def line_document(line: ChargeLine) -> dict[str, object]:
    """A charge line as JSON; numbers are exact decimal text."""
    return {
        "subcall": line.subcall,
        "model": line.model,
        "meter": line.meter.value,
        "quantity": plain(line.quantity),
        "rate": plain(line.rate),
        "per": plain(line.per),
        "factors": {name: plain(value) for name, value in line.factors},
        "usd": plain(line.usd),
        "rule": line.rule,
        "source": line.source,
    }


def plain(number: Decimal | int) -> str:
    """Digits without exponent and without trailing zeros."""
    if isinstance(number, int):
        return str(number)
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
