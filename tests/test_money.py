"""Money as people read it: `pricing.money`, and the same rules in the console."""

import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import Status
from pricing.money import aligned, amount, calls, difference, doubts, money, status_of_sum
from proxy.commands import terminal
from proxy.commands.terminal import Column

SHOWN = [
    (None, "unpriced", "unknown"),
    (None, "partial", "unknown"),
    ("0", "exact", "$0.00"),
    ("0", "not_billed", "$0.00"),
    ("0", "partial", "unknown"),
    ("0", "unpriced", "unknown"),
    ("12.4", "exact", "$12.40"),
    ("12.4", "estimated", "≈ $12.40"),
    ("12.409", "partial", "≥ $12.40"),
    ("12.409", "exact", "$12.41"),
    ("0.0004", "exact", "$0.0004"),
    ("0.00012345", "exact", "$0.000123"),
    ("0.00012399", "partial", "≥ $0.000123"),
    ("0.5", "exact", "$0.50"),
    ("0.9999", "exact", "$1.00"),
    ("0.0000000001", "exact", "$0.0000000001"),
    ("1234567.891", "exact", "$1,234,567.89"),
    ("-0.0079", "estimated", "≈ -$0.0079"),
    ("0E-20", "exact", "$0.00"),
    ("1", "exact", "$1.00"),
    ("1.015", "exact", "$1.02"),
    ("12.3456", "exact", "$12.35"),
    ("0.000000000123", "exact", "$0.000000000123"),
    ("0.0000000000123", "exact", "$1.23e-11"),
]


@pytest.mark.parametrize(("usd", "status", "shown"), SHOWN)
def test_an_amount_shows_how_far_to_trust_it(usd: str | None, status: str, shown: str) -> None:
    """Unknown is a word, small is not zero, a bound and an estimate have their marks."""
    assert amount(usd, status) == shown


@given(st.decimals(0, 10**6, places=18), st.sampled_from(list(Status)))
def test_no_bound_is_rounded_up(usd: Decimal, status: Status) -> None:
    """A lower bound stays one, and only a known 0 looks like $0.00."""
    shown = amount(usd, status)
    if status is Status.PARTIAL and usd:
        assert Decimal(shown.removeprefix("≥ $").replace(",", "")) <= usd
    if shown.endswith("$0.00"):
        assert usd == 0
        assert status not in (Status.PARTIAL, Status.UNPRICED)


def test_a_sum_says_how_many_calls_it_lacks() -> None:
    """In a sentence the number stands behind the amount, in a table in a column of its own."""
    assert money("3", "partial", 1) == "≥ $3.00 (1 call unknown)"
    assert money("3", "exact", 2) == "≥ $3.00 (2 calls unknown)"
    assert money(None, "unpriced", 2) == "unknown (2 calls)"
    assert money("3") == "$3.00"
    assert doubts(1, 2, 5) == "1 unknown, 2 lower bound, 3 estimated"
    assert doubts() == ""
    assert doubts(0, 2, 1) == "2 lower bound"
    assert money("3", "exact", 1_000) == "≥ $3.00 (1,000 calls unknown)"
    assert calls(0) == "0 calls"


@pytest.mark.parametrize(
    ("usd", "counts", "status"),
    [
        (None, {"unknown": 1}, Status.UNPRICED),
        ("1", {"unknown": 1, "inexact": 1}, Status.PARTIAL),
        ("1", {"partial": 1, "inexact": 1}, Status.PARTIAL),
        ("1", {"inexact": 1}, Status.ESTIMATED),
        ("1", {}, Status.EXACT),
    ],
)
def test_a_sum_is_as_good_as_its_worst_call(
    usd: str | None, counts: dict[str, int], status: Status
) -> None:
    """What lacks a call is a lower bound, whatever the others are."""
    assert status_of_sum(usd, **counts) is status


def test_a_difference_has_a_sign() -> None:
    """Also where it is not negative, and none where it is unknown."""
    assert [difference(usd) for usd in ("1", "-1", "0", None)] == [
        *("+$1.00", "-$1.00", "+$0.00", "unknown"),
    ]
    assert difference("1", "estimated") == "≈ +$1.00"


def test_decimal_points_are_below_each_other() -> None:
    """In a column of money, whatever marks and places its amounts have."""
    assert aligned(["$12.40", "≥ $0.0004", "unknown"]) == ["$12.40  ", "≥ $0.0004", "unknown"]
    out = io.StringIO()
    rows = [{"a": text, "b": "x"} for text in ("$12.40", "≈ $0.0004", "unknown")]
    terminal.show((Column("a", "cost", money=True), Column("b", "b")), rows, out)
    assert out.getvalue().splitlines() == [
        *("     cost  b", " $12.40    x", "≈ $0.0004  x", "  unknown  x"),
    ]
