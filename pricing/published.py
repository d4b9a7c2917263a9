"""Tariffs as plain documents, for people to read and to compare: one form for commands and pages.

Numbers are exact text.  An empty string is a date that is not known, or a condition that is not
there.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pricing.book import TariffBook
from pricing.charge import plain
from pricing.condition import AT, Clause, Op, Schedule, When
from pricing.sheet.checks import by_start
from pricing.tariff import Rule, Tariff
from pricing.usage import METER_ORDER, UNITS, Meter

Document = dict[str, Any]
SIGNS: Mapping[Op, str] = {
    **{Op.IN: "=", Op.NOT: "is not", Op.HAS: "has", Op.DURING: "during"},
    **{Op.GT: ">", Op.GE: "≥", Op.LT: "<", Op.LE: "≤"},
}
DATES: Mapping[Op, str] = {Op.GE: "from", Op.GT: "after", Op.LT: "before", Op.LE: "until"}


def by_model(book: TariffBook, provider: str = "") -> dict[tuple[str, str, bool], list[Tariff]]:
    """The periods of each model in order of time, by provider, first name, and whose price it is.

    The last is True for a price that is laid over the shipped ones.
    """
    found: dict[tuple[str, str, bool], list[Tariff]] = defaultdict(list)
    for tariff in book.tariffs_of(provider) if provider else book.tariffs:
        found[tariff.provider, tariff.names[0], book.is_own(tariff)].append(tariff)
    return {key: sorted(periods, key=by_start) for key, periods in sorted(found.items())}


def in_force(periods: Sequence[Tariff], now: datetime) -> Tariff | None:
    """The one of a model's periods, which are in order, that holds now."""
    started = [tariff for tariff in periods if by_start(tariff) <= now]
    if not started or (started[-1].end is not None and started[-1].end <= now):
        return None
    return started[-1]


def head(tariff: Tariff) -> dict[str, str]:
    """Whose price it is, when it holds, and where it was read."""
    return {
        "provider": tariff.provider,
        "model": tariff.names[0],
        "since": "" if tariff.start is None else f"{tariff.start:%Y-%m-%d}",
        "until": "" if tariff.end is None else f"{tariff.end:%Y-%m-%d}",
        "first_known": tariff.first_known.isoformat() if tariff.first_known else "",
        "checked": tariff.checked.isoformat(),
        "source": tariff.source,
    }


def rates(tariff: Tariff) -> Iterator[Document]:
    """Each price of each meter, in the order in which they are tried."""
    for rule in tariff.rules:
        for meter in rule.prices:
            yield _rate(tariff, rule, meter)
        for meter in sorted(rule.unpriced):
            yield _rate(tariff, rule, meter)


def standard(tariff: Tariff) -> list[Document]:
    """What a call pays that is nothing special: the rates without a condition, tokens first."""
    found: dict[str, Document] = {}
    for rule in tariff.rules:
        if not rule.when:
            for meter in sorted(rule.prices, key=METER_ORDER.__getitem__):
                found.setdefault(meter.value, _rate(tariff, rule, meter))
    return list(found.values())


def factors(tariff: Tariff) -> list[Document]:
    """The surcharges and discounts."""
    return [
        {"name": each.name, "factor": plain(each.factor), "when": conditions(each.when)}
        for each in tariff.factors
    ]


def step(before: Tariff, after: Tariff) -> str:
    """The standard prices that change: `input 2 to 4, output 10 to 20`; "" if none does."""
    old, new = (
        {each["meter"]: each["prices"][0] for each in standard(tariff)}
        for tariff in (before, after)
    )
    changed = [meter for meter in old if meter in new and old[meter] != new[meter]]
    return ", ".join(f"{meter} {old[meter]} to {new[meter]}" for meter in changed)


def conditions(when: When) -> str:
    """When a rate holds: `prompt_tokens > 200000, service_tier = batch or flex`."""
    return ", ".join(sorted(map(_condition, when)))


def _condition(clause: Clause) -> str:
    value, op = clause.value, clause.op
    if isinstance(value, frozenset):
        return f"{clause.term} {SIGNS[op]} {' or '.join(sorted(map(str, value)))}"
    if isinstance(value, Schedule):
        return f"during {value.name}"
    if isinstance(value, datetime):
        shown = f"{value:%Y-%m-%d %H:%M}Z".replace(" 00:00Z", "")
        return f"{DATES[op]} {shown}" if clause.term == AT else f"{clause.term} {SIGNS[op]} {shown}"
    return f"{clause.term} {SIGNS[op]} {value}"


def _rate(tariff: Tariff, rule: Rule, meter: Meter) -> Document:
    """`steps`: how many units come before each of several prices.  No price: it is not known."""
    ladder = rule.ladder
    per = rule.per.get(meter)
    return {
        "meter": meter.value,
        "prices": [plain(price) for price in rule.prices.get(meter, ())],
        "currency": rule.currency,
        "per": None if per is None else plain(per),
        "unit": UNITS[meter].value,
        "when": conditions(rule.when),
        "counter": ladder.counter if ladder else "",
        "steps": [plain(each) for each in ladder.steps] if ladder else [],
        "minimum": None if rule.minimum is None else plain(rule.minimum),
        "round_up": None if rule.round_up is None else plain(rule.round_up),
        "source": rule.source or tariff.source,
        "rule": rule.id,
    }
