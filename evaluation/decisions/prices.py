"""What calls would have cost otherwise, by the tariffs: another model, tier or cache.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from evaluation.decisions.calls import Calls
from pricing.bill import price
from pricing.book import TariffBook
from pricing.charge import Status
from pricing.terms import service_tier
from pricing.usage import INPUT_METERS, TOKEN_METERS, Meter, Quantity, Subcall, TermValue, Usage

METERS = frozenset(meter.value for meter in Meter)
BATCH, STANDARD = "batch", "standard"
Quantities = Mapping[Meter, Quantity]
_WHOLE = (Status.EXACT, Status.ESTIMATED)


def quantities(usage: Mapping[str, Any] | None) -> dict[Meter, Quantity]:
    """The usage of a row, whole quantities as int; nothing of it if a meter in it is unknown."""
    found: dict[Meter, Quantity] = {}
    if not (usage or {}).keys() <= METERS:
        return found
    for name, text in (usage or {}).items():
        number = Decimal(str(text))
        whole = number == number.to_integral_value()
        found[Meter(name)] = int(number) if whole else number
    return found


def uncached(usage: Quantities) -> dict[Meter, Quantity]:
    """The same for a model that has none of it in its cache, and no meter of its own for parts."""
    kept = {meter: number for meter, number in usage.items() if meter not in TOKEN_METERS}
    read = sum(int(number) for meter, number in usage.items() if meter in INPUT_METERS)
    made = sum(
        int(number)
        for meter, number in usage.items()
        if meter in TOKEN_METERS and meter not in INPUT_METERS
    )
    return {**kept, Meter.INPUT: read, Meter.OUTPUT: made}


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of single calls; None where something in them has no price."""

    book: TariffBook

    def usd(
        self, provider: str, model: str, usage: Quantities, at: datetime, tier: str = STANDARD
    ) -> float | None:
        """What a call with this usage costs."""
        terms: dict[str, TermValue] = {}
        if tier == BATCH:
            terms["processing"] = BATCH
        elif tier not in ("", STANDARD):
            terms["service_tier"] = tier
        call = Subcall(provider=provider, model=model, at=at, usage=Usage(usage), terms=terms)
        charge = price([call], self.book)
        known = charge.usd is not None and charge.status in _WHOLE
        return float(charge.usd) if known and charge.usd is not None else None


def at_of(calls: Calls, row: int) -> datetime:
    """When a call began."""
    return datetime.fromtimestamp(int(calls.columns["ts_us"][row]) / 1e6, UTC)


def tier_of(calls: Calls, row: int) -> str:
    """The tier that was served, as tariffs name it."""
    return service_tier(str(calls.columns["service_tier"][row] or "")) or STANDARD
