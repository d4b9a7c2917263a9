"""What a call saved: by tokens read from a cache, and by being in a batch.

Both are differences between two prices of the same usage by the same tariff.  One whose other price
is unknown is None; it is 0 only where nothing was cached, or where the call was in no batch.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from pricing.charge import Charge, ChargeLine, Status, total
from pricing.charge_line import RatedSubcall, cost
from pricing.tariff import EXACT, Rate, Selection
from pricing.terms import Term, service_tier
from pricing.usage import UNCACHED, Meter, Origin, Subcall, Usage

WHOLE = (Status.EXACT, Status.ESTIMATED)  # what a charge is that lacks nothing
BATCH = "batch"

# Name and value of the currency of a rate, () for US dollars, None if its value is unknown.
Currency = Callable[[Rate], tuple[tuple[str, Decimal], ...] | None]


def is_cached(usage: Usage) -> bool:
    """Whether any token was read from a cache, or written to one."""
    return not UNCACHED.keys().isdisjoint(usage.quantities)


def uncached(usage: Usage) -> Decimal | None:
    """What a usage saves of which no price is known: 0 if its provider states that it saves none.

    A count of our own says nothing about caches.
    """
    return Decimal(0) if usage.origin is Origin.REPORTED and not is_cached(usage) else None


def by_cache(
    part: RatedSubcall, rates: Selection, lines: Sequence[ChargeLine], currency: Currency
) -> Decimal | None:
    """What the cached tokens of `lines` would have cost as plain input, less what they cost.

    Negative if more was spent on writing to the cache than was gained by reading from it.  None if
    a rate is missing, or depends on more than these tokens: on a volume, on a least charge.
    """
    usage = part.subcall.usage
    if not is_cached(usage):
        return uncached(usage)
    if part.tariff.minimum_usd is not None:
        return None
    saved = Decimal(0)
    for meter, quantity in usage.quantities.items():
        if meter not in UNCACHED:
            continue
        paid = [line.usd for line in lines if line.meter is meter]
        rate = rates.rate(UNCACHED[meter])
        if not paid or rate is None or not rate.linear or (in_usd := currency(rate)) is None:
            return None
        plain = cost(quantity, rate, currency=in_usd)
        saved = EXACT.add(saved, EXACT.subtract(plain, total(paid)))
    return saved


def in_batch(subcall: Subcall) -> bool:
    """Whether a subcall was served as part of a batch."""
    terms = subcall.terms
    if terms.get(Term.PROCESSING) == BATCH:
        return True
    tier = terms.get(Term.SERVICE_TIER)
    return tier is not None and service_tier(str(tier)) == BATCH


def synchronous(subcall: Subcall) -> Subcall:
    """The same subcall, if it had been made by itself."""
    if not in_batch(subcall):
        return subcall
    kept = {
        name: value
        for name, value in subcall.terms.items()
        if name not in (Term.PROCESSING, Term.SERVICE_TIER)
    }
    return replace(subcall, terms=kept)


def by_batch(charge: Charge, alone: Charge) -> Decimal | None:
    """What `alone` costs more than `charge`; None unless both are known, and by tariffs alone."""
    known = charge.status in WHOLE and alone.status in WHOLE
    if not known or charge.usd is None or alone.usd is None:
        return None
    if any(line.meter is Meter.REPORTED_USD for line in charge.lines):
        return None
    return EXACT.subtract(alone.usd, charge.usd)
