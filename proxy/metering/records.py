"""From an exchange to its records: reading → usage → charge → record.

Pure, except for `claim`, which remembers which batch items were charged, and `volumes`, which knows
what was used before.  Nothing here raises: if anything fails, the row of the call says so.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec.structs import replace

from exporters.otel.trace import ids_of
from exporters.record import Record
from pricing import Charge, Status, Subcall, TariffBook
from pricing.reason import Effect, Reason
from proxy.exchange import Exchange, Outcome, Part, Reading
from proxy.gateway.failures import Fault, What, what
from proxy.metering.charges import basis_of, counted, cut_short, subcalls_of
from proxy.metering.payers import access_of, free, priced
from proxy.metering.receipts import Basis, Priced
from proxy.metering.rows import row
from proxy.metering.volumes import NO_VOLUMES, Volumes
from proxy.settings.config import Config
from proxy.tokens.audit import audit

log = logging.getLogger(__name__)

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
        """The rows of a call: those of its batch items, if any, then its own."""
        try:
            return (*self._items(exchange), self._own(exchange))
        except Exception:
            log.exception("Call %s could not be metered.", exchange.begun.call_id)
            reading = replace(exchange.reading, parts=(), count=None)
            reasons = (*reading.reasons, Reason.METERING_FAILED)
            charge = Charge(usd=None, status=Status.UNPRICED, reasons=reasons)
            exchange = replace(exchange, reading=reading)
            return (row(exchange, Priced(charge, charge), (), basis_of(reading), self.config),)

    def _own(self, exchange: Exchange) -> Record:
        provider = self.config.providers.get(exchange.begun.provider)
        own = self._without_items(exchange)
        if exchange.head is None and not exchange.ended.sent:
            own = replace(own, billable=False, parts=(), count=None, reasons=(_not_sent(exchange),))
        if _may_be_billed(exchange):
            own = replace(own, billable=True, parts=(), reasons=(Reason.NO_RESPONSE,))
        own = counted(own, exchange.begun.provider, self.config)
        subcalls = subcalls_of(exchange, own.parts, provider)
        basis = basis_of(own, access_of(exchange, provider, self.book))
        basis = replace(basis, cut_short=cut_short(exchange))
        if not own.billable:
            found = free(*own.reasons)
        else:
            found, basis = self._priced(subcalls, basis)
        record = row(replace(exchange, reading=own), found, subcalls, basis, self.config)
        if (tokens := audit(own, exchange.begun.provider)) is None:
            return record
        counted_in, counted_out = tokens
        return msgspec.structs.replace(
            record, counted_input_tokens=counted_in, counted_output_tokens=counted_out
        )

    def _priced(self, subcalls: Sequence[Subcall], basis: Basis) -> tuple[Priced, Basis]:
        """The price, and its basis with what was used before; then counts the call as used."""
        with self.volumes.passing(subcalls) as passing:
            basis = replace(basis, counters=passing.before)
            found = priced(subcalls, basis, self.book)
            passing.add(found.charge.counts)
        return found, basis

    def _without_items(self, exchange: Exchange) -> Reading:
        """The reading with only what this call itself is charged for, which may be nothing."""
        reading = exchange.reading
        own = tuple(part for part in reading.parts if part.item in ("", reading.response_id))
        if reading.parts and not own:
            reasons = (*reading.reasons, Reason.BILLED_BY_ITEM)
            return replace(reading, parts=(), billable=_items_lost(reading), reasons=reasons)
        shown = {part.item for part in own} - {""}
        if shown and not self.claim(exchange.begun.provider, list(shown), exchange.source):
            reasons = (*reading.reasons, Reason.FETCHED_AGAIN)
            return replace(reading, parts=(), billable=False, reasons=reasons)
        return replace(reading, parts=own)

    def _items(self, exchange: Exchange) -> list[Record]:
        """Rows of the batch items that no call showed before; any call gives them the same ids."""
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
            reported_usd=None,  # if any, it is that of the whole batch
            reasons=part.reasons,
        )
        subcalls = subcalls_of(exchange, (part,), provider)
        basis = basis_of(reading, access_of(exchange, provider, self.book))
        found, basis = self._priced(subcalls, basis)
        exchange = replace(exchange, reading=reading)
        record = row(exchange, found, subcalls, basis, self.config)
        name = f"taximeter:{exchange.begun.provider}:{part.item}"
        return msgspec.structs.replace(
            record,
            call_id=str(uuid5(NAMESPACE_URL, name)),
            trace_id=ids_of(record).trace_id,  # of the call that fetched it
            span_id=uuid5(NAMESPACE_URL, f"{name}:span").hex[:16],
            source=f"{exchange.source}:{part.item}",
            tags={**record.tags, "batch_item": part.item},
            in_flight=None,  # when its result was fetched, which says nothing
            retry_after_s=None,
        )


def _not_sent(exchange: Exchange) -> Reason:
    """Why nothing was sent."""
    if exchange.ended.outcome is not Outcome.REFUSED:
        return Reason.UNREACHABLE
    note = exchange.begun.gateway
    return Reason.GIVEN_UP if note and not note.candidate else Reason.REFUSED_BY_BUDGET


def _may_be_billed(exchange: Exchange) -> bool:
    """Whether an error of the gateway's attempt leaves open if it was processed: a 502, a 504."""
    if exchange.begun.gateway is None or exchange.head is None or exchange.head.status < 400:
        return False
    return what(Fault(status=exchange.head.status)) is What.AMBIGUOUS


def _items_lost(reading: Reading) -> bool:
    """Whether something besides the items that were read may be billed."""
    of_items = {cause.reason for part in reading.parts for cause in part.reasons}
    others = {cause.reason for cause in reading.reasons} - of_items
    return any(reason.effect in (Effect.MISSING, Effect.UNKNOWN) for reason in others)
