"""What a price set would change in a book: models that it adds, and prices that differ.

History is appended, never edited: a changed price is a period from the day that the set shows it.
A price that came by hand or from another set is kept, unless it is to be overridden by name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum

from pricing.book import TariffBook
from pricing.condition import AT
from pricing.tariff import Tariff
from pricing.upkeep.comparison import COUNTS, conditions, price_of, rows_of
from pricing.upkeep.listing import STANDARD, LeftOut, Listing, Period, figure, oddities
from pricing.upkeep.tariff_file import MADE_OF_SETS
from pricing.usage import TOKEN_METERS, Meter

ELSEWHERE = "elsewhere"  # a place other than any that a set names


class Change(StrEnum):
    """What becomes of a model."""

    NEW = "new"  # it has no price yet
    CHANGED = "changed"  # its price is another from now on
    ADDED = "added"  # it has the same price, and one for something more
    KEPT = "kept"  # its price is another by this set, and stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One price: ours, and what the set says.  Figures are text; "" means not stated."""

    kind: Change
    provider: str
    model: str
    meter: str
    when: str
    ours: str
    theirs: str
    where: str = ""  # the rule that ours is from

    def row(self) -> dict[str, str]:
        """The cells of a table, or the keys of a JSON object."""
        return {name: str(getattr(self, name)) for name in self.__slots__}


@dataclass(slots=True)
class Updates:
    """What to write, what differs, and what is left out."""

    listings: list[Listing] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    models: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    same: int = 0  # models that cost what they did


def updates(
    book: TariffBook, listings: Iterable[Listing], day: date, *, override: bool = False
) -> Updates:
    """What the listings of a set change in `book` on a day.

    `override` takes the set's price also where ours came by hand or from another set.
    """
    found = Updates()
    taken: set[tuple[str, str]] = set()
    for listing in listings:
        odd = oddities(listing.at(day).rows, listing.names)
        if odd:
            found.left_out.append(LeftOut(listing.provider, listing.names[0], "; ".join(odd)))
            continue
        to_write: dict[date | None, list[str]] = {}  # names by the day that their price begins
        for name in listing.names:
            if (listing.provider, name) in taken:
                continue
            taken.add((listing.provider, name))
            kind, differences = _judge(book, listing, name, day, override=override)
            if kind is None:
                found.same += 1
                continue
            found.models[kind] += 1
            found.differences += differences
            if kind is not Change.KEPT:
                start = _start(book, listing, name, day)
                to_write.setdefault(start, []).append(name)
        for start, names in to_write.items():
            found.listings.append(_from(listing, tuple(names), start, day))
    return found


def _judge(
    book: TariffBook, listing: Listing, name: str, day: date, *, override: bool
) -> tuple[Change | None, Sequence[Difference]]:
    now = _end_of(day)
    tariff = book.find(listing.provider, name, now)
    if tariff is None:
        return Change.NEW, list(_all_new(listing, name, day))
    pairs = list(_pairs(listing, name, tariff, now))
    changed = [pair for pair in pairs if pair.ours not in ("", pair.theirs)]
    added = [pair for pair in pairs if not pair.ours]
    # Two periods cannot begin at one instant: what began today stays until tomorrow.
    began = tariff.start is not None and tariff.start.date() == _start(book, listing, name, day)
    if changed:
        take = (override or _is_of_set(tariff, listing)) and not began
        kind = Change.CHANGED if take else Change.KEPT
        return kind, [replace(pair, kind=kind) for pair in changed]
    if added and not began and _is_of_set(tariff, listing) and not _loses(tariff, listing, day):
        return Change.ADDED, [replace(pair, kind=Change.ADDED) for pair in added]
    return None, ()


def _all_new(listing: Listing, name: str, day: date) -> Iterator[Difference]:
    for (unit, meter), theirs in listing.at(day).base.items():
        yield Difference(
            kind=Change.NEW,
            provider=listing.provider,
            model=name,
            meter=meter.value,
            when=unit.replace("usd_", "").replace("_", " "),
            ours="",
            theirs=f"{theirs:f}",
        )


