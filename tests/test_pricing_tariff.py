"""Tariffs as values: which rate is in force, exact arithmetic, and what a tariff remembers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal, Inexact
from itertools import product

import pytest

from pricing import Meter, Tariff
from pricing.condition import AT, SCHEDULE, Calendar, Clause, Facts, Op, Schedule
from pricing.tariff import EXACT, ROUNDED, SELECTIONS_MAX, Factor, Ladder, Rate, Rule, Volume
from pricing.usage import TOKEN_METERS, TermValue
from support.pricing_calls import AT as NOON

MILLION = Decimal(1_000_000)
NO_TERMS: Mapping[str, TermValue] = {}


def rule(price: str, *when: Clause, meter: Meter = Meter.INPUT, name: str = "a.toml:5") -> Rule:
    return Rule(
        id=name,
        source="",
        when=frozenset(when),
        prices={meter: (Decimal(price),)},
        per={meter: MILLION},
    )


def factor(name: str, value: str, *when: Clause) -> Factor:
    return Factor(name=name, factor=Decimal(value), when=frozenset(when), apply=TOKEN_METERS)


def tariff(*rules: Rule, factors: tuple[Factor, ...] = ()) -> Tariff:
    return Tariff(
        provider="acme",
        names=("m", "m-latest"),
        start=None,
        source="https://acme.example/pricing",
        checked=date(2026, 11, 20),
        rules=rules,
        factors=factors,
    )


def rate(of: Tariff, meter: Meter = Meter.INPUT, **facts: TermValue) -> Rate | None:
    return of.selection({AT: NOON, **facts}).rate(meter)


def figure(of: Tariff, meter: Meter = Meter.INPUT, **facts: TermValue) -> Decimal | None:
    """The list price in force, without factors."""
    found = rate(of, meter, **facts)
    return None if found is None else found.prices[0]


FLEX = Clause("service_tier", Op.IN, frozenset({"flex"}))
LONG = Clause("prompt_tokens", Op.GT, 100)
EU = Clause("region", Op.IN, frozenset({"eu"}))


def test_a_tariff_is_named_by_model_and_start() -> None:
    """The first name stands for all; a period without a start has none in its name."""
    assert tariff(rule("1")).id == "acme/m"
    dated = replace(tariff(rule("1")), start=datetime(2026, 4, 26, 12, 15, tzinfo=UTC))
    assert dated.id == "acme/m@2026-04-26T12:15:00Z"


def test_the_first_rule_that_holds_prices_a_meter() -> None:
    """All clauses of a rule must hold; an earlier rule that holds hides a later one."""
    prices = tariff(rule("4", FLEX, LONG), rule("3", LONG), rule("2", FLEX), rule("1"))
    found = {
        (tier, length): figure(prices, service_tier=tier, prompt_tokens=length)
        for tier in ("flex", "standard")
        for length in (100, 101)
    }
    assert found == {
        ("flex", 101): Decimal(4),
        ("standard", 101): Decimal(3),
        ("flex", 100): Decimal(2),
        ("standard", 100): Decimal(1),
    }


def test_a_meter_that_is_named_elsewhere_has_no_stand_in() -> None:
    """Reasoning is output unless the tariff prices it apart, be it under other conditions."""
    plain = tariff(rule("9", meter=Meter.OUTPUT))
    assert figure(plain, Meter.OUTPUT_REASONING) == 9
    apart = tariff(rule("9", meter=Meter.OUTPUT), rule("5", FLEX, meter=Meter.OUTPUT_REASONING))
    assert figure(apart, Meter.OUTPUT_REASONING, service_tier="flex") == 5
    assert figure(apart, Meter.OUTPUT_REASONING) is None
    assert (apart.names_meter(Meter.OUTPUT_REASONING), apart.names_meter(Meter.INPUT)) == (
        True,
        False,
    )


def test_the_nearest_stand_in_comes_first() -> None:
    """A document is billed as an image where images have a price, else as text."""
    text, images = rule("1"), rule("2", meter=Meter.INPUT_IMAGE)
    assert figure(tariff(text, images), Meter.INPUT_DOCUMENT) == 2
    assert figure(tariff(text), Meter.INPUT_DOCUMENT) == 1
    assert figure(tariff(images), Meter.INPUT) is None


def test_a_meter_known_to_have_no_price_does_not_fall_through() -> None:
    """`unpriced` ends the search, under its conditions only."""
    none = replace(rule("1", FLEX), prices={}, per={}, unpriced=frozenset({Meter.INPUT}))
    prices = tariff(none, rule("1"))
    assert figure(prices, service_tier="flex") is None
    assert figure(prices) == 1


def names(found: Rate | None) -> list[str]:
    assert found is not None
    return [name for name, _ in found.factors]


def test_a_factor_is_not_put_on_a_price_made_for_its_conditions() -> None:
    """A factor with conditions is left out where the price was published under them, or narrower
    ones; a factor without any is on every price.
    """
    factors = (factor("contract", "0.9"), factor("flex", "0.5", FLEX), factor("eu", "1.1", EU))
    prices = tariff(rule("2", FLEX, LONG), rule("1"), factors=factors)
    assert names(rate(prices)) == ["contract"]
    assert names(rate(prices, service_tier="flex")) == ["contract", "flex"]
    assert names(rate(prices, service_tier="flex", prompt_tokens=101)) == ["contract"]
    both = rate(prices, service_tier="flex", prompt_tokens=101, region="eu")
    assert names(both) == ["contract", "eu"]
    assert both is not None
    assert both.each == (Decimal("2") * Decimal("0.99") / MILLION,)


def test_a_factor_is_on_the_meters_that_it_names() -> None:
    """And on no other."""
    searches = Factor(name="x", factor=Decimal(2), apply=frozenset({Meter.CALLS_WEB_SEARCH}))
    prices = tariff(rule("1"), rule("1", meter=Meter.CALLS_WEB_SEARCH), factors=(searches,))
    assert names(rate(prices, Meter.CALLS_WEB_SEARCH)) == ["x"]
    assert names(rate(prices, Meter.INPUT)) == []


def of_digits(count: int) -> str:
    """A price whose one unit has `count` digits after factors."""
    return "0." + "7" * count


@pytest.mark.parametrize(("digits", "exact"), [(119, True), (120, True), (121, False)])
def test_the_price_of_one_unit_has_at_most_120_digits(digits: int, exact: bool) -> None:
    """With more, lines are worked out from price and factors, so that no quantity overflows."""
    found = rate(tariff(rule(of_digits(digits))))
    assert found is not None
    assert (found.each != (None,)) is exact


def test_a_price_of_one_unit_that_does_not_terminate() -> None:
    """A price by the hour has no exact price of a second."""
    hourly = replace(rule("1"), per={Meter.INPUT: Decimal(3_600)})
    found = rate(tariff(hourly))
    assert found is not None
    assert found.each == (None,)


def test_exact_arithmetic_fails_and_never_rounds() -> None:
    """Two hundred digits, then an error; a division that need not end is kept to forty."""
    assert EXACT.multiply(Decimal(10**199 + 1), 1) == 10**199 + 1
    with pytest.raises(Inexact):
        EXACT.multiply(Decimal(10**200 + 1), 1)
    assert ROUNDED.divide(Decimal(1), Decimal(3)) == Decimal("0." + "3" * 40)


LADDER = Ladder("month.tokens", Volume.MARGINAL, (Decimal(0), Decimal(5)))


@pytest.mark.parametrize(
    "special",
    [
        {"ladder": LADDER},
        {"minimum": Decimal(1)},
        {"round_up": Decimal(1)},
        {"currency": "CNY"},
        {"currency": "ZAR"},
    ],
)
def test_a_plain_rate_is_one_price_in_dollars(special: dict[str, object]) -> None:
    """Anything that changes the quantity, the currency or the number of prices is not plain."""
    plain = rate(tariff(rule("1")))
    odd = rate(tariff(replace(rule("1"), **special)))  # type: ignore[arg-type]
    assert plain is not None
    assert odd is not None
    assert (plain.plain, odd.plain) == (True, False)


def test_the_same_conditions_give_the_same_selection() -> None:
    """What two calls do not differ in for this tariff is worked out once."""
    prices = tariff(rule("2", LONG), rule("1"))
    short = prices.selection({AT: NOON, "prompt_tokens": 5})
    assert prices.selection({AT: NOON, "prompt_tokens": 100, "region": "eu"}) is short
    assert prices.selection({AT: NOON, "prompt_tokens": 101}) is not short


def test_what_a_tariff_remembers_is_no_part_of_it() -> None:
    """Tariffs of the same prices are equal and print alike; a copy with others has those."""
    one, other = tariff(rule("1")), tariff(rule("1"))
    assert figure(one) == 1
    assert one == other
    assert repr(one) == repr(other)
    assert figure(replace(one, rules=(rule("2"),))) == 2


def test_what_a_tariff_need_not_say() -> None:
    """It holds from ever on, goes by the start of a call, and comes from no file."""
    plain = tariff(rule("1"))
    assert (plain.end, plain.minimum_usd, plain.by_completion) == (None, None, False)
    assert (plain.via, plain.file, plain.line) == ("", "", 0)


def test_selections_do_not_pile_up() -> None:
    """A tariff with many conditions remembers so many combinations, then begins anew."""
    terms = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]
    clauses = [Clause(term, Op.IN, frozenset({1})) for term in terms]
    prices = tariff(*(rule(str(n), clause) for n, clause in enumerate(clauses, 1)), rule("99"))
    combinations = [
        dict[str, TermValue](zip(terms, bits, strict=True)) | {AT: NOON}
        for bits in product((0, 1), repeat=len(terms))
    ]
    first = prices.selection(combinations[0])
    for facts in combinations[:SELECTIONS_MAX]:
        prices.selection(facts)
    assert SELECTIONS_MAX == 1_024
    assert prices.selection(combinations[0]) is first
    over = prices.selection(combinations[SELECTIONS_MAX])
    assert prices.selection(combinations[SELECTIONS_MAX]) is over
    again = prices.selection(combinations[0])
    assert again is not first
    for facts in combinations:
        asked = [n for n, term in enumerate(terms, 1) if facts[term]]
        expected = Decimal(min(asked, default=99))
        found = prices.selection(facts).rate(Meter.INPUT)
        assert found is not None
        assert found.prices == (expected,)


CALENDAR = Calendar("XX", date(2026, 1, 1), date(2026, 12, 31), frozenset())
PEAK = Schedule(name="peak", hours=((time(9), time(18)),), holidays=CALENDAR)
NIGHT = Schedule(name="night", hours=((time(0), time(18)),))


def test_holidays_that_nobody_listed() -> None:
    """Only a schedule that goes by a calendar, and within its hours, is a doubt."""
    prices = tariff(
        rule("2", Clause(SCHEDULE, Op.DURING, PEAK)),
        rule("1", Clause(SCHEDULE, Op.DURING, NIGHT)),
        rule("3"),
    )
    (unknown,) = prices.unknown_holidays(datetime(2027, 1, 4, 12, tzinfo=UTC))
    assert str(unknown) == "unknown_holidays:XX"
    assert prices.unknown_holidays(datetime(2027, 1, 4, 20, tzinfo=UTC)) == []
    assert prices.unknown_holidays(datetime(2026, 1, 4, 12, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("terms", "known"),
    [
        ({"service_tier": "flex"}, True),
        ({"service_tier": "standard"}, True),
        ({"service_tier": "priority"}, False),
        ({"service_tier": 1}, False),
        ({"prompt_tokens": 5}, True),
        ({"prompt_tokens": "5"}, False),
        ({"size": "1024x1024"}, True),  # no price here goes by it, and no provider serves it
        ({"quality": "hd"}, False),
        ({"quality": "low"}, True),
        ({"speed": "fast"}, False),  # served, so it is never ignored
        ({"colour": "blue"}, False),
        ({"region": "eu"}, True),
        ({"region": "jp"}, True),  # `not` is about every other value
    ],
)
def test_what_a_tariff_knows(terms: Mapping[str, TermValue], known: bool) -> None:
    """A value is known if it is plain, priced, declared the same price, or asked about by nobody
    and not served; a name or a type that no term has never is.
    """
    not_us = Clause("region", Op.NOT, frozenset({"us"}))
    hd = Clause("quality", Op.IN, frozenset({"low"}))
    prices = tariff(rule("2", FLEX), rule("3", LONG), rule("4", not_us), rule("5", hd), rule("1"))
    ((name, value),) = terms.items()
    assert [*map(str, prices.selection(terms).unknown_terms(terms))] == (
        [] if known else [f"unknown_term:{name}={value}"]
    )


def test_values_declared_the_same_price() -> None:
    """They are known although nothing asks about them; others are not."""
    prices = replace(tariff(rule("1")), same_price={"service_tier": frozenset({"flex"})})
    flex: Facts = {"service_tier": "flex"}
    assert prices.selection(flex).unknown_terms(flex) == []
    fast: Facts = {"service_tier": "fast", "speed": "flex"}
    assert [*map(str, prices.selection(fast).unknown_terms(fast))] == [
        "unknown_term:service_tier=fast",
        "unknown_term:speed=flex",
    ]
