"""Rates subcalls: `price` finds each one's tariff, and what its rules ask of each meter."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pricing.book import TariffBook
from pricing.charge import NO_COUNTERS, Charge, ChargeLine, Counters, Status, total
from pricing.condition import AT
from pricing.rated import RatedSubcall, billed, reported_line, too_large
from pricing.steps import Positions
from pricing.tariff import EXACT, FREE_UNLESS_NAMED, Rate, Selection, Tariff
from pricing.terms import Term, service_tier
from pricing.usage import (
    METER_ORDER,
    TOKEN_METERS,
    Meter,
    Origin,
    Quantity,
    Subcall,
    TermValue,
)

_COMPLETE = (Status.EXACT, Status.ESTIMATED)
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
    "reported"` it is the charge, else it stands beside it.  `counters` holds what was used before
    this call, for prices by volume and free allowances.  Never raises for odd usage or terms.
    """
    bill = _Bill(book, counters)
    states_requests = any(Meter.REQUESTS in subcall.usage.quantities for subcall in subcalls)
    for index, subcall in enumerate(subcalls):
        bill.add(index, subcall, counts_request=index == 0 and not states_requests)
    if not subcalls:
        bill.reasons["no_usage"] = None
    if reported_usd is not None and not (reported_usd.is_finite() and reported_usd >= 0):
        bill.reasons[f"odd_reported_cost:{reported_usd}"] = None
        reported_usd = None
    provider = subcalls[0].provider if subcalls else ""
    return bill.charge(reported_usd, provider)


class _Bill:
    """Collects the lines of one call."""

    def __init__(self, book: TariffBook, counters: Counters) -> None:
        self.reasons: dict[str, None] = {}  # ordered, each once
        self._book = book
        self._positions = Positions(counters)
        self._lines: list[ChargeLine] = []
        self._tariffs: dict[str, None] = {}
        self._complete = True
        self._certain = True

    def add(self, index: int, subcall: Subcall, *, counts_request: bool) -> None:
        """Price one subcall."""
        usage = subcall.usage
        if usage.origin is Origin.NONE:
            self._lack("no_usage")
            return
        if usage.origin is not Origin.REPORTED:
            self._doubt(f"usage_{usage.origin.value}")
        tariff, at = self._tariff(subcall)
        if tariff is None:
            known = self._book.knows(subcall.provider, subcall.model)
            self._lack(f"{'no_price_at_the_time' if known else 'unknown_model'}:{subcall.model}")
            return
        self._tariffs[tariff.id] = None
        facts = _facts(subcall)
        unknown = tariff.unknown_terms(facts)
        facts[AT] = at
        for reason in tariff.unknown_holidays(at):
            self._doubt(reason)
        rates = self._selection(tariff, facts)
        before = len(self._lines)
        quantities = sorted(usage.quantities.items(), key=_by_meter)
        if counts_request and tariff.names_meter(Meter.REQUESTS):
            quantities.append((Meter.REQUESTS, 1))
        if unknown:  # a factor that we do not know may be on every token
            self._lack(*unknown)
            quantities = [item for item in quantities if item[0] not in TOKEN_METERS]
        part = RatedSubcall(index, subcall, tariff, at)
        self._price_all(part, rates, quantities)
        if tariff.minimum_usd is not None:
            computed = total([line.usd for line in self._lines[before:]])
            if computed < tariff.minimum_usd:
                missing = EXACT.subtract(tariff.minimum_usd, computed)
                self._lines.append(part.minimum_line(missing))

    def charge(self, reported_usd: Decimal | None, provider: str) -> Charge:
        """The finished charge."""
        lines, status = self._lines, self._status()
        usd: Decimal | None = total([line.usd for line in lines])
        if not usd and status not in _COMPLETE:
            usd = None  # a lower bound of 0 would read as free
        reasons = tuple(self.reasons)
        if reported_usd is not None and (usd is None or self._book.prefers_reported(provider)):
            preferred = self._book.prefers_reported(provider)
            difference = EXACT.subtract(reported_usd, usd or Decimal(0))
            if difference:
                lines = [*lines, reported_line(difference, provider)]
            usd = reported_usd
            status = Status.EXACT if preferred else Status.ESTIMATED
            reasons = () if preferred else (*reasons, "reported_cost_only")
        tariff = ",".join(self._tariffs)
        return Charge(
            usd=usd,
            status=status,
            reasons=reasons,
            lines=tuple(lines),
            tariff=f"{tariff}#{self._book.version}" if tariff else "",
            reported_usd=reported_usd,
            counts=self._positions.moved,
        )

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
        """The rates in force; no tier by prompt length where the length is only a sum."""
        rates = tariff.selection(facts)
        if facts.get(Term.SUMMED_REQUESTS) and Term.MAX_REQUEST_PROMPT_TOKENS not in facts:
            single = tariff.selection({**facts, Term.PROMPT_TOKENS: 0})
            if single is not rates:
                self._doubt("unknown_prompt_length")
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
                    self._lack(f"missing_rate:{meter.value}")
            elif too_large(quantity):
                self._lack(f"quantity_too_large:{meter.value}")
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
        """A price by volume, in another currency, or of a raised quantity."""
        ladder, code = rate.rule.ladder, rate.rule.currency
        currency: tuple[tuple[str, Decimal], ...] = ()
        if code != "USD":
            usd = self._book.usd(code, part.at)
            if usd is None:
                self._lack(f"missing_currency:{code}")
                return
            currency = ((f"fx:{code}", usd),)
        shares = self._positions.split(part.counter(rate), ladder, quantity)
        if shares is None:
            self._lack(f"unknown_counter:{part.counter(rate)}")
            return
        for step, share in shares:
            self._lines.append(part.line(meter, share, rate, step, currency))

    def _lack(self, *reasons: str) -> None:
        self._complete = False
        for reason in reasons:
            self.reasons[reason] = None

    def _doubt(self, reason: str) -> None:
        self._certain = False
        self.reasons[reason] = None

    def _status(self) -> Status:
        if not self._tariffs:
            return Status.UNPRICED
        if not self._complete:
            return Status.PARTIAL
        return Status.EXACT if self._certain else Status.ESTIMATED


def _facts(subcall: Subcall) -> dict[str, TermValue]:
    """The terms by the names tariffs use, with what the usage itself tells."""
    facts = {name: value for name, value in subcall.terms.items() if value != ""}
    tier = service_tier(str(facts.get(Term.SERVICE_TIER, "standard")))
    if tier == "batch":
        facts[Term.PROCESSING] = "batch"
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
