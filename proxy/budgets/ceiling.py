"""What a call of unknown price counts at most: the dearest known model of its kind.

The price per token is the highest that any model of the same provider and kind of operation has,
under any condition; of any provider, if none of its own has one.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from exporters.record import EXACT
from pricing import Meter, TariffBook
from pricing.tariff import Tariff
from proxy.budgets.sums import NOTHING, Kind, Sums

WITHOUT_OUTPUT = ("embeddings", "rerank", "moderation")  # operations whose models make no tokens

Rates = tuple[Decimal, Decimal]  # USD for a token of input, and one of output


class Ceilings:
    """Ceilings by one book, as of one instant."""

    def __init__(self, book: TariffBook, at: datetime) -> None:
        self._book = book
        self.at = at
        self._known: dict[Kind, Rates] = {}

    def rates(self, kind: Kind) -> Rates:
        """The dearest rates of a kind of call."""
        found = self._known.get(kind)
        if found is None:
            own = self._dearest(self._book.tariffs_of(kind.provider), kind.operation)
            found = own if any(own) else self._dearest(self._book.tariffs, kind.operation)
            self._known[kind] = found
        return found

    def usd(self, kind: Kind, sums: Sums) -> Decimal:
        """What the tokens of calls without a known price count."""
        if not sums.unknown_input_tokens and not sums.unknown_output_tokens:
            return NOTHING
        into, out = self.rates(kind)
        return EXACT.add(into * sums.unknown_input_tokens, out * sums.unknown_output_tokens)

    def _dearest(self, tariffs: Iterable[Tariff], operation: str) -> Rates:
        makes_output = operation not in WITHOUT_OUTPUT
        into = out = NOTHING
        for tariff in tariffs:
            ended = tariff.end is not None and tariff.end <= self.at
            if ended or tariff.names_meter(Meter.OUTPUT) != makes_output:
                continue
            into = max(into, self._highest(tariff, Meter.INPUT))
            out = max(out, self._highest(tariff, Meter.OUTPUT))
        return into, out

    def _highest(self, tariff: Tariff, meter: Meter) -> Decimal:
        prices = [NOTHING]
        for rule in tariff.rules:
            if meter in rule.prices:
                usd = self._book.usd(rule.currency, self.at) if rule.currency != "USD" else None
                rate = Decimal(1) if rule.currency == "USD" else usd or NOTHING
                prices.append(max(rule.prices[meter]) * rate / rule.per[meter])
        return max(prices)
