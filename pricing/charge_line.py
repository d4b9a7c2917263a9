"""From a quantity and its rate to a charge line."""

from datetime import datetime
from decimal import ROUND_CEILING, Decimal

import msgspec

from pricing.charge import ChargeLine
from pricing.steps import WITHIN_CALL
from pricing.tariff import EXACT, ROUNDED, Rate, Tariff
from pricing.usage import Meter, Quantity, Subcall

# More than any call uses: a body that states more is wrong, and arithmetic on it must stay fast.
QUANTITY_MAX = 10**18
QUANTITY_DIGITS_MAX = 30

ONE = Decimal(1)


class RatedSubcall(msgspec.Struct, frozen=True):
    """A subcall with its tariff: what all its lines share."""

    index: int
    subcall: Subcall
    tariff: Tariff
    at: datetime

    def counter(self, rate: Rate) -> str:
        """The counter behind the steps of `rate`; one within the call belongs to this subcall."""
        ladder = rate.rule.ladder
        if ladder is None:
            return ""
        if ladder.counter == WITHIN_CALL:
            return f"{WITHIN_CALL}/{self.index}/{rate.rule.id}"
        return f"{self.subcall.provider}/{ladder.counter}"

    def line(
        self,
        meter: Meter,
        quantity: Quantity,
        rate: Rate,
        step: int = 0,
        currency: tuple[tuple[str, Decimal], ...] = (),
    ) -> ChargeLine:
        """The line of one meter, or of the share that falls on one step of a ladder."""
        return ChargeLine(
            subcall=self.index,
            model=self.subcall.model,
            meter=meter,
            quantity=quantity,
            rate=rate.prices[step],
            per=rate.per,
            factors=rate.factors + currency,
            usd=cost(quantity, rate, step, currency),
            rule=rate.rule.id,
            source=rate.rule.source or self.tariff.source,
        )

    def minimum_line(self, missing: Decimal) -> ChargeLine:
        """The line that raises the subcall to the least charge of a request."""
        return ChargeLine(
            subcall=self.index,
            model=self.subcall.model,
            meter=Meter.REQUESTS,
            quantity=1,
            rate=missing,
            per=ONE,
            usd=missing,
            rule=f"{self.tariff.file}:{self.tariff.line} minimum_usd",
            source=self.tariff.source,
        )


def cost(
    quantity: Quantity,
    rate: Rate,
    step: int = 0,
    currency: tuple[tuple[str, Decimal], ...] = (),
) -> Decimal:
    """What a quantity costs in US dollars, on one step of a ladder."""
    each = rate.each[step]
    if each is not None and not currency:
        return EXACT.multiply(each, quantity)
    amount = EXACT.multiply(rate.prices[step], quantity)
    for _, factor in (*rate.factors, *currency):
        amount = EXACT.multiply(amount, factor)
    return ROUNDED.divide(amount, rate.per)


def too_large(quantity: Quantity) -> bool:
    """Whether no call can have used this much, or a number with this many digits."""
    if quantity > QUANTITY_MAX:
        return True
    return isinstance(quantity, Decimal) and len(quantity.as_tuple().digits) > QUANTITY_DIGITS_MAX


def billed(quantity: Quantity, rate: Rate) -> Quantity:
    """The quantity as the provider bills it: raised to the minimum, in whole blocks."""
    rule = rate.rule
    if rule.minimum is not None:
        quantity = max(quantity, rule.minimum)
    if rule.round_up is not None:
        blocks = ROUNDED.divide(Decimal(quantity), rule.round_up)
        whole = blocks.to_integral_value(rounding=ROUND_CEILING)
        quantity = EXACT.multiply(whole, rule.round_up)
    return quantity


def reported_line(usd: Decimal, provider: str) -> ChargeLine:
    """The difference between the cost that the provider reported and the computed lines."""
    return ChargeLine(
        subcall=0,
        model="",
        meter=Meter.REPORTED_USD,
        quantity=usd,
        rate=ONE,
        per=ONE,
        usd=usd,
        rule="reported",
        source=f"cost reported by {provider}",
    )
