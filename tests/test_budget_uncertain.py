"""What cut calls may have cost beyond their rows: counted by who blocks, until the window ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

from exporters.clickhouse.among_meters import AmongMeters
from pricing import TariffBook
from pricing.budget import Budget
from pricing.window import BUCKET
from proxy.budgets.budgets import Budgets
from proxy.budgets.uncertain import Uncertain
from proxy.gate.account import Counted
from proxy.gate.gate import Gate
from proxy.gate.layout import whole
from proxy.gate.verdict import Want
from proxy.notices.notices import Notices
from proxy.notices.outbox import Outbox
from proxy.settings.config import Config
from proxy.settings.places import Places
from support.budget_bench import WRITER, Done
from support.spending import NOW, FakeStore, record

DAY = Budget(name="b", limit_usd=Decimal(10), period="day", action="block", reserve="worst")


@pytest.mark.parametrize("period", ["day", "rolling 24h", "total"])
def test_until_the_window_ends(tmp_path: Path, period: str) -> None:
    """It adds up, survives a restart, and is over with the window."""
    budget = replace(DAY, period=period)
    window = budget.windows.window(NOW)
    made = Uncertain(tmp_path / "uncertain.json")
    for amount in ("1", "0.5", "0", "-3"):
        made.add(budget, (), window, Decimal(amount))
    made.save()
    again = Uncertain(tmp_path / "uncertain.json")
    assert again.of(budget, (), window) == Decimal("1.5")
    assert again.of(budget, (("user", "a"),), window) == 0
    later = budget.windows.window(NOW + timedelta(days=1, hours=1))
    if period != "total":
        assert again.of(budget, (), later) == 0
        again.add(budget, (), later, Decimal(2))
        assert again.of(budget, (), later) == 2
    if period == "rolling 24h":
        moved = budget.windows.window(NOW + BUCKET)
        assert made.of(budget, (), moved) == Decimal("1.5")


def test_a_damaged_file(tmp_path: Path) -> None:
    """It is told, and costs nothing else."""
    (tmp_path / "uncertain.json").write_text("[{")
    made = Uncertain(tmp_path / "uncertain.json")
    assert made.of(DAY, (), DAY.windows.window(NOW)) == 0


@dataclass
class Meter:
    """The budgets of one data directory."""

    data: Path
    store: FakeStore = field(default_factory=lambda: FakeStore(datetime.now(UTC)))
    done: Done = field(default_factory=Done)

    def start(self) -> Budgets:
        places = Places(self.data)
        places.state.mkdir(exist_ok=True, parents=True)
        (places.calls / WRITER).mkdir(exist_ok=True, parents=True)

        async def history(*_: object) -> list[dict[str, object]]:
            return []

        progress: Mapping[str, Counted] = {WRITER: self.done}
        made = Budgets(
            Config(data=self.data, budgets=MappingProxyType({"b": DAY})),
            TariffBook.parse({}),
            Notices(Outbox(places.outbox)),
            ask=self.store.ask,
            among=AmongMeters("http://127.0.0.1:9/"),
            history=history,
            writer=lambda: "meter-1",
            progress=lambda: progress,
        )
        self.store.spending = made.spending
        made.spending.drained()
        return made


async def test_a_cut_call_may_have_cost_what_it_held_back(tmp_path: Path) -> None:
    """Its reservation ends with its row, and the difference stays, over a restart too."""
    meter = Meter(tmp_path)
    budgets = meter.start()
    now = datetime.now(UTC)
    await budgets.spending.refresh(now)
    budgets.look(now)
    gate = Gate(Places(tmp_path), lambda: WRITER, {})
    want = Want(budget=DAY, key=(), amount=whole(Decimal(3)))
    at_ns = int(now.timestamp() * 1e9)
    for call in (1, 2):
        verdict = gate.ask(call, [want], at_ns)
        assert verdict is not None
        assert verdict.refused is None
    [entry] = budgets.documents()
    assert (entry["reserved_usd"], entry["uncertain_usd"], entry["left_usd"]) == ("6", "0", "4")
    cut = record(1, "0.5", now, source=f"{WRITER}:1", outcome="client_gone", reasons=("cut_short",))
    budgets.observe(cut)
    budgets.observe(record(2, "1", now, source=f"{WRITER}:2"))
    meter.done.calls |= {1, 2}
    budgets.look(now)
    expected = {"spent_usd": "1.5", "reserved_usd": "0", "uncertain_usd": "2.5", "left_usd": "6"}
    [entry] = budgets.documents()
    assert {name: entry[name] for name in expected} == expected
    assert entry["percent"] == "15"  # thresholds look at what rows say
    budgets.close()
    meter.store.take([cut, record(2, "1", now, source=f"{WRITER}:2")])
    again = meter.start()
    await again.spending.refresh(now)
    again.look(now)
    [entry] = again.documents()
    assert {name: entry[name] for name in expected} == expected
    large = msgspec.structs.replace(want, amount=whole(Decimal("6.01")))
    verdict = gate.ask(3, [large], at_ns)
    assert verdict is not None
    assert verdict.refused is not None
    again.close()
    gate.close()
