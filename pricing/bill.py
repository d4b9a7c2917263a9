"""Adds up a call: `price` finds the tariff of each subcall and the rate of each meter."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from msgspec.structs import replace

from pricing.book import TariffBook
from pricing.cause import Reasons, about
from pricing.charge import NO_COUNTERS, Charge, ChargeLine, Counters, Status, allowed, total
from pricing.charge_line import RatedSubcall, billed, reported_line, too_large
from pricing.condition import AT
from pricing.reason import Reason
from pricing.savings import BATCH, WHOLE, by_batch, by_cache, in_batch, synchronous, uncached
from pricing.steps import Positions
from pricing.tariff import EXACT, FREE_UNLESS_NAMED, Rate, Selection, Tariff
from pricing.terms import Term, service_tier
from pricing.usage import (
    METER_ORDER,
    TOKEN_METERS,
    UNCACHED,
    Meter,
    Origin,
    Quantity,
    Subcall,
    TermValue,
)

_COUNTED = {
    Origin.COUNTED: Reason.USAGE_COUNTED,
    Origin.ESTIMATED: Reason.USAGE_ESTIMATED,
    Origin.NONE: Reason.NO_USAGE,
}
_Special = tuple[Meter, Quantity, Rate]


def price(
    subcalls: Sequence[Subcall],
    book: TariffBook,
    *,
    reported_usd: Decimal | None = None,
    counters: Counters = NO_COUNTERS,
) -> Charge:
    """What a call of these parts costs by `book`, each part by its own model and terms.

    `reported_usd` is the cost that the provider itself stated; where its tariffs say `prefer =
    "reported"` it is the charge, else it is kept beside it.  `counters` holds what was used before
    this call, for prices by volume and free allowances.  Odd usage or terms never make it raise.
    """
    bill = _Bill(book, counters, nothing_saved=Decimal(0) if subcalls else None)
    states_requests = any(Meter.REQUESTS in subcall.usage.quantities for subcall in subcalls)
    for index, subcall in enumerate(subcalls):
        bill.add(index, subcall, counts_request=index == 0 and not states_requests)
    if not subcalls:
        bill.reasons.add(Reason.NO_USAGE)
    if reported_usd is not None and not (reported_usd.is_finite() and reported_usd >= 0):
        bill.reasons.add(about(Reason.ODD_REPORTED_COST, str(reported_usd)))
        reported_usd = None
    provider = subcalls[0].provider if subcalls else ""
    charge = bill.charge(reported_usd, provider)
    if any(map(in_batch, subcalls)):
        alone = price([synchronous(subcall) for subcall in subcalls], book, counters=counters)
        charge = replace(charge, saved_batch_usd=by_batch(charge, alone))
    return charge


class _Bill:
    """Collects the lines of one call."""

    def __init__(self, book: TariffBook, counters: Counters, nothing_saved: Decimal | None) -> None:
        self.reasons = Reasons()
        self._book = book
        self._positions = Positions(counters)
        self._lines: list[ChargeLine] = []
        self._tariffs: dict[str, None] = {}
        self._nothing_saved = nothing_saved
        self._saved = nothing_saved  # by caches

    def add(self, index: int, subcall: Subcall, *, counts_request: bool) -> None:
        """Price one subcall."""
        usage = subcall.usage
        if usage.origin is not Origin.REPORTED:
            self.reasons.add(_COUNTED[usage.origin])
        if usage.origin is Origin.NONE:
            self._saved = None
            return
        tariff, at = self._tariff(subcall)
        if tariff is None:
            known = self._book.knows(subcall.provider, subcall.model)
            reason = Reason.NO_PRICE_AT_THE_TIME if known else Reason.UNKNOWN_MODEL
            self.reasons.add(about(reason, subcall.model))
            self._save(uncached(usage))
            return
        self._tariffs[tariff.id] = None
        if not tariff.known_at(at):
            self.reasons.add(about(Reason.BEFORE_PRICE_KNOWN, f"{tariff.first_known}"))
        facts = _facts(subcall)
        facts[AT] = at
        self.reasons.add(*tariff.unknown_holidays(at))
        rates = self._selection(tariff, facts)
        unknown = rates.unknown_terms(facts)
        before = len(self._lines)
        quantities = sorted(usage.quantities.items(), key=_by_meter)
        if counts_request and tariff.names_meter(Meter.REQUESTS):
            quantities.append((Meter.REQUESTS, 1))
        if index == 0 and tariff.names_meter(Meter.MACHINE_SECONDS):
            quantities += self._machine_time(subcall)
        self.reasons.add(*unknown)
        if unknown:  # an unknown factor may apply to every token
            quantities = [item for item in quantities if item[0] not in TOKEN_METERS]
        part = RatedSubcall(index, subcall, tariff, at)
        self._price_all(part, rates, quantities)
        self._save(by_cache(part, rates, self._lines[before:], partial(self._currency, at)))
        if tariff.minimum_usd is not None:
            computed = total([line.usd for line in self._lines[before:]])
            if computed < tariff.minimum_usd:
                missing = EXACT.subtract(tariff.minimum_usd, computed)
                self._lines.append(part.minimum_line(missing))

    def _save(self, saved: Decimal | None) -> None:
        if saved is None or self._saved is None:
            self._saved = None
        elif saved:
            self._saved = EXACT.add(self._saved, saved)

    def charge(self, reported_usd: Decimal | None, provider: str) -> Charge:
        """The finished charge."""
        lines, saved = self._lines, self._saved
        status = allowed(self.reasons, priced=bool(self._tariffs))
        usd: Decimal | None = total([line.usd for line in lines])
        if not usd and status not in WHOLE:
            usd = None  # a lower bound of 0 would look free
        reasons = tuple(self.reasons)
        preferred = self._book.prefers_reported(provider)
        nothing_else = usd is None or (not lines and bool(reported_usd))
        if reported_usd is not None and (nothing_else or preferred):
            difference = EXACT.subtract(reported_usd, usd or Decimal(0))
            if difference:
                lines = [*lines, reported_line(difference, provider)]
                saved = None if any(line.meter in UNCACHED for line in lines) else saved
            usd = reported_usd
            status = Status.EXACT if preferred else Status.ESTIMATED
            reasons = () if preferred else (*reasons, Reason.REPORTED_COST_ONLY)
        tariff = ",".join(self._tariffs)
        return Charge(
            usd=usd,
            status=status,
            reasons=reasons,
            lines=tuple(lines),
            tariff=f"{tariff}#{self._book.version}" if tariff else "",
            reported_usd=reported_usd,
            counts=self._positions.moved,
            saved_cache_usd=saved,
            saved_batch_usd=self._nothing_saved,
        )

    def _machine_time(self, subcall: Subcall) -> list[tuple[Meter, Quantity]]:
        """The seconds that the call took: only tariffs that charge them ask."""
        completed = subcall.terms.get(Term.COMPLETED_AT)
        if not isinstance(completed, datetime) or completed <= subcall.at:
            self.reasons.add(Reason.MACHINE_TIME_UNKNOWN)
            return []
        took = Decimal((completed - subcall.at) // timedelta(microseconds=1))
        return [(Meter.MACHINE_SECONDS, took.scaleb(-6))]

    def _tariff(self, subcall: Subcall) -> tuple[Tariff | None, datetime]:
        at = subcall.at
        tariff = self._book.find(subcall.provider, subcall.model, at)
        if tariff is not None and tariff.by_completion:
            completed = subcall.terms.get(Term.COMPLETED_AT)
            if isinstance(completed, datetime):
                at = completed
                tariff = self._book.find(subcall.provider, subcall.model, at)
        return tariff, at

    def _selection(self, tariff: Tariff, facts: dict[str, TermValue]) -> Selection:
        """The rates in force; no tier by prompt length if the length is a sum of prompts."""
        rates = tariff.selection(facts)
        if facts.get(Term.SUMMED_REQUESTS) and Term.MAX_REQUEST_PROMPT_TOKENS not in facts:
            single = tariff.selection({**facts, Term.PROMPT_TOKENS: 0})
            if single is not rates:
                self.reasons.add(Reason.UNKNOWN_PROMPT_LENGTH)
                return single
        return rates

    def _price_all(
        self, part: RatedSubcall, rates: Selection, quantities: Sequence[tuple[Meter, Quantity]]
    ) -> None:
        special: list[_Special] = []
        for meter, quantity in quantities:
            rate = rates.rate(meter)
            if rate is None:
                if meter not in FREE_UNLESS_NAMED or part.tariff.names_meter(meter):
                    self.reasons.add(about(Reason.MISSING_RATE, meter.value))
            elif too_large(quantity):
                self.reasons.add(about(Reason.QUANTITY_TOO_LARGE, meter.value))
            elif rate.plain:
                self._lines.append(part.line(meter, quantity, rate))
            else:
                special.append((meter, billed(quantity, rate), rate))
        self._positions.expect((part.counter(rate), quantity) for _, quantity, rate in special)
        for item in special:
            self._price_special(part, *item)

    def _price_special(
        self, part: RatedSubcall, meter: Meter, quantity: Quantity, rate: Rate
    ) -> None:
        """A price by volume or in another currency, or of a quantity that is rounded up."""
        ladder = rate.rule.ladder
        currency = self._currency(part.at, rate)
        if currency is None:
            self.reasons.add(about(Reason.MISSING_CURRENCY, rate.rule.currency))
            return
        shares = self._positions.split(part.counter(rate), ladder, quantity)
        if shares is None:
            self.reasons.add(about(Reason.UNKNOWN_COUNTER, part.counter(rate)))
            return
        for step, share in shares:
            self._lines.append(part.line(meter, share, rate, step, currency))

    def _currency(self, at: datetime, rate: Rate) -> tuple[tuple[str, Decimal], ...] | None:
        """The factor into US dollars, () if there is none; None: its value then is unknown."""
        code = rate.rule.currency
        if code == "USD":
            return ()
        usd = self._book.usd(code, at)
        return None if usd is None else ((f"fx:{code}", usd),)


def _facts(subcall: Subcall) -> dict[str, TermValue]:
    """The terms by the names that tariffs use, with those that follow from the usage."""
    facts = {name: value for name, value in subcall.terms.items() if value != ""}
    tier = service_tier(str(facts.get(Term.SERVICE_TIER, "standard")))
    if tier == BATCH:
        facts[Term.PROCESSING] = BATCH
        tier = "standard"
    facts[Term.SERVICE_TIER] = tier
    if Term.MAX_REQUEST_PROMPT_TOKENS in facts:
        facts[Term.PROMPT_TOKENS] = facts[Term.MAX_REQUEST_PROMPT_TOKENS]
    elif Term.PROMPT_TOKENS not in facts:
        facts[Term.PROMPT_TOKENS] = subcall.usage.input_tokens
    if Term.OUTPUT_TOKENS not in facts:
        facts[Term.OUTPUT_TOKENS] = subcall.usage.output_tokens
    return facts


def _by_meter(item: tuple[Meter, Quantity]) -> int:
    return METER_ORDER[item[0]]
