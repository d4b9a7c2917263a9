"""Where a call stands on the ladders of prices by volume."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.steps import Positions
from pricing.tariff import Ladder, Volume
from pricing.usage import Quantity

MONTH = "acme/month.tokens"
CALL = "call/0/a.toml:5"


def ladder(*steps: int, mode: Volume = Volume.MARGINAL) -> Ladder:
    return Ladder("month.tokens", mode, tuple(map(Decimal, steps)))


def split(
    steps: Ladder | None, before: int, *quantities: Quantity
) -> list[list[tuple[int, Quantity]]]:
    """The shares of each quantity of one call, after `before` units of earlier ones."""
    positions = Positions({MONTH: before})
    positions.expect([(MONTH, quantity) for quantity in quantities])
    found = [positions.split(MONTH, steps, quantity) for quantity in quantities]
    return [shares for shares in found if shares is not None]


def one_by_one(steps: Sequence[Decimal], before: int, quantity: int) -> list[tuple[int, int]]:
    """Each unit on the last step that fewer units than its number come before, counted up."""
    units = range(before + 1, before + quantity + 1)
    taken = [sum(start < unit for start in steps) - 1 for unit in units]
    return [(step, len(list(units))) for step, units in groupby(taken)]


RISING = st.lists(st.integers(1, 40), min_size=1, max_size=3, unique=True).map(sorted)


@given(RISING, st.integers(0, 50), st.integers(0, 50))
def test_a_marginal_ladder_counts_unit_by_unit(
    rising: list[int], before: int, quantity: int
) -> None:
    """The shares are those of a count of single units, in order, each step once."""
    steps = ladder(0, *rising)
    assert split(steps, before, quantity) == [one_by_one(steps.steps, before, quantity)]


@given(RISING, st.integers(0, 50), st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_quantities_of_one_call_follow_each_other(
    rising: list[int], before: int, quantities: list[int]
) -> None:
    """Each begins where the one before it ended."""
    steps, expected, at = ladder(0, *rising), [], before
    for quantity in quantities:
        expected.append(one_by_one(steps.steps, at, quantity))
        at += quantity
    assert split(steps, before, *quantities) == expected


@pytest.mark.parametrize(
    ("before", "quantity", "step"),
    [(0, 0, 0), (0, 1, 0), (0, 10, 0), (0, 11, 1), (9, 1, 0), (10, 1, 1), (19, 1, 1), (20, 1, 2)],
)
def test_the_step_of_a_whole_call(before: int, quantity: int, step: int) -> None:
    """All of the call is on the step of its last unit; unit 10 is the last of step 0."""
    steps = ladder(0, 10, 20, mode=Volume.WHOLE_CALL)
    assert split(steps, before, quantity) == [[(step, quantity)]]


def test_a_whole_call_is_priced_by_where_it_ends() -> None:
    """Its first quantity too, which alone would be on a lower step."""
    steps = ladder(0, 10, 20, mode=Volume.WHOLE_CALL)
    assert split(steps, 5, 4, 4, 10) == [[(2, 4)], [(2, 4)], [(2, 10)]]


def test_parts_of_a_second() -> None:
    """Quantities need not be whole."""
    shares = split(ladder(0, 2), 1, Decimal("1.5"))
    assert shares == [[(0, Decimal(1)), (1, Decimal("0.5"))]]


def test_without_a_ladder_there_is_one_step() -> None:
    """Whatever was used before; and no counter moves, known or not."""
    positions = Positions({MONTH: 99})
    assert positions.split(MONTH, None, 7) == [(0, 7)]
    assert positions.split("", None, 7) == [(0, 7)]
    assert positions.moved == {}


def test_an_unknown_counter_has_no_shares() -> None:
    """What was used before this call is not known, which is not 0."""
    positions = Positions({})
    positions.expect([(MONTH, 5), ("", 5)])
    assert positions.split(MONTH, ladder(0, 10), 5) is None
    assert positions.moved == {}


def test_a_ladder_within_the_call_starts_anew() -> None:
    """It needs no counter, begins at 0, and moves nothing that outlives the call."""
    positions = Positions({MONTH: 50})
    positions.expect([(CALL, 15), (MONTH, 3)])
    assert positions.split(CALL, ladder(0, 10), 15) == [(0, 10), (1, 5)]
    assert positions.split(CALL, ladder(0, 10), 2) == [(1, 2)]
    assert positions.split(MONTH, ladder(0, 10), 3) == [(1, 3)]
    assert positions.moved == {MONTH: 3}


def test_only_a_name_that_says_call_is_within_the_call() -> None:
    """A counter of which nothing is known is not taken for one that starts at 0."""
    positions = Positions({})
    assert positions.split("calls/0", ladder(0, 10), 5) is None
    assert positions.split("x/call/0", ladder(0, 10), 5) is None
