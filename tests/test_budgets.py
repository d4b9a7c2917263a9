"""Budgets: which calls they count, what a spend means, and what is told once."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_budget_windows import NOW

from pricing.budget import Budget, alert_id, mistakes, percent
from pricing.budget_state import Spend, crossed, crossing, ended, fits, never_fits, state

HUNDRED_USD = Budget(name="search", limit_usd=Decimal(100))
WINDOW = HUNDRED_USD.windows.window(NOW)
MONTH = "2026-11-01T00:00Z/2026-12-01T00:00Z"


def percents(*numbers: int) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, numbers))


def spend(usd: object = 0, **more: object) -> Spend:
    return Spend(spent=Decimal(str(usd)), **more)  # type: ignore[arg-type]  # as written below


def test_scopes() -> None:
    """All dimensions must agree; `*` makes one budget for each value, and one for calls without."""
    one = Budget(name="b", scope={"team": "search", "tag.squad": "red"})
    assert one.matches({"team": "search", "tag.squad": "red", "user": "ann"}) == ()
    assert one.matches({"team": "search"}) is None
    assert one.matches({"team": "chat", "tag.squad": "red"}) is None
    each = Budget(name="b", scope={"user": "*", "team": "search"})
    assert each.matches({"team": "search", "user": "ann"}) == (("user", "ann"),)
    assert each.matches({"team": "search"}) == (("user", ""),)
    assert each.matches({"user": "ann"}) is None
    assert Budget(name="b").matches({}) == ()


def test_limits() -> None:
    """One of three units; none is unlimited."""
    assert (HUNDRED_USD.unit, HUNDRED_USD.limit) == ("usd", Decimal(100))
    tokens = Budget(name="b", limit_tokens=5)
    assert (tokens.unit, tokens.limit) == ("tokens", Decimal(5))
    assert (Budget(name="b", limit_calls=0).unit, Budget(name="b", limit_calls=0).limit) == (
        "calls",
        Decimal(0),
    )
    assert state(Budget(name="b"), spend(9)).name == "unlimited"


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"limit_usd": Decimal(-1)}, "limit_usd", "at least 0"),
        ({"limit_usd": Decimal("NaN")}, "limit_usd", "at least 0"),
        ({"limit_usd": Decimal("Infinity")}, "limit_usd", "at least 0"),
        ({"limit_calls": -5}, "limit_calls", "0 blocks every call"),
        ({"limit_usd": Decimal(1), "limit_calls": 1}, "limit_calls", "limit_usd is set too"),
        ({"scope": {"teem": "x"}}, "scope.teem", "unknown dimension"),
        ({"scope": {"tag.team": "x"}}, "scope.tag.team", 'write team = "x"'),
        ({"scope": {"tag.session": "x"}}, "scope.tag.session", "no call matches"),
        ({"scope": {"tag.": "x"}}, "scope.tag.", "tag's name"),
        ({"scope": {"team": ""}}, "scope.team", "must not be empty"),
        ({"scope": {"model": "gpt-*"}}, "scope.model", 'only "*" alone'),
        ({"period": "fortnight"}, "period", "rolling 24h"),
        ({"period": "rolling 0h"}, "period", "rolling 24h"),
        ({"period": "rolling 9000h"}, "period", "at most rolling 8784h"),
        ({"timezone": "Mars/Base"}, "timezone", "unknown time zone"),
        ({"anchor_day": 32}, "anchor_day", "1 to 31"),
        ({"period": "day", "anchor_day": 2}, "anchor_day", "has no effect"),
        ({"week_start": "sunday"}, "week_start", "only with week"),
        ({"thresholds": (50, 50.0)}, "thresholds", "50 is listed twice"),
        ({"thresholds": (-1.0,)}, "thresholds", "above 0"),
        ({"thresholds": (float("nan"),)}, "thresholds", "above 0"),
        ({"thresholds": ("forcast",)}, "thresholds", '"forecast"'),
        ({"thresholds": ("forecast",), "period": "total"}, "thresholds", "window that ends"),
        ({"thresholds": ("forecast",), "period": "rolling 24h"}, "thresholds", "window that ends"),
        ({"thresholds": tuple(range(1, 30))}, "thresholds", "at most 20"),
        ({"action": "stop"}, "action", "alert | shadow | block | throttle"),
        ({"status": 500}, "status", "429 | 402 | 403"),
        ({"reserve": "best"}, "reserve", "worst | typical | none"),
        ({"unknown": "zero"}, "unknown", "ceiling | refuse"),
        ({"fail": "shut"}, "fail", "open | closed"),
        ({"action": "block"}, "action", "needs a limit"),
        ({"close_sockets": True}, "close_sockets", "has no effect"),
        ({"unknown": "refuse", "unknown_usd": Decimal(1)}, "unknown_usd", "contradicts"),
        ({"name": "Search"}, "", "invalid name"),
    ],
)
def test_mistakes(given: dict[str, object], field: str, says: str) -> None:
    """Each is named by its field, and a budget without one has none."""
    budget = Budget(**{"name": "b", **given})  # type: ignore[arg-type]  # mistakes, on purpose
    found = [what for name, what in mistakes(budget) if name == field]
    assert any(says in what for what in found), list(mistakes(budget))
    assert list(mistakes(HUNDRED_USD)) == []


def test_states() -> None:
    """Thresholds look at what rows say; what is left also at what is held back or uncertain."""
    found = state(HUNDRED_USD, spend(80, reserved=Decimal(15), uncertain=Decimal(3)))
    assert (found.name, found.percent, found.left) == ("warning", Decimal(80), Decimal(2))
    assert found.crossed == (Decimal(50), Decimal(80))
    assert state(HUNDRED_USD, spend("49.999999999999999999")).name == "ok"
    assert state(HUNDRED_USD, spend(99, unknown=Decimal(1))).name == "spent"
    assert state(HUNDRED_USD, spend(150)).left == 0


def test_a_limit_of_zero() -> None:
    """It blocks every call, is spent from the start, and tells with the first call or refusal."""
    none = Budget(name="b", limit_calls=0, action="block")
    assert (state(none, spend()).name, state(none, spend()).percent) == ("spent", None)
    assert (fits(none, spend(), Decimal(0), free=True), never_fits(none, Decimal(0))) == (
        False,
        True,
    )
    assert crossed(none, spend()) == ()
    assert crossed(none, spend(refused=1)) == percents(50, 80, 100)


def test_what_fits() -> None:
    """Everything committed counts; a free call passes even when all is spent."""
    held = spend(60, reserved=Decimal(30), uncertain=Decimal(5))
    assert fits(HUNDRED_USD, held, Decimal(5))
    assert not fits(HUNDRED_USD, held, Decimal("5.01"))
    assert not fits(HUNDRED_USD, spend(100), Decimal(0))
    assert fits(HUNDRED_USD, spend(100), Decimal(0), free=True)
    assert fits(Budget(name="b"), spend(10**9), Decimal(10**9))
    assert never_fits(HUNDRED_USD, Decimal(101)) is True
    assert never_fits(HUNDRED_USD, Decimal(100)) is False


def test_one_message_for_several_thresholds() -> None:
    """It names the highest and lists all; each is told once in a window, also in the next one."""
    first = crossing(HUNDRED_USD, (), WINDOW, spend(85), told=())
    assert first is not None
    assert (first.highest, first.thresholds) == (Decimal(80), percents(50, 80))
    assert first.ids == (f"search:{MONTH}:50", f"search:{MONTH}:80")
    assert crossing(HUNDRED_USD, (), WINDOW, spend(99), first.ids) is None
    second = crossing(HUNDRED_USD, (), WINDOW, spend(200), first.ids)
    assert second is not None
    assert second.thresholds == percents(100)
    assert WINDOW.end is not None
    after = HUNDRED_USD.windows.window(WINDOW.end)
    told = (*first.ids, *second.ids)
    again = crossing(HUNDRED_USD, (), after, spend(50), told)
    assert again is not None
    assert again.thresholds == percents(50)
    assert ended(HUNDRED_USD, (), WINDOW, spend(200), told) == ()
    assert set(ended(HUNDRED_USD, (), after, spend(), told)) == set(told)


def test_the_first_refusal_is_told() -> None:
    """A call that reservations turn away reaches 100, and all below it."""
    found = crossing(HUNDRED_USD, (), WINDOW, spend(60, refused=1), told=())
    assert found is not None
    assert found.thresholds == percents(50, 80, 100)
    more = Budget(name="b", limit_usd=Decimal(100), thresholds=(100.0, 120.0))
    assert crossed(more, spend(60, refused=1)) == percents(100)


def test_values_do_not_mix() -> None:
    """Ids of two values differ whatever they contain; one's end is not the other's."""
    each = Budget(name="b", scope={"user": "*"}, limit_usd=Decimal(1))
    odd = [(("user", name),) for name in ("", "a", "a:80", "a]", "a,b=c", "é", "%61")]
    ids = {alert_id(each, key, WINDOW, 80) for key in odd}
    assert len(ids) == len(odd)
    assert WINDOW.end is not None
    after = each.windows.window(WINDOW.end)
    assert len(ended(each, odd[2], after, spend(), ids)) == 1
    assert ended(Budget(name="other"), (), after, spend(), ids) == ()


def test_rolling_windows_tell_again_only_after_they_fell() -> None:
    """The window moves on every 15 minutes; what still holds is not told again."""
    rolling = Budget(name="b", limit_usd=Decimal(100), period="rolling 24h")
    window = rolling.windows.window(NOW)
    assert window.end is not None
    later = rolling.windows.window(window.end)
    first = crossing(rolling, (), window, spend(85), told=())
    assert first is not None
    assert crossing(rolling, (), later, spend(85), first.ids) is None
    fallen = ended(rolling, (), later, spend(60), first.ids)
    assert fallen == (first.ids[1],)
    again = crossing(rolling, (), later, spend(85), set(first.ids) - set(fallen))
    assert again is not None
    assert again.ids == (alert_id(rolling, (), later, 80),)


amounts = st.decimals(0, 10**6, places=6)


@given(st.lists(amounts, min_size=1, max_size=30), st.decimals("0.01", 10**6, places=2))
def test_however_spend_grows_each_threshold_is_told_once(
    steps: list[Decimal], limit: Decimal
) -> None:
    """Exactly those that the final spend reaches, in ascending order."""
    budget = Budget(name="b", limit_usd=limit, thresholds=(10.0, 50.0, 99.5, 100.0, 150.0))
    told: list[str] = []
    total = Decimal(0)
    seen: list[Decimal] = []
    for step in steps:
        total += step
        if found := crossing(budget, (), WINDOW, Spend(spent=total), told):
            told += found.ids
            seen += found.thresholds
    assert seen == sorted(set(seen)) == list(crossed(budget, Spend(spent=total)))
    assert all(total * 100 >= one * limit for one in seen)


def test_thresholds_as_text() -> None:
    """Without digits that mean nothing."""
    assert [percent(one) for one in (80.0, Decimal("99.50"), 100, "forecast", 0.1)] == [
        *("80", "99.5", "100", "forecast", "0.1")
    ]
