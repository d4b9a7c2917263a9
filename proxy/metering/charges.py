"""From a reading to the charge of its call.  Pure."""

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from exporters.record import EPOCH
from pricing import Charge, Meter, Origin, Status, Subcall, TariffBook, Usage, price
from pricing.cause import Cause, about
from pricing.charge import lowered
from pricing.plan import NO_ACCESS, Access
from pricing.reason import Reason
from pricing.savings import WHOLE
from pricing.usage import TermValue
from proxy.exchange import Exchange, Outcome, Part, Reading
from proxy.metering.receipts import Basis
from proxy.regions import place_terms
from proxy.settings.config import Config, Provider
from proxy.tokens.tokens import count


def counted(reading: Reading, family: str, config: Config) -> Reading:
    """The reading with counted usage if none was reported, or if a stream broke off.

    What a broken stream had stated is a lower bound: the greater of it and our count is the output.
    """
    reading = _with_stated_cost(reading, count=config.metering.count_tokens)
    if reading.count is None or not reading.billable or not config.metering.count_tokens:
        return reading
    if reading.parts and Reason.USAGE_NOT_FINAL not in reading.reasons:
        return reading
    model = reading.response_model or reading.request_model
    result = count(family, model, reading.count, config.metering.count_bytes_max)
    if not reading.parts:
        parts = (Part(usage=result.usage),)
        return replace(reading, parts=parts, reasons=(*reading.reasons, *result.reasons))
    last = reading.parts[-1]
    missing = result.usage.output_tokens - sum(p.usage.output_tokens for p in reading.parts)
    if missing <= 0:
        return reading
    output = last.usage.quantities.get(Meter.OUTPUT, 0) + missing
    usage = Usage({**last.usage.quantities, Meter.OUTPUT: output}, Origin.ESTIMATED)
    return replace(reading, parts=(*reading.parts[:-1], replace(last, usage=usage)))


def _with_stated_cost(reading: Reading, *, count: bool) -> Reading:
    """A cost that is stated without any usage is still a cost, if only in a gateway's header."""
    silent = Reason.NO_USAGE_STATED in reading.reasons
    counts = count and reading.count is not None
    if not reading.reported_usd or reading.parts or counts or not (reading.billable or silent):
        return reading
    reasons = tuple(cause for cause in reading.reasons if cause is not Reason.NO_USAGE_STATED)
    parts = (Part(usage=Usage(origin=Origin.NONE)),)
    return replace(reading, parts=parts, billable=True, reasons=reasons)


def subcalls_of(
    exchange: Exchange, parts: Sequence[Part], provider: Provider | None
) -> tuple[Subcall, ...]:
    """The parts of a reading with the terms that only the route and the clock know."""
    begun, reading = exchange.begun, exchange.reading
    start = EPOCH + timedelta(microseconds=begun.wall_ns // 1000)  # the row's `ts`, exactly
    terms: dict[str, TermValue] = {
        "endpoint": reading.endpoint,
        "completed_at": start + timedelta(microseconds=exchange.duration_ns // 1000),
    }
    terms |= place_terms(begun.upstream, begun.target, provider)
    model = reading.response_model or reading.request_model
    return tuple(
        Subcall(
            provider=begun.provider,
            model=part.model or model,
            at=start,
            usage=part.usage,
            terms={**terms, **part.terms},
        )
        for part in parts
    )


def basis_of(reading: Reading, access: Access = NO_ACCESS) -> Basis:
    """What the charge depends on besides usage."""
    return Basis(
        access=access,
        asked=reading.request_model,
        served=reading.response_model,
        reasons=reading.reasons,
        reported_usd=reading.reported_usd,
    )


def charged(subcalls: Sequence[Subcall], basis: Basis, book: TariffBook) -> Charge:
    """The charge of a billable call, live or stored."""
    if Reason.ERROR_WITH_USAGE in basis.reasons:
        return Charge(usd=None, status=Status.UNPRICED, reasons=basis.reasons)
    # Counted tokens may stand in for usage that was not reported; if none do, `price` says so.
    doubts = [cause for cause in basis.reasons if cause is not Reason.NO_USAGE]
    charge = lowered(_charge_of(subcalls, basis, book), doubts)
    if charge.saved_batch_usd and charge.status not in WHOLE:
        charge = replace(charge, saved_batch_usd=None)  # something was not read, in either price
    if Reason.NO_RESPONSE in basis.reasons:  # the lines are a floor
        charge = replace(
            charge,
            usd=None,
            status=Status.UNPRICED,
            counts={},
            saved_cache_usd=None,
            saved_batch_usd=None,
        )
    elif basis.cut_short and charge.status is Status.EXACT:
        charge = because(charge, Reason.CUT_SHORT)
    return replace(charge, reasons=tuple(dict.fromkeys((*basis.reasons, *charge.reasons))))


def because(charge: Charge, cause: Cause) -> Charge:
    """`charge` with one more reason, and the status that it allows."""
    return replace(lowered(charge, [cause]), reasons=(*charge.reasons, cause))


def _charge_of(subcalls: Sequence[Subcall], basis: Basis, book: TariffBook) -> Charge:
    if not subcalls:
        return Charge(usd=None, status=Status.UNPRICED, reasons=(Reason.NO_USAGE,))
    charge = price(subcalls, book, reported_usd=basis.reported_usd, counters=basis.counters)
    if charge.usd is not None or not basis.asked:
        return charge
    return _charge_of_asked(charge, subcalls, basis, book)


def _charge_of_asked(
    charge: Charge, subcalls: Sequence[Subcall], basis: Basis, book: TariffBook
) -> Charge:
    """An estimate by the model asked for, if the one that served has no tariff.

    Returns `charge` if that has no price either.  If it only lacks a counter, the charge says so,
    since repricing will then find a price.
    """
    served = basis.served
    if not served or served == basis.asked:
        return charge
    subcalls = [replace(s, model=basis.asked) if s.model == served else s for s in subcalls]
    asked = price(subcalls, book, reported_usd=basis.reported_usd, counters=basis.counters)
    if asked.usd is None:
        waits = [cause for cause in asked.reasons if cause.reason is Reason.UNKNOWN_COUNTER]
        return replace(charge, reasons=tuple(dict.fromkeys((*charge.reasons, *waits))))
    return because(asked, about(Reason.SERVED_MODEL_UNKNOWN, served))


def cut_short(exchange: Exchange) -> bool:
    """Whether a stream broke off, so that what was seen is a lower bound."""
    broken = exchange.ended.outcome in (
        Outcome.CLIENT_GONE,
        Outcome.UPSTREAM_CUT,
        Outcome.TIMED_OUT,
        Outcome.INTERRUPTED,
    )
    return broken and not exchange.reading.complete
