"""When a price applies: hours and holidays, clauses, and which clause is inside which."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.condition import AT, SCHEDULE, Calendar, Clause, Op, Schedule, implies
from pricing.usage import TermValue

DAY_MINUTES = 24 * 60
CLOCKS = st.integers(0, DAY_MINUTES - 1)
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def clock(minutes: int) -> time:
    return time(minutes // 60, minutes % 60)


def minutes_of(start: int, end: int) -> set[int]:
    """The minutes of a day from `start` until `end` comes round, as a clock's hand passes them."""
    passed = {start}
    hand = (start + 1) % DAY_MINUTES
    while hand != end:
        passed.add(hand)
        hand = (hand + 1) % DAY_MINUTES
    return passed


@given(
    spans=st.lists(
        st.tuples(CLOCKS, CLOCKS).filter(lambda s: s[0] != s[1]), min_size=1, max_size=2
    ),
    weekdays=st.frozensets(st.integers(0, 6)),
    offset_minutes=st.integers(-14 * 60, 14 * 60),
    at=INSTANTS,
)
def test_hours_of_the_week(
    spans: list[tuple[int, int]], weekdays: frozenset[int], offset_minutes: int, at: datetime
) -> None:
    """A schedule holds in the minutes that its spans pass, on its weekdays, by its own clock."""
    offset = timedelta(minutes=offset_minutes)
    schedule = Schedule(
        name="s",
        hours=tuple((clock(start), clock(end)) for start, end in spans),
        weekdays=weekdays,
        offset=offset,
    )
    there = at.replace(tzinfo=None) + offset
    inside = set[int]().union(*(minutes_of(*span) for span in spans))
    expected = there.weekday() in weekdays and there.hour * 60 + there.minute in inside
    assert schedule.holds(at) is expected
    assert schedule.known(at)


NIGHT = Schedule(name="night", hours=((time(22), time(6)),))


@pytest.mark.parametrize(
    ("clock_time", "holds"),
    [
        ("21:59:59.999999", False),
        ("22:00:00", True),
        ("23:59:59.999999", True),
        ("00:00:00", True),
        ("05:59:59.999999", True),
        ("06:00:00", False),
        ("12:00:00", False),
    ],
)
def test_a_span_over_midnight(clock_time: str, holds: bool) -> None:
    """It holds from its start to midnight and from midnight up to, not at, its end."""
    assert NIGHT.holds(datetime.fromisoformat(f"2026-11-20T{clock_time}+00:00")) is holds


def test_a_span_that_ends_where_it_starts_is_the_whole_day() -> None:
    """00:00-24:00 is read as midnight to midnight, and holds at every instant."""
    always = Schedule(name="always", hours=((time(0), time(0)),))
    assert all(always.holds(datetime(2026, 11, 20, hour, tzinfo=UTC)) for hour in range(24))
    from_nine = Schedule(name="always", hours=((time(9), time(9)),))
    assert all(from_nine.holds(datetime(2026, 11, 20, hour, tzinfo=UTC)) for hour in range(24))


def test_weekdays_are_of_the_instant() -> None:
    """The hours after midnight belong to the day that they are on, not to the one before."""
    friday_night = Schedule(name="s", hours=((time(22), time(6)),), weekdays=frozenset({4}))
    assert friday_night.holds(datetime(2026, 11, 20, 23, tzinfo=UTC))
    assert not friday_night.holds(datetime(2026, 11, 21, 1, tzinfo=UTC))
    assert friday_night.holds(datetime(2026, 11, 20, 1, tzinfo=UTC))


def test_every_day_of_the_week_is_the_default() -> None:
    """A schedule without weekdays holds from Monday to Sunday, in UTC."""
    noon = Schedule(name="noon", hours=((time(12), time(13)),))
    week = [datetime(2026, 11, day, 12, tzinfo=UTC) for day in range(16, 23)]
    assert {at.weekday() for at in week} == set(range(7))
    assert all(noon.holds(at) for at in week)


