"""Numbers as JSON has them, and the sum that a usage block must have."""

from decimal import Decimal

import pytest

from pricing import Meter, Origin
from pricing.cause import about, texts
from pricing.reason import Reason
from proxy.dialects.tally import Tally, seconds, split
from proxy.dialects.values import QUANTITY_MAX, decimal, figure, integer

NONE: tuple[object, ...] = (
    "7",
    True,
    None,
    [],
    {},
    float("inf"),
    float("nan"),
    Decimal("NaN"),
    Decimal("-Infinity"),
)
LARGEST = 10**18 - 1


def test_the_largest_quantity() -> None:
    """A number with a few letters must not become one with a billion digits."""
    assert QUANTITY_MAX == 10**18


@pytest.mark.parametrize(
    ("value", "whole", "exact", "shown"),
    [
        (0, 0, Decimal(0), 0),
        (7, 7, Decimal(7), 7),
        (7.0, 7, Decimal(7), 7.0),
        (Decimal("7.0"), 7, Decimal(7), 7.0),
        (7.5, None, Decimal("7.5"), 7.5),
        (Decimal("0.1"), None, Decimal("0.1"), 0.1),
        (-1, None, None, -1),
        (-0.5, None, None, -0.5),
        (LARGEST, LARGEST, Decimal(LARGEST), LARGEST),
        (10**18, None, None, None),
        (10**18 + 1, None, None, None),
        (-LARGEST, None, None, -LARGEST),
        (-(10**18), None, None, None),
        (-(10**18) - 1, None, None, None),
        (Decimal("1e999999999"), None, None, None),
        *((value, None, None, None) for value in NONE),
    ],
)
def test_numbers(
    value: object, whole: int | None, exact: Decimal | None, shown: float | None
) -> None:
    """A count is whole and not negative, an amount not negative; for display any number will do."""
    assert integer(value) == whole
    assert decimal(value) == exact
    assert figure(value) == shown
    assert type(integer(value)) is type(whole)
    assert type(figure(value)) is type(shown)


@pytest.mark.parametrize(
    ("value", "found"),
    [(None, None), ("2", 2), ("2.0", 2), ("2.5", Decimal("2.5")), ("2.6", Decimal("2.6"))],
)
def test_seconds(value: str | None, found: object) -> None:
    """Whole ones are an int, so that equal usage compares equal."""
    given = None if value is None else Decimal(value)
    assert seconds(given) == found
    assert type(seconds(given)) is type(found)


def test_tallies_add_up() -> None:
    """What two blocks count is one sum, with the doubts of both."""
    one, two = Tally({"new": 3}, {}), Tally.inferred()
    one.add(Meter.INPUT, 5)
    two.add(Meter.INPUT, 2)
    two.add(Meter.OUTPUT, 1)
    two.leave_out("smell", 4)
    two.flag(about(Reason.USAGE_NEGATIVE, "x"))
    one.merge(two)
    assert one.quantity(Meter.INPUT) == 7
    assert one.quantity(Meter.OUTPUT) == 1
    one.expect_total(12)
    assert texts(one.reasons) == (
        "unknown_usage_field:new",
        "unknown_modality:smell",
        "usage_negative:x",
    )
    assert texts(one.unknown()) == ("unknown_usage_field:new", "unknown_modality:smell")
    one.expect_total(8)
    assert texts(one.reasons)[-1] == "usage_sum_mismatch:total:12!=8"


@pytest.mark.parametrize(("rest", "kept"), [(1, 1), (Decimal("0.5"), Decimal("0.5")), (0, None)])
def test_a_partition_has_what_is_above_zero(rest: int | Decimal, kept: object) -> None:
    """Less than one is something; nothing is not listed."""
    tally = Tally.inferred()
    tally.add(Meter.INPUT, rest)
    assert tally.usage().quantities.get(Meter.INPUT) == kept
    assert not tally.reasons


def test_what_cancels_out_is_no_fault() -> None:
    """Two blocks may correct each other."""
    tally = Tally.inferred()
    tally.add(Meter.INPUT, 5)
    tally.add(Meter.INPUT, -5)
    assert not any(tally.usage().quantities.values())
    assert not tally.reasons


@pytest.mark.parametrize("less", [1, 2])
def test_parts_that_exceed_the_whole(less: int) -> None:
    """The rest is negative: it is left out and named, not clamped."""
    tally = Tally.inferred()
    split(tally, 10 - less, Meter.INPUT, {Meter.CACHE_READ: 10, Meter.INPUT_AUDIO: None})
    assert tally.usage(Origin.COUNTED).quantities == {Meter.CACHE_READ: 10}
    assert texts(tally.reasons) == ("usage_negative:input",)
