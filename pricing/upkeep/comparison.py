"""Compares the book with newer copies of the public price sets, for a person to judge.

Finds what differs and is not among the reviewed differences, and reviewed ones that are gone.  It
never edits: a set may be wrong, and no set says at which instant a price changes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from pricing import Meter, Tariff, TariffBook
from pricing.condition import AT
from pricing.tariff import ROUNDED
from pricing.upkeep import genai_prices, litellm_prices
from pricing.upkeep.listing import STANDARD, Listing, Prices, When, figure
from pricing.upkeep.review import Reviewed
from pricing.usage import TermValue

COUNTS: Mapping[str, int] = {  # units that a price of this key is for
    "usd_per_mtok": 1_000_000,
    "usd_per_thousand": 1_000,
    "usd_per_hour": 3_600,
    "usd_per_mchar": 1_000_000,
}
WILD = frozenset("*?[")  # of a pattern
PriceKey = tuple[str, str, str, str]  # provider, model, meter, when


@dataclass(frozen=True, slots=True)
class Ours:
    """The book's price of one unit in dollars, the rule that states it, and its source."""

    each: Decimal
    rule: str
    source: str


@dataclass(slots=True)
class PriceDifference:
    """One price of ours, and what the sets say instead.  Figures are text; "" means not stated."""

    provider: str
    model: str
    meter: str
    when: str
    ours: str
    where: str
    source: str
    sets: dict[str, str] = field(default_factory=dict)  # "genai", "litellm" → its figure

    @property
    def key(self) -> PriceKey:
        """What it is a difference of."""
        return self.provider, self.model, self.meter, self.when

    def row(self) -> dict[str, str]:
        """The cells of a table, or the keys of a JSON object."""
        named = ("provider", "model", "meter", "when", "ours", "where")
        return {name: getattr(self, name) for name in named} | self.sets

    def line(self, why: str = "") -> str:
        """The line for the review file, with `why` left to fill in."""
        cells = self.row() | {"why": why, "source": self.source}
        del cells["where"]
        said = ", ".join(f"{name} = {json.dumps(cell)}" for name, cell in cells.items() if cell)
        return f"  {{ {said} }},"


def differences(
    book: TariffBook, sets: Mapping[str, Iterable[Listing]], at: datetime
) -> dict[PriceKey, PriceDifference]:
    """Every price of the book that differs in one of `sets` at an instant.

    A price that we do not have is not a difference: unknown is not an opinion.
    """
    found: dict[PriceKey, PriceDifference] = {}
    agreeing: dict[tuple[str, PriceKey], str] = {}
    for name, listings in sets.items():
        for ours, theirs in _figures(book, listings, at):
            if theirs == Decimal(ours.ours):
                agreeing[name, ours.key] = ours.ours
            else:
                found.setdefault(ours.key, ours).sets[name] = f"{theirs:f}"
    for place, difference in found.items():
        for name in sets:
            if name not in difference.sets and (name, place) in agreeing:
                difference.sets[name] = agreeing[name, place]
    return dict(sorted(found.items()))


def _figures(
    book: TariffBook, listings: Iterable[Listing], at: datetime
) -> Iterator[tuple[PriceDifference, Decimal]]:
    """Each price that both the book and a set have: ours as a difference, and theirs."""
    for listing in listings:
        for name in listing.names:
            tariff = book.find(listing.provider, name, at)
            if tariff is None:
                continue
            for when, prices in rows_of(listing.at(at.date()).rows, tariff):
                for (unit, meter), theirs in prices.items():
                    ours = price_of(tariff, meter, when, at)
                    if ours is None:
                        continue
                    known = PriceDifference(
                        provider=tariff.provider,
                        # Bedrock's regional names share a tariff and have their own factor.
                        model=name if tariff.provider == "bedrock" else tariff.names[0],
                        meter=meter.value,
                        when=conditions(when),
                        ours=f"{figure(ours.each * COUNTS[unit]):f}",
                        where=ours.rule,
                        source=ours.source,
                    )
                    yield known, theirs


def rows_of(rows: Mapping[When, Prices], tariff: Tariff) -> Iterator[tuple[When, Prices]]:
    """The rows of a set, and its prices at the prompt lengths that only our tariff names."""
    yield from rows.items()
    lengths = {
        clause.value
        for rule in tariff.rules
        for clause in rule.when
        if clause.term == "prompt_tokens" and isinstance(clause.value, Decimal)
    }
    said = {when[0][1] for when in rows if len(when) == 1 and when[0][0] == "prompt_tokens"}
    for length in sorted(int(length) for length in lengths):
        if length not in said:
            below = [int(known) for known in said if int(known) <= length]
            when: When = (("prompt_tokens", max(below)),) if below else STANDARD
            yield (("prompt_tokens", length),), rows.get(when, {})


def conditions(when: When) -> str:
    """Conditions as the review file and the tables write them."""
    return ", ".join(f"{term} {value}" for term, value in when)


def price_of(tariff: Tariff, meter: Meter, when: When, at: datetime) -> Ours | None:
    """Our price of one unit; None if it is not known."""
    facts: dict[str, TermValue] = {
        **{AT: at, "service_tier": "standard", "region": "global"},
        "prompt_tokens": 1,
    }
    for term, value in when:
        facts[term] = value + 1 if isinstance(value, int) else value
    rates = tariff.selection(facts)
    if rates.unknown_terms(facts):
        return None
    rate = rates.rate(meter)
    if rate is None or not rate.plain:
        return None
    price = rate.each[0]
    if price is None:  # by the hour, say: a division that does not terminate
        price = ROUNDED.divide(rate.prices[0], rate.per)
        for _, factor in rate.factors:
            price = ROUNDED.multiply(price, factor)
    return Ours(price, rate.rule.id, rate.rule.source or tariff.source)


def unreviewed(
    found: Mapping[PriceKey, PriceDifference], known: Sequence[Reviewed], sets: Iterable[str]
) -> tuple[list[PriceDifference], list[Reviewed]]:
    """Differences that are not reviewed or have changed since, and reviewed ones that are gone."""
    judged = {each.key: each for each in known}
    new = [
        difference
        for key, difference in found.items()
        if key not in judged
        or judged[key].ours != difference.ours
        or any(judged[key].said(name) != difference.sets.get(name, "") for name in sets)
    ]
    return new, [each for key, each in judged.items() if key not in found]


def names(book: TariffBook) -> dict[str, set[str]]:
    """The exact names of the book by provider."""
    found: dict[str, set[str]] = {}
    for tariff in book.tariffs:
        exact = {name for name in tariff.names if not WILD & set(name)}
        found.setdefault(tariff.provider, set()).update(exact)
    return found


def load(
    genai: Path | None, litellm: Path | None, known: genai_prices.Known
) -> dict[str, list[Listing]]:
    """The listings of the sets that are given.  Raises OSError, and ValueError for other files."""
    today = datetime.now(UTC).date()
    found: dict[str, list[Listing]] = {}
    if genai is not None:
        document = json.loads(genai.read_text(encoding="utf-8"))
        found["genai"] = list(genai_prices.read(document, today, known).listings)
    if litellm is not None:
        text = litellm.read_text(encoding="utf-8")
        prices = json.loads(text, parse_float=Decimal)
        found["litellm"] = list(litellm_prices.read(prices, today).listings)
    return found