CALENDAR = Calendar("XX", date(2026, 1, 1), date(2026, 12, 31), frozenset({date(2026, 5, 1)}))
BEIJING = timedelta(hours=8)
OFFICE = Schedule(name="s", hours=((time(0), time(12)),), offset=BEIJING, holidays=CALENDAR)


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        ("2026-04-30T23:59:00+08:00", False),  # not within the hours
        ("2026-05-01T00:00:00+08:00", False),  # the holiday begins
        ("2026-05-01T11:59:00+08:00", False),
        ("2026-05-02T00:00:00+08:00", True),
        ("2026-05-01T16:00:00+00:00", True),  # the second of May there
        ("2026-04-30T16:00:00+00:00", False),  # the first of May there
    ],
)
def test_holidays_by_local_date(at: str, holds: bool) -> None:
    """On a holiday of the place, no hour counts."""
    assert OFFICE.holds(datetime.fromisoformat(at)) is holds


@pytest.mark.parametrize(
    ("at", "known"),
    [
        ("2025-12-31T11:00:00+08:00", False),  # the day before the list begins
        ("2026-01-01T00:00:00+08:00", True),
        ("2025-12-31T16:00:00+00:00", True),  # the first of January there
        ("2026-12-31T11:00:00+08:00", True),  # the last day listed
        ("2027-01-01T00:00:00+08:00", False),
        ("2027-01-01T12:00:00+08:00", True),  # outside the hours, a holiday changes nothing
        ("2025-12-31T13:00:00+08:00", True),
    ],
)
def test_what_is_known_of_holidays(at: str, known: bool) -> None:
    """Only where the list does not reach, and only within the hours, may a holiday be missed."""
    assert OFFICE.known(datetime.fromisoformat(at)) is known


A_B = frozenset({"a", "b"})


@pytest.mark.parametrize(
    ("clause", "fact", "holds"),
    [
        (Clause("region", Op.IN, A_B), "a", True),
        (Clause("region", Op.IN, A_B), "c", False),
        (Clause("region", Op.IN, A_B), None, False),
        (Clause("region", Op.NOT, A_B), "a", False),
        (Clause("region", Op.NOT, A_B), "c", True),
        (Clause("region", Op.NOT, A_B), None, True),
        (Clause("beta", Op.HAS, "one"), "one", True),
        (Clause("beta", Op.HAS, "one"), "two, one ,three", True),
        (Clause("beta", Op.HAS, "one"), "one-more", False),
        (Clause("beta", Op.HAS, "one"), None, False),
        (Clause("n", Op.GT, 5), 5, False),
        (Clause("n", Op.GT, 5), 6, True),
        (Clause("n", Op.GE, 5), 4, False),
        (Clause("n", Op.GE, 5), 5, True),
        (Clause("n", Op.LT, 5), 5, False),
        (Clause("n", Op.LT, 5), 4, True),
        (Clause("n", Op.LE, 5), 6, False),
        (Clause("n", Op.LE, 5), 5, True),
        (Clause("n", Op.LE, 5), None, False),
        (Clause("n", Op.LE, 5), "5", False),  # of the wrong type
    ],
)
def test_a_clause_holds(clause: Clause, fact: TermValue | None, holds: bool) -> None:
    """One fact against one value; what is not known meets nothing but `not`."""
    facts: dict[str, TermValue] = {} if fact is None else {clause.term: fact}
    assert clause.holds(facts) is holds


def test_a_schedule_is_held_against_the_instant() -> None:
    """A clause that names a schedule looks at the instant of the price and at nothing else."""
    clause = Clause(SCHEDULE, Op.DURING, NIGHT)
    assert clause.holds({AT: datetime(2026, 11, 20, 23, tzinfo=UTC)})
    assert not clause.holds({AT: datetime(2026, 11, 20, 12, tzinfo=UTC)})
    assert not clause.holds({AT: "tonight"})


BOUNDS = [Clause("n", op, n) for op in (Op.GT, Op.GE, Op.LT, Op.LE) for n in (1, 2, 3)]
BETWEEN = [Decimal(n) / 2 for n in range(9)]  # on each bound and between any two


