"""How a budget came to hold what it holds: steps that add up, and who is named."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pricing.budget import Budget
from proxy.budgets.history import POINTS_MAX, contributors, dimensions, points, question

START = datetime(2026, 11, 1, tzinfo=UTC)


def budget(**more: Any) -> Budget:
    return Budget(name="b", limit_usd=Decimal(5), **more)


rows = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(0, 4_000).map(lambda n: int(START.timestamp()) + 900 * n),
            "cost_usd": st.decimals(0, 10, places=9).map(str),
            "tokens": st.integers(0, 10**9),
            "calls": st.integers(0, 100),
            "unknown_calls": st.integers(0, 3),
        }
    ),
    max_size=60,
)


@given(rows)
def test_steps_add_up_to_the_last_digit(found: list[dict[str, Any]]) -> None:
    """Amounts, the sum so far, and the calls of unknown price; in the order of time."""
    steps = points(budget(), found)
    assert [one["at"] for one in steps] == sorted({str(one["at"]) for one in steps})
    total = sum((Decimal(row["cost_usd"]) for row in found), Decimal(0))
    assert sum((Decimal(str(one["amount"])) for one in steps), Decimal(0)) == total
    assert not steps or Decimal(str(steps[-1]["total"])) == total
    assert sum(int(str(one["unknown_calls"])) for one in steps) == sum(
        row["unknown_calls"] for row in found
    )


def test_a_long_window_has_few_points() -> None:
    """Neighbours are added up, so nothing is lost."""
    hours = [
        {"at": 3600 * n, "cost_usd": "0.5", "tokens": 1, "calls": 1, "unknown_calls": 0}
        for n in range(POINTS_MAX * 2 + 1)
    ]
    steps = points(budget(), hours)
    assert len(steps) <= POINTS_MAX
    assert steps[-1]["total"] == "1000.5"
    assert points(Budget(name="b", limit_calls=5), hours)[-1]["total"] == "2001"
    assert points(budget(), []) == []


def test_the_question_is_about_one_key_and_its_window() -> None:
    """The values of `*` are those of the key; short windows are cut finely."""
    each = budget(scope={"user": "*", "team": "search"}, period="day")
    asked = question(each, (("user", "ann"),), each.windows.window(START))
    assert (asked.scope, asked.step) == ({"user": "ann", "team": "search"}, "bucket")
    assert asked.until == START + timedelta(days=1)
    month = budget()
    assert question(month, (), month.windows.window(START)).step == "hour"


def test_contributors_are_told_by_what_the_scope_leaves_open() -> None:
    """A budget of one team need not be told that it was that team."""
    assert dimensions(budget()) == ("team", "model")
    assert dimensions(budget(scope={"team": "search"})) == ("model",)
    assert dimensions(budget(scope={"team": "*", "model": "m"})) == ("team",)
    assert contributors(budget(), [{"k0": "a", "k1": "m", "cost_usd": "2"}]) == [
        {"team": "a", "model": "m", "cost_usd": "2"}
    ]
