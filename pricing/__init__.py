"""What a call costs: pure, exact, and never zero because a price is missing."""

from pricing.bill import price
from pricing.book import TariffBook
from pricing.charge import NO_COUNTERS, Charge, ChargeLine, Counters, Status, not_billed
from pricing.sheet.entry import TariffError
from pricing.tariff import Tariff
from pricing.terms import Term
from pricing.usage import NO_TERMS, Meter, Origin, Quantity, Subcall, Terms, Usage

__all__ = [
    "NO_COUNTERS",
    "NO_TERMS",
    "Charge",
    "ChargeLine",
    "Counters",
    "Meter",
    "Origin",
    "Quantity",
    "Status",
    "Subcall",
    "Tariff",
    "TariffBook",
    "TariffError",
    "Term",
    "Terms",
    "Usage",
    "not_billed",
    "price",
]
