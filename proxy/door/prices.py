"""What a request would cost each candidate, by the tariffs."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from pricing.bill import price
from pricing.book import TariffBook
from pricing.charge import Status
from pricing.usage import Meter, Subcall, Usage
from proxy.gateway.facts import Facts
from proxy.gateway.filters import Route
from proxy.gateway.live import Condition, Rates
from proxy.gateway.options import CandidateOptions

OUTPUT_USUAL = 500  # tokens that an answer is taken to have, if the request states no limit
WHOLE = (Status.EXACT, Status.ESTIMATED)
WRITES = (Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE, Meter.INPUT)  # the first that has a price


def conditions(route: Route, facts: Facts, book: TariffBook, at: datetime) -> tuple[Condition, ...]:
    """What is known of the candidates before any call: prices alone."""
    return tuple(
        Condition(usd=usd(one.options, facts, book, at), rates=rates(one.options, facts, book, at))
        for one in route.candidates
    )


def usd(one: CandidateOptions, facts: Facts, book: TariffBook, at: datetime) -> Decimal | None:
    """The price of this request with nothing cached; None unless all of it has a price."""
    answer = min(facts.max_tokens or OUTPUT_USUAL, OUTPUT_USUAL)
    return _usd(one, {Meter.INPUT: facts.input_tokens, Meter.OUTPUT: answer}, book, at)


def rates(one: CandidateOptions, facts: Facts, book: TariffBook, at: datetime) -> Rates | None:
    """USD a token at this length of prompt; None if the tariff lacks one of them."""
    size = max(facts.input_tokens, 1)

    def each(meter: Meter) -> Decimal | None:
        found = _usd(one, {meter: size}, book, at)
        return None if found is None else found / size

    written = (each(meter) for meter in WRITES)
    write = next((rate for rate in written if rate is not None), None)
    read, output = each(Meter.CACHE_READ), each(Meter.OUTPUT)
    if read is None or write is None or output is None:
        return None
    return Rates(read=read, write=write, output=output)


def _usd(
    one: CandidateOptions, quantities: Mapping[Meter, int], book: TariffBook, at: datetime
) -> Decimal | None:
    call = Subcall(provider=one.provider, model=one.model, at=at, usage=Usage(quantities))
    charge = price([call], book)
    return charge.usd if charge.status in WHOLE else None
