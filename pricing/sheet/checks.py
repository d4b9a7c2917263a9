"""What is wrong with tariffs that read well one by one: gaps, overlaps, rates nobody reaches."""

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
    """Order of the periods of one name; one without `from` is the first."""
    return tariff.start or BEGINNING


def check_periods(tariffs: Iterable[Tariff]) -> Iterator[Problem]:
    """Periods of one name that overlap, or that leave a time without a price."""
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
                yield _problem(later, f"{name!r} has a gap after the period at {other}")


def check_rules(tariff: Tariff) -> Iterator[Problem]:
    """Rates that an earlier rule hides, and tiers that leave out what their base prices."""
    yield from check_reach(tariff.rules)
    for index, rule in enumerate(tariff.rules):
        missing = _left_out(rule, tariff.rules[index + 1 :])
        if missing:
            names = ", ".join(sorted(meter.value for meter in missing))
            yield _at_rule(rule, f"this tier leaves out {names}, which its base prices")


def check_reach(rules: Sequence[Rule]) -> Iterator[Problem]:
    """Rates that no call can reach, because an earlier rule always holds when they do."""
    for index, rule in enumerate(rules):
        for earlier in rules[:index]:
            covered = set(earlier.prices) | earlier.unpriced
            hidden = covered & (set(rule.prices) | rule.unpriced)
            if hidden and implies(rule.when, earlier.when) and _same_models(rule, earlier):
                name = min(meter.value for meter in hidden)
                yield _at_rule(rule, f"{name} is never reached: {earlier.id} holds first")


def _left_out(tier: Rule, later: Sequence[Rule]) -> set[Meter]:
    """Meters that calls outside the tier would find priced, and calls inside it would not."""
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
