"""Options about bills: how a provider's statement is read, and what is paid beside calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceOptions:
    """The bill of a provider, for `taximeter reconcile`; docs/invoice.md."""

    name: str  # of the provider
    key: str = field(default="", repr=False)  # of its usage and cost API, or env:NAME
    base_url: str = ""  # of that API, if it is not the usual one
    models: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # theirs: ours
    keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # ours: theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedCostOptions:
    """What is paid however much is called; docs/invoice.md.  Spread over `calls`, beside billed."""

    name: str
    usd: Decimal = Decimal(0)
    per: str = "month"  # hour | day | month | year
    quantity: Decimal = Decimal(1)  # of seats, units of throughput, GPUs
    since: str = ""  # the first day (UTC), and the last; "": without end
    until: str = ""
    calls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # {}: all
    spread: str = "tokens"  # tokens | calls | time | list: by what calls share it
