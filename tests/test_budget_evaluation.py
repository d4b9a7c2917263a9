"""What is told of budgets: once per window and threshold, by the clock, over restarts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporters.notify.notice import Notice
from pricing import TariffBook
from pricing.budget import Budget, parse_alert_id
from proxy.budgets.ceiling import Ceilings
from proxy.budgets.evaluation import Evaluation
from proxy.budgets.spending import Spending
from proxy.gate.account import Account, Held
from proxy.notices.notices import Notices
from proxy.notices.outbox import Outbox
from support.spending import NOW, WRITER, FakeStore, batch, record

DAY = Budget(
    name="day", scope={"team": "search"}, limit_usd=Decimal(10), period="day", notify=("ops",)
)
ID = "day:2026-11-20T00:00Z/2026-11-21T00:00Z:"


class Meter:
    """Budgets of one data directory, as after a start; `told` are all messages, in order."""

    def __init__(self, path: Path, *budgets: Budget, store: FakeStore | None = None) -> None:
        self.store = store or FakeStore()
        self.spending = Spending(self.store.ask, lambda: WRITER, shared=True)
        self.store.spending = self.spending
        self.spending.watch(budgets)
        self.spending.drained()
        self.outbox = Outbox(path)
        self.notices = Notices(self.outbox)
        self.held: dict[Account, Held] = {}
        self.told: list[Notice] = []
        book = TariffBook.parse({})
        self.evaluation = Evaluation(
            self.spending,
            lambda: Ceilings(book, NOW),
            self.notices,
            lambda: self.held,
            lambda budget, key, window: Decimal(0),
        )
        tell: Callable[..., bool] = self.notices.tell

        def noted(notice: Notice, targets: Any = ()) -> bool:
            new = tell(notice, targets)
            self.told += [notice] * new
            return new

        self.notices.tell = noted  # type: ignore[method-assign]  # listens

    async def look(self, now: datetime = NOW) -> list[str]:
        """The titles of what is told now."""
        before = len(self.told)
        await self.spending.refresh(now)
        self.evaluation.update(now)
        self.evaluation.look(now)
        self.evaluation.end(now)
        return [f"{one.head} {one.key}" for one in self.told[before:]]

    def spend(self, number: int, usd: object, at: datetime = NOW) -> None:
        """A call is metered and delivered."""
        one = record(number, usd, at, team="search")
        self.spending.observe(one)
        self.store.take([one])
        self.spending.delivered(batch([one]))


async def test_one_message_for_several_thresholds(tmp_path: Path) -> None:
    """It names the highest and lists all; what is crossed later is told alone, and all once."""
    meter = Meter(tmp_path / "outbox", DAY)
    assert await meter.look() == []
    meter.spend(1, 9)
    assert await meter.look() == [f"WARNING {ID}80"]
    assert meter.told[0].facts["thresholds"] == (50, 80)
    assert await meter.look() == []
    meter.spend(2, 1)
    assert await meter.look() == [f"CRITICAL {ID}100"]
    assert await meter.look() == []


async def test_restarts_repeat_nothing_and_miss_nothing(tmp_path: Path) -> None:
    """A crossing whose message was not kept is told by the next start, one that was is not."""
    store = FakeStore()
    first = Meter(tmp_path / "outbox", DAY, store=store)
    await first.look()
    first.spend(1, 6)
    assert await first.look() == [f"INFO {ID}50"]
    first.spend(2, 3)  # and it is killed before it looks
    second = Meter(tmp_path / "outbox", DAY, store=store)
    assert await second.look() == [f"WARNING {ID}80"]
    third = Meter(tmp_path / "outbox", DAY, store=store)
    assert await third.look() == []


async def test_a_window_ends_by_the_clock(tmp_path: Path) -> None:
    """Its alerts are over without a call, and the next window has alerts of its own."""
    meter = Meter(tmp_path / "outbox", DAY)
    await meter.look()
    meter.spend(1, 9)
    await meter.look()
    tomorrow = NOW + timedelta(days=1)
    assert await meter.look(tomorrow) == [f"RESOLVED {ID}80#resolved"]
    assert meter.outbox.told() == set()
    one = record(2, 9, tomorrow, team="search")
    meter.spending.observe(one)
    again = ID.replace("-20T", "-21T", 1).replace("/2026-11-21", "/2026-11-22")
    assert await meter.look(tomorrow) == [f"WARNING {again}80"]


async def test_another_limit_is_told_anew(tmp_path: Path) -> None:
    """Alerts of the old one are over; the new one's are told, though their ids are the same."""
    meter = Meter(tmp_path / "outbox", DAY)
    await meter.look()
    meter.spend(1, 9)
    assert await meter.look() == [f"WARNING {ID}80"]
    for limit in (9, 8):
        meter.spending.watch([replace(DAY, limit_usd=Decimal(limit))])
        meter.evaluation.end_all("day", NOW)
        meter.outbox.forget(lambda id: (found := parse_alert_id(id)) is not None and bool(found))
        assert await meter.look() == [f"CRITICAL {ID}100"]
        assert await meter.look() == []


