"""What a workload costs, model by model and tier by tier.

A quote is `partial` if the model has no price for something, and such quotes come last, however
low their sum.  Counters of prices by volume start at 0: the workload is all that its month sees.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from pricing.bill import price
from pricing.book import TariffBook
from pricing.charge import Charge, Status
from pricing.near_names import near_names
from pricing.retired import retired_from
from pricing.steps import WITHIN_CALL
from pricing.tariff import EXACT, Tariff
from pricing.usage import Meter, Subcall, TermValue, Usage

STANDARD, BATCH = "standard", "batch"
PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`calls` calls, each of which uses `quantities`, at one instant."""

    quantities: Mapping[Meter, int]
    calls: int
    at: datetime
    tiers: Sequence[str] = (STANDARD,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What the workload costs with one model in one tier; `first` is its first call."""

    provider: str
    model: str
    tier: str
    usd: Decimal | None
    first: Charge

    @property
    def whole(self) -> bool:
        """Whether everything in it has a price."""
        return self.first.status in (Status.EXACT, Status.ESTIMATED)

    @property
    def order(self) -> tuple[bool, bool, Decimal, str, str, str]:
        """Complete quotes by price, then incomplete ones, then those without any price."""
        unknown = self.usd is None
        return not self.whole, unknown, self.usd or Decimal(0), self.provider, self.model, self.tier


def workload(
    tokens: tuple[int, int], cached: Decimal, uses: Iterable[str], calls: int, at: datetime
) -> Workload:
    """What one call uses: `tokens` in and out, of those in the share `cached` from a cache.

    `uses` adds meters, as `METER=QUANTITY`.  Raises ValueError that says what is wrong.
    """
    if not 0 <= cached <= 1:
        raise ValueError("--cached must be between 0 and 1, or 0% and 100%")
    if calls < 1 or min(tokens) < 0:
        raise ValueError("--calls must be 1 or more, and token counts 0 or more")
    read = int(tokens[0] * cached)
    quantities = {
        Meter.INPUT: tokens[0] - read,
        Meter.CACHE_READ: read,
        Meter.OUTPUT: tokens[1],
    }
    for use in uses:
        name, _, number = use.partition("=")
        if name not in {meter.value for meter in Meter} or not number.isdecimal():
            raise ValueError(f"{use}: write METER=NUMBER, such as calls.web_search=2")
        quantities[Meter(name)] = quantities.get(Meter(name), 0) + int(number)
    return Workload(quantities=quantities, calls=calls, at=at)


def quotes(book: TariffBook, models: Iterable[tuple[str, str]], work: Workload) -> list[Quote]:
    """What `work` costs with each of (provider, model), cheapest first."""
    found = [_quote(book, *model, tier, work) for model in models for tier in work.tiers]
    return sorted(found, key=lambda quote: quote.order)


def models(
    book: TariffBook,
    wanted: Iterable[str],
    providers: Iterable[str],
    at: datetime,
    *,
    retired: bool = False,
) -> list[tuple[str, str]]:
    """(provider, model) of each `[PROVIDER/]MODEL`, and of all that `providers` sell at `at`.

    Of these, `retired` models are left out unless asked for.  Raises ValueError for a name that has
    no price, or none yet at that instant.
    """
    known = sorted(book.providers)
    found: dict[tuple[str, str], None] = {}
    for name in wanted:
        pairs = [
            (provider, name.removeprefix(f"{provider}/"))
            for provider in known
            if "/" not in name or name.startswith(f"{provider}/")
        ]
        sold = [pair for pair in pairs if book.knows(*pair)]
        if not sold:
            raise ValueError(_unknown(book, name))
        priced = [pair for pair in sold if _has_price(book, *pair, at)]
        if not priced:
            raise ValueError(_not_then(book, name, sold, at))
        found |= dict.fromkeys(priced)
    for provider in providers:
        if provider not in known:
            raise ValueError(f"{provider} has no tariffs; providers that do: {', '.join(known)}")
        sold = [(provider, name) for name in _sold(book, provider, at)]
        found |= dict.fromkeys(pair for pair in sold if retired or _is_served(book, pair, at))
    return list(found)


def _unknown(book: TariffBook, name: str) -> str:
    """That a name has no price, with the similar ones that have."""
    provider, slash, model = name.partition("/")
    if not slash or provider not in book.providers:
        provider, model = "", name
    near = near_names(book, provider, model)
    hint = f"did you mean {' or '.join(near)}?" if near else "see `taximeter tariffs list`"
    return f"no price is known for {name}; {hint}"


def _has_price(book: TariffBook, provider: str, model: str, at: datetime) -> bool:
    """Whether a price is known for that instant; an earlier one would be a guess."""
    tariff = book.find(provider, model, at)
    if tariff is None:
        return False
    return tariff.first_known is None or at.date() >= tariff.first_known


def _not_then(book: TariffBook, name: str, sold: Iterable[tuple[str, str]], at: datetime) -> str:
    """That a model has prices, but none at that instant, and since when it has."""
    days = [
        tariff.first_known
        for provider, model in sold
        for tariff in book.tariffs_of(provider)
        if model in tariff.names and tariff.first_known is not None
    ]
    later = min((day for day in days if day >= at.date()), default=None)
    hint = f"; its prices are known from {later}" if later else ""
    return f"{name} has no price at {at:%Y-%m-%dT%H:%MZ}{hint}"


def _is_served(book: TariffBook, pair: tuple[str, str], at: datetime) -> bool:
    """Whether a model is not known to be retired; one with a price of the user's own is not."""
    day = retired_from(*pair)
    return day is None or at.date() < day or book.names_own(*pair)


def _sold(book: TariffBook, provider: str, at: datetime) -> Iterator[str]:
    """The first plain name of each tariff in force."""
    for tariff in book.tariffs_of(provider):
        name = next((name for name in tariff.names if not PATTERN & set(name)), "")
        if name and _has_price(book, provider, name, at):
            yield name


def _quote(book: TariffBook, provider: str, model: str, tier: str, work: Workload) -> Quote:
    terms: dict[str, TermValue] = {}
    if tier == BATCH:
        terms["processing"] = BATCH
    elif tier != STANDARD:
        terms["service_tier"] = tier
    usage = Usage(work.quantities)
    call = Subcall(provider=provider, model=model, at=work.at, usage=usage, terms=terms)
    tariff = book.find(provider, model, work.at)
    used = {f"{provider}/{name}": Decimal(0) for name in _counters(tariff)}
    first = price([call], book, counters=used)
    usd = first.usd
    if usd is not None:
        usd = Decimal(0)
        for number, calls in _stretches(tariff, first, work.calls, provider):
            before = {name: EXACT.multiply(first.counts.get(name, 0), number) for name in used}
            one = price([call], book, counters=before).usd or Decimal(0)
            usd = EXACT.add(usd, EXACT.multiply(one, calls))
    return Quote(provider=provider, model=model, tier=tier, usd=usd, first=first)


def _counters(tariff: Tariff | None) -> set[str]:
    ladders = (rule.ladder for rule in (tariff.rules if tariff else ()))
    return {ladder.counter for ladder in ladders if ladder} - {WITHIN_CALL}


def _stretches(
    tariff: Tariff | None, first: Charge, calls: int, provider: str
) -> Iterator[tuple[int, int]]:
    """(index of the first call, how many) of each run of calls that cost the same.

    The price only changes at the call that crosses a step, and after it.
    """
    edges = {0, calls}
    for rule in tariff.rules if tariff else ():
        if rule.ladder is not None:
            each = Decimal(first.counts.get(f"{provider}/{rule.ladder.counter}", 0))
            for step in rule.ladder.steps[1:] if each else ():
                crossing = int(step // each)
                edges |= {edge for edge in (crossing, crossing + 1) if edge < calls}
    ordered = sorted(edges)
    for number, end in pairwise(ordered):
        yield number, end - number
