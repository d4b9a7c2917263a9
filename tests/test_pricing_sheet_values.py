"""Single values of a tariff file: what each may be, to the last digit, and what is refused."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from pricing import Meter
from pricing.condition import AT, Calendar, Clause, Op, Schedule
from pricing.sheet import values
from pricing.tariff import Ladder, Volume
from pricing.terms import Term
from pricing.usage import Unit

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, "0"),
        (3, "3"),
        (Decimal("0.30"), "0.3"),
        (Decimal("12345678901234567890"), "12345678901234567890"),  # twenty digits
        (Decimal("1E-20"), "0.00000000000000000001"),
        (Decimal("1E+20"), "100000000000000000000"),
    ],
)
def test_a_number_is_exact(value: object, number: str) -> None:
    """Up to twenty digits, and no larger or smaller than twenty places."""
    assert values.number(value) == Decimal(number)


@pytest.mark.parametrize(
    "value",
    [
        -1,
        True,
        "3",
        0.5,  # a binary fraction is no exact price
        None,
        Decimal("-0.1"),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("123456789012345678901"),
        Decimal("0.123456789012345678901"),
        Decimal("1E-21"),
        Decimal("1E+21"),
    ],
)
def test_what_is_no_number(value: object) -> None:
    """Text, truth, binary fractions, negative numbers, and those with too many digits."""
    with pytest.raises(ValueError, match="expected"):
        values.number(value)


def test_the_least_number() -> None:
    """It may be asked for, and is itself allowed."""
    assert values.number(5, least=5) == 5
    with pytest.raises(ValueError, match="expected a number of 5 or more, found 4"):
        values.number(4, least=5)
    assert values.positive(Decimal("0.1")) == Decimal("0.1")
    with pytest.raises(ValueError, match="above 0"):
        values.positive(0)


REFUSED: list[tuple[Callable[[object], object], object]] = [
    (values.truth, 1),
    (values.truth, "true"),
    (values.text, ""),
    (values.text, "  "),
    (values.text, 3),
    (values.texts, []),
    (values.texts, ["a", ""]),
    (values.texts, 3),
    (values.instant, DAY),
    (values.instant, NOON.replace(tzinfo=None)),
    (values.instant, "2026-11-20T12:00:00Z"),
    (values.day, NOON),
    (values.day, "2026-11-20"),
    (values.table, []),
    (values.table, None),
]


@pytest.mark.parametrize(("read", "value"), REFUSED)
def test_values_of_another_type_are_refused(
    read: Callable[[object], object], value: object
) -> None:
    """Nothing is turned into what it is not."""
    with pytest.raises(ValueError, match="expected"):
        read(value)


def test_values_of_the_right_type_are_kept() -> None:
    """As they are; one text is a list of one."""
    assert (values.truth(True), values.truth(False)) == (True, False)
    assert values.text(" a ") == " a "
    assert (values.texts("a"), values.texts(["a", "b"])) == (("a",), ("a", "b"))
    assert (values.instant(NOON), values.day(DAY)) == (NOON, DAY)
    assert values.table({"a": 1}) == {"a": 1}


def test_meters_by_pattern_and_unit() -> None:
    """A pattern names the meters of the unit that the price is for; those alone."""
    assert values.meters("calls.web_*", [Unit.THING]) == [
        Meter.CALLS_WEB_SEARCH,
        Meter.CALLS_WEB_SEARCH_PREVIEW,
        Meter.CALLS_WEB_FETCH,
    ]
    assert values.meters("storage.*", [Unit.GB_DAY]) == [Meter.STORAGE_GB_DAYS]
    with pytest.raises(ValueError, match="unknown meter 'inptu'"):
        values.meters("inptu", [Unit.TOKEN])
    with pytest.raises(
        ValueError, match="'input' has another unit; after the currency, use per_mtok"
    ):
        values.meters("input", [Unit.THING])
    with pytest.raises(ValueError, match="has another unit; after the currency, use per_mtok_hour"):
        values.meters("storage.*", [Unit.TOKEN])


@pytest.mark.parametrize(
    ("key", "meter", "per"),
    [
        ("usd_per_mtok", Meter.INPUT, 1_000_000),
        ("cny_per_mtok", Meter.INPUT, 1_000_000),
        ("usd_per_mtok_hour", Meter.STORAGE_TOKEN_HOURS, 1_000_000),
        ("usd_per_mchar", Meter.CHARACTERS, 1_000_000),
        ("usd_per_thousand", Meter.IMAGES, 1_000),
        ("usd_each", Meter.IMAGES, 1),
        ("usd_per_second", Meter.AUDIO_SECONDS, 1),
        ("usd_per_minute", Meter.AUDIO_SECONDS, 60),
        ("usd_per_minute", Meter.CONTAINER_MINUTES, 1),
        ("usd_per_hour", Meter.AUDIO_SECONDS, 3_600),
        ("usd_per_hour", Meter.CONTAINER_MINUTES, 60),
        ("usd_per_hour", Meter.COMPUTE_HOURS, 1),
        ("usd_per_gb_day", Meter.STORAGE_GB_DAYS, 1),
    ],
)
def test_what_a_price_is_for(key: str, meter: Meter, per: int) -> None:
    """The key says how many of which unit; a meter is priced for as many of its own."""
    assert values.prices(key, {meter.value: 5}) == {meter: ((Decimal(5),), Decimal(per))}


def test_an_exact_name_beats_a_pattern() -> None:
    """Wherever in the table they are; steps are a list of prices."""
    found = values.prices("usd_per_mtok", {"input": 3, "input*": [1, 2], "in*": 9})
    assert found[Meter.INPUT] == ((Decimal(3),), Decimal(1_000_000))
    assert found[Meter.INPUT_AUDIO][0] == (Decimal(9),)  # the later of two patterns
    with pytest.raises(ValueError, match=r"unknown unit; after the currency, use per_mtok, "):
        values.prices("usd_per_mile", {"input": 3})


def test_keys_that_hold_prices() -> None:
    """A currency of three letters and what the price is for."""
    assert values.PRICE_KEY.fullmatch("usd_each")
    assert values.PRICE_KEY.fullmatch("cny_per_mtok")
    assert not values.PRICE_KEY.fullmatch("euro_each")
    assert not values.PRICE_KEY.fullmatch("note")


STEPS: dict[str, object] = {"counter": "month.tokens", "mode": "whole_call", "steps": [0, 5]}


def test_steps_by_volume() -> None:
    """Two or more, from 0 upwards."""
    assert values.ladder(STEPS) == Ladder(
        "month.tokens", Volume.WHOLE_CALL, (Decimal(0), Decimal(5))
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "expected exactly counter, mode and steps"),
        ({"steps": [0]}, "two or more"),
        ({"steps": 0}, "two or more"),
        ({"steps": [1, 5]}, "steps: expected 0 first, then increasing numbers"),
        ({"steps": [0, 5, 4]}, "steps: expected 0 first, then increasing numbers"),
        ({"steps": [0, 5, 5]}, "steps: expected 0 first, then increasing numbers"),
        ({"steps": [0, 0, 5]}, "steps: expected 0 first, then increasing numbers"),
        ({"mode": "all"}, 'mode: expected "marginal" or "whole_call"'),
        ({"mode": 1}, 'mode: expected "marginal" or "whole_call"'),
        ({"counter": ""}, "expected text"),
    ],
)
def test_steps_that_are_refused(change: Mapping[str, object], message: str) -> None:
    """Steps that do not rise, or that begin above 0, leave units without a price."""
    with pytest.raises(ValueError, match=message):
        values.ladder({**STEPS, **change})


@pytest.mark.parametrize("key", ["counter", "mode", "steps"])
def test_steps_need_all_their_keys(key: str) -> None:
    """Counter, mode and steps."""
    with pytest.raises(ValueError, match="expected exactly counter, mode and steps"):
        values.ladder({name: value for name, value in STEPS.items() if name != key})


NIGHT = Schedule(name="night", hours=((time(22), time(6)),))


def clauses(value: object) -> set[Clause]:
    return set(values.when(value, {"night": NIGHT}))


def test_conditions() -> None:
    """Choices, negations, flags, bounds, instants and schedules: one clause each."""
    assert clauses(
        {
            "service_tier": "flex",
            "quality": "hd",
            "region": {"not": ["us", "eu"]},
            "beta": {"has": "one"},
            "prompt_tokens": {"gt": 5, "le": 9},
            "output_tokens": 7,
            "at": {"ge": NOON, "lt": NOON},
            "schedule": "night",
        }
    ) == {
        Clause("service_tier", Op.IN, frozenset({"flex"})),
        Clause("quality", Op.IN, frozenset({"hd"})),
        Clause("region", Op.NOT, frozenset({"us", "eu"})),
        Clause("beta", Op.HAS, "one"),
        Clause("prompt_tokens", Op.GT, Decimal(5)),
        Clause("prompt_tokens", Op.LE, Decimal(9)),
        Clause("output_tokens", Op.IN, frozenset({7})),
        Clause(AT, Op.GE, NOON),
        Clause(AT, Op.LT, NOON),
        Clause("schedule", Op.DURING, NIGHT),
    }


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"at": {"has": NOON}}, "unknown comparison 'has'"),
        ({"at": {"gt": DAY}}, "expected an instant"),
        ({"at": NOON}, "expected a table"),
        ({"schedule": "day"}, "unknown schedule 'day'"),
        ({"schedule": 5}, "expected text"),
        ({"colour": "red"}, "unknown term 'colour'"),
        ({"a": "red"}, "unknown term 'a'"),  # in the order of names before `at`
        ({"prompt_tokens": {"has": "5"}}, "unknown comparison 'has'"),
        ({"prompt_tokens": {"over": 5}}, "unknown comparison 'over'"),
        ({"prompt_tokens": {"gt": "5"}}, "expected a plain number"),
        ({"region": {"like": "eu"}}, "region cannot be compared with 'like'"),
        ({"service_tier": "provisioned_throughput"}, "means 'provisioned'"),
        ({"service_tier": {"gt": 5}}, "service_tier cannot be compared with 'gt'"),
        ({"summed_requests": {"gt": 5}}, "summed_requests cannot be compared with 'gt'"),
        ({"summed_requests": {"has": "x"}}, "cannot be compared with 'has'"),
        ({"region": {"not": 5}}, "region: expected str, found 5"),
        ({"region": ["eu", 5]}, "region: expected str, found 5"),
        ({"region": [["eu"]]}, "region: expected str"),
        ({"service_tier": "batch"}, 'use processing = "batch"'),
        ({"service_tier": "default"}, "'default' means 'standard'"),
    ],
)
def test_conditions_that_are_refused(condition: object, message: str) -> None:
    """A condition that could never hold, or that always would, is a mistake."""
    with pytest.raises(ValueError, match=message):
        clauses(condition)


def test_other_terms_may_have_any_value() -> None:
    """Only a served tier has spellings that are read as another."""
    assert values.term_values(Term.REGION, "default") == {"default"}
    assert values.term_values(Term.PROCESSING, "batch") == {"batch"}
    assert values.term_values(Term.SERVICE_TIER, ["alpha", "zeta"]) == {"alpha", "zeta"}


CALENDAR = Calendar("XX", date(2026, 1, 1), date(2026, 12, 31), frozenset({date(2026, 5, 1)}))


def test_a_schedule() -> None:
    """Hours are enough: every day, in UTC, holidays or not."""
    assert values.schedule("night", {"hours": "22:00-06:00"}, {}) == NIGHT
    full = {
        "hours": ["09:00-12:00", "13:30-24:00"],
        "weekdays": ["mon", "sun"],
        "utc_offset": "-03:30",
        "except_holidays": "XX",
    }
    assert values.schedule("s", full, {"XX": CALENDAR}) == Schedule(
        name="s",
        hours=((time(9), time(12)), (time(13, 30), time(0))),
        weekdays=frozenset({0, 6}),
        offset=-timedelta(hours=3, minutes=30),
        holidays=CALENDAR,
    )
    east = values.schedule("s", {"hours": "22:00-06:00", "utc_offset": "+05:45"}, {})
    assert east.offset == timedelta(hours=5, minutes=45)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"hours": "22:00-06:00", "zone": "UTC", "day": 1}, "unknown key 'day'"),
        ({"hours": "22-06"}, "hours: expected a span such as 09:00-12:00"),
        ({}, "expected text"),
        ({"hours": "22:00-06:00", "weekdays": ["monday"]}, "weekdays: expected some of mon, tue"),
        ({"hours": "22:00-06:00", "utc_offset": "8"}, "utc_offset: expected an offset such as"),
        ({"hours": "22:00-06:00", "except_holidays": "YY"}, "unknown calendar 'YY'"),
        ({"hours": "22:00-25:00"}, "hour must be in"),
    ],
)
def test_schedules_that_are_refused(table: object, message: str) -> None:
    """The message says how it is written."""
    with pytest.raises(ValueError, match=message):
        values.schedule("s", table, {"XX": CALENDAR})


HOLIDAYS: dict[str, object] = {
    "covers": [date(2026, 1, 1), date(2026, 12, 31)],
    "days": [date(2026, 5, 1)],
    "source": "a gazette",
    "checked": DAY,
}


def test_a_calendar() -> None:
    """First and last day that it covers, and the holidays between."""
    assert values.calendar("XX", HOLIDAYS) == CALENDAR


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "expected exactly covers, days, source and checked"),
        ({"covers": [DAY]}, "expected covers = "),
        ({"covers": [DAY, DAY, DAY]}, "expected covers = "),
        ({"covers": DAY}, "expected covers = "),
        ({"days": DAY}, "and days = "),
        ({"days": [NOON]}, "expected a date"),
        ({"source": ""}, "expected text"),
        ({"checked": NOON}, "expected a date"),
    ],
)
def test_calendars_that_are_refused(change: Mapping[str, object], message: str) -> None:
    """A calendar says where it was read, and when."""
    with pytest.raises(ValueError, match=message):
        values.calendar("XX", {**HOLIDAYS, **change})
