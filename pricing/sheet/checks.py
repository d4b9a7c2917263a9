"""Checks across tariffs and rules: gaps, overlaps, rates that never apply."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from pricing.condition import AT, COMPARE, When, implies
from pricing.sheet.entry import Problem
from pricing.tariff import Rule, Tariff
from pricing.usage import UNITS, Meter

BEGINNING = datetime.min.replace(tzinfo=UTC)


def by_start(tariff: Tariff) -> datetime:
    """The order of the periods of one name; one without `from` comes first."""
    return tariff.start or BEGINNING


def check_periods(tariffs: Iterable[Tariff]) -> Iterator[Problem]:
    """Periods of one name that overlap, or leave a gap without a price."""
    by_name = defaultdict(list)
    for tariff in tariffs:
        for name in tariff.names:
            by_name[tariff.provider, name].append(tariff)
    for (_, name), periods in by_name.items():
        for earlier, later in pairwise(sorted(periods, key=by_start)):
            start = by_start(later)
            other = f"{earlier.file}:{earlier.line}"
            if by_start(earlier) == start or (earlier.end and earlier.end > start):
                yield _problem(later, f"{name!r} overlaps the period at {other}")
            elif earlier.end and earlier.end < start:
                yield _problem(
                    later, f"{name!r} has no price between the period at {other} and this"
                )


def check_rules(tariff: Tariff) -> Iterator[Problem]:
    """Rates that an earlier rule hides, and tiers that lack a rate their base has."""
    yield from check_reach(tariff.rules)
    for index, rule in enumerate(tariff.rules):
        missing = _left_out(rule, tariff.rules[index + 1 :])
        if missing:
            names = ", ".join(sorted(meter.value for meter in missing))
            message = f"this tier has no rate for {names}; add it, or list it under unpriced"
            yield _at_rule(rule, message)


def check_reach(rules: Sequence[Rule]) -> Iterator[Problem]:
    """Rates that never apply, because an earlier rule holds whenever they do."""
    for index, rule in enumerate(rules):
        for earlier in rules[:index]:
            covered = set(earlier.prices) | earlier.unpriced
            hidden = covered & (set(rule.prices) | rule.unpriced)
            if hidden and implies(rule.when, earlier.when) and _same_models(rule, earlier):
                name = min(meter.value for meter in hidden)
                yield _at_rule(rule, f"the rate of {name} never applies: {earlier.id} comes first")


def _left_out(tier: Rule, later: Sequence[Rule]) -> set[Meter]:
    """Meters that have a rate outside the tier and none inside it."""
    base = _without_sizes(tier.when)
    if base == tier.when:
        return set()
    units = {UNITS[meter] for meter in tier.prices}
    wanted = {
        meter
        for rule in later
        if implies(base, _without_sizes(rule.when))
        for meter in rule.prices
        if UNITS[meter] in units
    }
    return wanted - set(tier.prices) - tier.unpriced


def _without_sizes(when: When) -> When:
    return frozenset(c for c in when if c.op not in COMPARE or c.term == AT)


def _same_models(rule: Rule, earlier: Rule) -> bool:
    return not earlier.models or (set(rule.models) <= set(earlier.models) and bool(rule.models))


def _problem(tariff: Tariff, message: str) -> Problem:
    return Problem(tariff.file, tariff.line, message)


def _at_rule(rule: Rule, message: str) -> Problem:
    file, _, line = rule.id.rpartition(":")
    return Problem(file, int(line), message)