def _pairs(listing: Listing, name: str, tariff: Tariff, now: datetime) -> Iterator[Difference]:
    """Each price of the set beside ours; "" where we have none."""
    for when, prices in rows_of(listing.at(now.date()).rows, tariff):
        for (unit, meter), theirs in prices.items():
            ours = price_of(tariff, meter, when, now)
            yield Difference(
                kind=Change.KEPT,
                provider=listing.provider,
                model=name,
                meter=meter.value,
                when=conditions(when),
                ours="" if ours is None else _figure(ours.each * COUNTS[unit], tariff, meter),
                theirs=f"{theirs:f}",
                where="" if ours is None else ours.rule,
            )
    yield from _factors(listing, name, tariff, now)


def _figure(price: Decimal, tariff: Tariff, meter: Meter) -> str:
    """A price as it is listed: without the factors that are on every call, as a discount is."""
    for factor in tariff.factors:
        if not factor.when and meter in factor.apply and factor.factor:
            price /= factor.factor
    return f"{figure(price):f}"


def _factors(listing: Listing, name: str, tariff: Tariff, now: datetime) -> Iterator[Difference]:
    """Each surcharge of the set beside what ours makes of the same place or speed."""
    base = listing.at(now.date()).base
    meter = next((meter for _, meter in base if meter in TOKEN_METERS), Meter.INPUT)
    plain = price_of(tariff, meter, STANDARD, now)
    for factor in listing.factors:
        value = ELSEWHERE if factor.other else factor.value
        raised = price_of(tariff, meter, ((factor.term, value),), now)
        known = plain is not None and plain.each and raised is not None
        ours = raised.each / plain.each if known and raised and plain else None
        yield Difference(
            kind=Change.KEPT,
            provider=listing.provider,
            model=name,
            meter=f"factor {factor.name}",
            when=f"{factor.term} {'not ' if factor.other else ''}{factor.value}",
            ours="" if ours is None else f"{figure(ours):f}",
            theirs=f"{factor.factor:f}",
            where=tariff.id,
        )


def _is_of_set(tariff: Tariff, listing: Listing) -> bool:
    """Whether a tariff was made of a set that the listing is of; all others came by hand."""
    if not tariff.file.endswith(MADE_OF_SETS):
        return False
    sets = {name.split()[0] for name in listing.via.lower().split(", ")}
    return any(name in tariff.via.lower() for name in sets)


def _loses(tariff: Tariff, listing: Listing, day: date) -> bool:
    """Whether a tariff prices meters, or asks about terms, that the set says nothing of."""
    rows = listing.at(day).rows
    meters = {meter for prices in rows.values() for _, meter in prices}
    terms = {term for when in rows for term, _ in when} | {AT}
    own = [rule for rule in tariff.rules if not rule.models and rule.prices.keys() & TOKEN_METERS]
    return any(
        not rule.prices.keys() & TOKEN_METERS <= meters
        or any(clause.term not in terms for clause in rule.when)
        for rule in own
    )


def _start(book: TariffBook, listing: Listing, name: str, day: date) -> date | None:
    """When the set's price begins for a name; None for a name without any price yet.

    That is the day that the set dates it, if ours is older, else the day that the set shows it.
    """
    tariff = book.find(listing.provider, name, _end_of(day))
    if tariff is None and not book.knows(listing.provider, name):
        return None
    dated = listing.at(day).start
    ours = date.min if tariff is None or tariff.start is None else tariff.start.date()
    return dated if tariff is not None and dated is not None and ours < dated <= day else day


def _from(listing: Listing, names: tuple[str, ...], start: date | None, day: date) -> Listing:
    """The listing's whole history, or its present price from a day on."""
    if start is None:
        return replace(listing, names=names)
    periods = (Period(start, listing.at(day).rows),)
    return replace(listing, names=names, checked=max(start, listing.checked), periods=periods)


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59), UTC)


def by_provider(listings: Iterable[Listing]) -> Mapping[str, list[Listing]]:
    """The listings of each provider, by name."""
    found: dict[str, list[Listing]] = {}
    for each in sorted(listings, key=lambda each: (each.provider, each.names[0].lower())):
        found.setdefault(each.provider, []).append(each)
    return found