async def test_the_first_refusal_reaches_100(tmp_path: Path) -> None:
    """Blocked without telling would be a fault, whatever the rows say."""
    meter = Meter(tmp_path / "outbox", replace(DAY, action="block"))
    await meter.look()
    meter.held = {("day", ()): Held(Decimal(9), 1)}
    assert await meter.look() == [f"CRITICAL {ID}100"]
    meter.held = {("day", ()): Held(Decimal(9), 2)}
    assert await meter.look() == []


async def test_nothing_is_told_of_what_is_unknown(tmp_path: Path) -> None:
    """Neither a crossing nor an end, while the store is away."""
    store = FakeStore()
    rolling = replace(DAY, period="rolling 24h")
    meter = Meter(tmp_path / "outbox", rolling, store=store)
    await meter.look()
    meter.spend(1, 9)
    assert len(await meter.look()) == 1
    store.away = True
    again = Meter(tmp_path / "outbox", rolling, store=store)
    assert await again.look() == []
    assert len(again.outbox.told()) == 2
    [standing] = again.evaluation.standings(NOW)
    assert (standing.spend, standing.state) == (None, None)


async def test_a_removed_budget_has_no_alerts(tmp_path: Path) -> None:
    """They are over, and whoever was told of them is told so."""
    meter = Meter(tmp_path / "outbox", DAY)
    await meter.look()
    meter.spend(1, 5)
    await meter.look()
    meter.spending.watch([])
    assert await meter.look() == [f"RESOLVED {ID}50#resolved"]


async def test_each_key_is_told_of(tmp_path: Path) -> None:
    """Ids name the key, whatever its letters are, and are read back from it."""
    each = Budget(name="each", scope={"user": "*"}, limit_calls=1, period="day")
    meter = Meter(tmp_path / "outbox", each)
    await meter.look()
    for number, user in enumerate(("a,b=c]:/%", "", "Ü")):
        meter.spending.observe(record(number, user_id=user))
    await meter.look()
    ids = [one.id for one in meter.told]
    parsed = [found for id in ids if (found := parse_alert_id(id))]
    assert {dict(found.key)["user"] for found in parsed} == {"a,b=c]:/%", "", "Ü"}
    assert {(found.budget, found.threshold) for found in parsed} == {("each", "100")}
    assert await meter.look(NOW + timedelta(days=1)) != []
    assert meter.outbox.told() == set()


@pytest.mark.parametrize(
    "id", ["loss/n:x[a=b]:2026-11-20T00:00:00.0Z", "", "x", "x:100", "a[b:total:1", "a]:total:1"]
)
def test_ids_of_others(id: str) -> None:
    """Alerts of other kinds are none of a budget's."""
    assert parse_alert_id(id) is None


async def test_the_unknown_counts_apart(tmp_path: Path) -> None:
    """A call of unknown price counts what `unknown_usd` says, beside the known."""
    meter = Meter(tmp_path / "outbox", replace(DAY, unknown_usd=Decimal("0.5")))
    await meter.look()
    meter.spend(1, 1)
    meter.spend(2, None)
    await meter.look()
    [standing] = meter.evaluation.standings(NOW)
    assert standing.spend is not None
    assert (standing.spend.spent, standing.spend.unknown, standing.spend.unknown_calls) == (
        Decimal(1),
        Decimal("0.5"),
        1,
    )
