"""From an exchange to its records: reading → usage → charge → record.

Pure but for `claim`, which remembers which batch items were charged, and `volumes`, which knows
what was used before.  Nothing here raises: whatever goes wrong, a call gets a row that says so.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import msgspec

from exporters.record import EPOCH, Record
from pricing import (
    Charge,
    Meter,
    Origin,
    Status,
    Subcall,
    TariffBook,
    Usage,
    not_billed,
    price,
)
from pricing.usage import TermValue
from proxy.exchange import Exchange, Outcome, Part, Reading
from proxy.metering.doubts import doubted
from proxy.metering.rows import Basis, row
from proxy.metering.volumes import NO_VOLUMES, Volumes
from proxy.settings.config import Config, Provider
from proxy.tokens.tokens import count

log = logging.getLogger(__name__)

# OpenAI's regional hosts, https://platform.openai.com/docs/guides/your-data
REGIONAL_HOST = re.compile(r"^(eu|us)\.api\.openai\.com$")
# Vertex names the region in the path, https://cloud.google.com/vertex-ai/docs/reference/rest
LOCATION = re.compile(r"/projects/[^/]+/locations/([a-z0-9-]+)/")

Claim = Callable[[str, Sequence[str], str], set[str]]


@dataclass(frozen=True, slots=True)
class Metering:
    """Turns exchanges into records.

    `claim(provider, items, source)` returns the batch items that this call is the first to show.
    """

    config: Config
    book: TariffBook
    claim: Claim
    volumes: Volumes = NO_VOLUMES

    def records(self, exchange: Exchange) -> Sequence[Record]:
        """The rows of a call: those of its batch items, if any, then its own, which is last."""
        try:
            return (*self._items(exchange), self._own(exchange))
        except Exception:
            log.exception("Call %s could not be metered.", exchange.begun.call_id)
            reading = replace(exchange.reading, parts=(), count=None)
            charge = Charge(usd=None, status=Status.UNPRICED, reasons=("metering_failed",))
            exchange = replace(exchange, reading=reading)
            return (row(exchange, charge, (), basis_of(reading), self.config),)

    def _own(self, exchange: Exchange) -> Record:
        provider = self.config.providers.get(exchange.begun.provider)
        own = self._without_items(exchange)
        own = counted(own, exchange.begun.provider, self.config)
        subcalls = subcalls_of(exchange, own.parts, provider)
        basis = replace(basis_of(own), cut_short=cut_short(exchange))
        if exchange.ended.outcome is Outcome.UNREACHABLE:
            charge = not_billed("unreachable")  # the provider never saw the call
        elif not own.billable:
            charge = not_billed()
        else:
            charge, basis = self._charged(subcalls, basis)
        return row(replace(exchange, reading=own), charge, subcalls, basis, self.config)

    def _charged(self, subcalls: Sequence[Subcall], basis: Basis) -> tuple[Charge, Basis]:
        """The charge, and its basis with what was used before; the call then counts as used."""
        with self.volumes.passing(subcalls) as passing:
            basis = replace(basis, counters=passing.before)
            charge = charged(subcalls, basis, self.book)
            passing.add(charge.counts)
        return charge, basis

    def _without_items(self, exchange: Exchange) -> Reading:
        """The reading with what this call itself is charged for, which may be nothing."""
        reading = exchange.reading
        own = tuple(part for part in reading.parts if part.item in ("", reading.response_id))
        if reading.parts and not own:
            reasons = (*reading.reasons, "billed_by_item")
            return replace(reading, parts=(), billable=False, reasons=reasons)
        shown = {part.item for part in own} - {""}
        if shown and not self.claim(exchange.begun.provider, list(shown), exchange.source):
            reasons = (*reading.reasons, "fetched_again")
            return replace(reading, parts=(), billable=False, reasons=reasons)
        return replace(reading, parts=own)

    def _items(self, exchange: Exchange) -> list[Record]:
        """Rows of the batch items that no call showed before; their ids do not depend on it."""
        whole = ("", exchange.reading.response_id)
        parts = {part.item: part for part in exchange.reading.parts if part.item not in whole}
        if not parts:
            return []
        name = exchange.begun.provider
        new = self.claim(name, list(parts), exchange.source)
        return [self._item(exchange, part) for item, part in parts.items() if item in new]

    def _item(self, exchange: Exchange, part: Part) -> Record:
        provider = self.config.providers.get(exchange.begun.provider)
        reading = replace(
            exchange.reading,
            parts=(part,),
            billable=True,
            response_model=part.model,
            reported_usd=None,  # that of the whole batch, if any
            reasons=(),
        )
        subcalls = subcalls_of(exchange, (part,), provider)
        charge, basis = self._charged(subcalls, basis_of(reading))
        record = row(replace(exchange, reading=reading), charge, subcalls, basis, self.config)
        name = f"taximeter:{exchange.begun.provider}:{part.item}"
        return msgspec.structs.replace(
            record,
            call_id=str(uuid5(NAMESPACE_URL, name)),
            span_id=uuid5(NAMESPACE_URL, f"{name}:span").hex[:16],
            source=f"{exchange.source}:{part.item}",
            tags={**record.tags, "batch_item": part.item},
        )


def counted(reading: Reading, family: str, config: Config) -> Reading:
    """The reading with counted usage where none was reported, or where a stream broke off.

    What a broken stream had stated is a lower bound; of output the greater of it and our count is
    taken.
    """
    if reading.count is None or not reading.billable or not config.metering.count_tokens:
        return reading
    if reading.parts and "usage_not_final" not in reading.reasons:
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


def subcalls_of(
    exchange: Exchange, parts: Sequence[Part], provider: Provider | None
) -> tuple[Subcall, ...]:
    """The parts of a reading with what only the route and the clock know."""
    begun, reading = exchange.begun, exchange.reading
    start = EPOCH + timedelta(microseconds=begun.wall_ns // 1000)  # the row's `ts`, exactly
    terms: dict[str, TermValue] = {
        "endpoint": reading.endpoint,
        "completed_at": start + timedelta(microseconds=exchange.duration_ns // 1000),
    }
    host = urlsplit(begun.upstream).hostname or ""
    if regional := REGIONAL_HOST.match(host) or LOCATION.search(begun.target):
        terms["region"] = regional[1]
    if provider and provider.region:
        terms["region"] = provider.region
    if provider and provider.deployment:
        terms["deployment"] = provider.deployment
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


def basis_of(reading: Reading) -> Basis:
    """What the reading says besides usage that the charge depends on."""
    return Basis(
        asked=reading.request_model,
        served=reading.response_model,
        reasons=reading.reasons,
        reported_usd=reading.reported_usd,
    )


def charge_of(reading: Reading, subcalls: Sequence[Subcall], book: TariffBook) -> Charge:
    """What a call costs: nothing if nobody bills it, unknown if nothing is known of its usage."""
    return charged(subcalls, basis_of(reading), book) if reading.billable else not_billed()


def charged(subcalls: Sequence[Subcall], basis: Basis, book: TariffBook) -> Charge:
    """The charge of a billable call; the same for a stored call as for a live one."""
    charge = doubted(_charge_of(subcalls, basis, book), basis.reasons)
    if not basis.cut_short or charge.status is not Status.EXACT:
        return charge
    return replace(charge, status=Status.ESTIMATED, reasons=(*charge.reasons, "cut_short"))


def _charge_of(subcalls: Sequence[Subcall], basis: Basis, book: TariffBook) -> Charge:
    if not subcalls:
        return Charge(usd=None, status=Status.UNPRICED, reasons=("no_usage",))
    charge = price(subcalls, book, reported_usd=basis.reported_usd, counters=basis.counters)
    if charge.usd is not None or not basis.asked:
        return charge
    return _charge_of_asked(charge, subcalls, basis, book)


def _charge_of_asked(
    charge: Charge, subcalls: Sequence[Subcall], basis: Basis, book: TariffBook
) -> Charge:
    """By the model asked for, where the one served is in no tariff: an estimate.

    `charge` if that has no price either; what only a counter keeps from having one says so, since
    pricing it again will find one.
    """
    served = basis.served
    if not served or served == basis.asked:
        return charge
    subcalls = [replace(s, model=basis.asked) if s.model == served else s for s in subcalls]
    asked = price(subcalls, book, reported_usd=basis.reported_usd, counters=basis.counters)
    if asked.usd is None:
        waits = [reason for reason in asked.reasons if reason.startswith("unknown_counter:")]
        return replace(charge, reasons=tuple(dict.fromkeys((*charge.reasons, *waits))))
    status = Status.ESTIMATED if asked.status is Status.EXACT else asked.status
    return replace(asked, status=status, reasons=(*asked.reasons, f"served_model_unknown:{served}"))


def cut_short(exchange: Exchange) -> bool:
    """Whether a stream broke off: it has made at least what was seen, a lower bound."""
    broken = exchange.ended.outcome in (
        Outcome.CLIENT_GONE,
        Outcome.UPSTREAM_CUT,
        Outcome.TIMED_OUT,
        Outcome.INTERRUPTED,
    )
    return broken and not exchange.reading.complete