def test_a_bound_inside_a_bound() -> None:
    """A bound is inside another exactly if every number that meets it meets the other."""
    for one, other in product(BOUNDS, repeat=2):
        inside = all(other.holds({"n": n}) for n in BETWEEN if one.holds({"n": n}))
        assert one.implies(other) is inside, (one, other)


SETS = [frozenset(text) for text in ("a", "b", "ab", "bc", "abc")]
CHOICES = [Clause("x", op, values) for op in (Op.IN, Op.NOT) for values in SETS]


def test_a_choice_inside_a_choice() -> None:
    """A choice is inside another exactly if every value that meets it, or none, meets the other."""
    facts: list[dict[str, TermValue]] = [{}]
    facts += [{"x": value} for value in "abcdef"]
    for one, other in product(CHOICES, repeat=2):
        inside = all(other.holds(fact) for fact in facts if one.holds(fact))
        assert one.implies(other) is inside, (one, other)


IN_5 = Clause("n", Op.IN, frozenset({5}))
OVER_3 = Clause("n", Op.GT, 3)
HAS_A = Clause("beta", Op.HAS, "a")
HAS_B = Clause("beta", Op.HAS, "b")
DAY = Schedule(name="day", hours=((time(6), time(22)),))
AT_NIGHT, BY_DAY = Clause(SCHEDULE, Op.DURING, NIGHT), Clause(SCHEDULE, Op.DURING, DAY)


def test_a_clause_is_inside_itself() -> None:
    """Whatever it asks."""
    assert all(clause.implies(clause) for clause in (IN_5, OVER_3, HAS_A, AT_NIGHT))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (OVER_3, Clause("m", Op.GT, 3)),
        (OVER_3, Clause("m", Op.GT, 1)),
        (Clause("x", Op.IN, A_B), Clause("y", Op.IN, A_B)),
        (IN_5, OVER_3),  # true, but of two kinds: in doubt
        (OVER_3, IN_5),
        (HAS_A, HAS_B),
        (HAS_B, HAS_A),
        (AT_NIGHT, BY_DAY),
        (BY_DAY, AT_NIGHT),
        (HAS_A, Clause("beta", Op.IN, frozenset({"a"}))),
        (Clause("beta", Op.IN, frozenset({"a"})), HAS_A),
        (HAS_A, Clause("beta", Op.LT, 3)),
        (Clause("beta", Op.LT, 3), HAS_A),
    ],
)
def test_no_clause_is_inside_one_of_another_kind(one: Clause, other: Clause) -> None:
    """Other terms, other kinds of question: in doubt a clause is not inside."""
    assert not one.implies(other)


CLAUSES = st.sampled_from([*BOUNDS, *CHOICES, HAS_A, HAS_B])
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.decimals(0, 4, places=1),
        "x": st.sampled_from("abcdef"),
        "beta": st.sampled_from(["a", "b", "a,b", ""]),
    },
)


@given(st.frozensets(CLAUSES, max_size=3), st.frozensets(CLAUSES, max_size=3), FACTS)
def test_conditions_inside_conditions(
    when: frozenset[Clause], other: frozenset[Clause], facts: dict[str, TermValue]
) -> None:
    """If one set of clauses is inside another, no call is under the first and not the second."""
    if implies(when, other) and all(clause.holds(facts) for clause in when):
        assert all(clause.holds(facts) for clause in other)


def test_every_wanted_clause_needs_one_that_implies_it() -> None:
    """More clauses are inside fewer; everything is inside no condition at all."""
    over_2, in_a = Clause("n", Op.GT, 2), Clause("x", Op.IN, frozenset("a"))
    assert implies(frozenset({OVER_3, in_a}), frozenset({over_2}))
    assert implies(frozenset({OVER_3, in_a}), frozenset({over_2, in_a}))
    assert implies(frozenset({OVER_3}), frozenset())
    assert not implies(frozenset({OVER_3}), frozenset({over_2, in_a}))
    assert not implies(frozenset(), frozenset({over_2}))
