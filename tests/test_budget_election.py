"""One of several machines on one store tells of budgets, and another goes on from there."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from test_budget_evaluation import DAY, ID

from exporters.clickhouse.among_meters import AmongMeters
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.notify.budget_notices import threshold_notice
from exporters.record import TransientError
from pricing.budget_state import Spend, crossing
from proxy.budgets.election import Election
from proxy.notices.outbox import Outbox
from support.spending import NOW

NOBODY: tuple[str, ...] = ()


@pytest.fixture
async def store(chdb_dsn: str, database: str) -> AsyncIterator[AmongMeters]:
    clickhouse = ClickHouse(chdb_dsn, database=database)
    await clickhouse.open()
    among = AmongMeters(chdb_dsn, database=database)
    yield among
    await among.close()
    await clickhouse.close()


class Machine:
    """One with a data directory of its own."""

    def __init__(self, name: str, path: Path, store: AmongMeters) -> None:
        self.outbox = Outbox(path / name)
        self.away = False

        self._store = store
        targets: Callable[[str], tuple[str, ...]] = lambda budget: ("ops",)  # noqa: E731
        self.election = Election(name, self, self.outbox, targets)

    async def ask(self, sql: str, bound: Any) -> Sequence[Sequence[Any]]:
        self._fail()
        return await self._store.ask(sql, bound)

    async def put(self, table: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self._fail()
        await self._store.put(table, names, rows)

    def _fail(self) -> None:
        if self.away:
            raise TransientError("the store is away")

    def tell(self, usd: int) -> None:
        """As the evaluation does."""
        found = crossing(DAY, (), DAY.windows.window(NOW), Spend(spent=usd), self.outbox.told())  # type: ignore[arg-type]  # as good as a Decimal
        assert found is not None
        assert self.outbox.add(threshold_notice(found, NOW), ["ops"])


async def test_the_first_by_name_tells(tmp_path: Path, store: AmongMeters) -> None:
    """Once it was chosen twice in a row; the others know what it told, and what it ended."""
    one, two = Machine("a", tmp_path, store), Machine("b", tmp_path, store)
    await two.election.hold()
    assert not two.election.tells
    await two.election.hold()
    assert two.election.tells  # it is alone
    await one.election.hold()
    await two.election.hold()
    assert (one.election.tells, two.election.tells) == (False, False)
    await one.election.hold()
    assert (one.election.tells, one.election.teller) == (True, "a")
    one.tell(6)
    await one.election.hold()
    await two.election.hold()
    assert set(two.outbox.told()) == {f"{ID}50"}
    one.outbox.end([f"{ID}50"])
    await one.election.hold()
    await two.election.hold()
    assert set(two.outbox.told()) == set()


async def test_the_next_goes_on_from_there(
    tmp_path: Path, store: AmongMeters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It repeats nothing that was told, tells what was not, and ends what the other began."""
    one, two = Machine("a", tmp_path, store), Machine("b", tmp_path, store)
    for _ in range(2):
        await one.election.hold()
    one.tell(6)
    await one.election.hold()
    await two.election.hold()
    monkeypatch.setattr(
        "proxy.budgets.election._METERS", "SELECT node FROM meters WHERE node = 'b' GROUP BY node"
    )  # the other was not there for long enough
    for _ in range(2):
        await two.election.hold()
    assert two.election.tells
    two.tell(9)
    assert set(two.outbox.told()) == {f"{ID}50", f"{ID}80"}
    assert [one.key for one in two.outbox.waiting("ops")] == [f"{ID}80"]
    two.outbox.end([f"{ID}50"])
    await two.election.hold()
    three = Machine("c", tmp_path, store)
    await three.election.hold()
    assert set(three.outbox.told()) == {f"{ID}80"}


async def test_everybody_keeps_its_part_while_the_store_is_away(
    tmp_path: Path, store: AmongMeters
) -> None:
    """Whoever tells goes on, and notes it later; whoever does not stays silent."""
    one = Machine("a", tmp_path, store)
    for _ in range(2):
        await one.election.hold()
    one.away = True
    await one.election.hold()
    assert one.election.tells
    one.tell(6)
    one.away = False
    await one.election.hold()
    two = Machine("b", tmp_path, store)
    two.away = True
    for _ in range(3):
        await two.election.hold()
    assert not two.election.tells
    two.away = False
    await two.election.hold()
    assert set(two.outbox.told()) == {f"{ID}50"}


def test_an_end_reaches_who_was_told_elsewhere(tmp_path: Path) -> None:
    """An adopted alert is known to have been told to the budget's targets."""
    outbox = Outbox(tmp_path / "outbox")
    outbox.adopt(f"{ID}50", ["ops"])
    outbox.adopt(f"{ID}50", NOBODY)
    assert outbox.started_at(f"{ID}50") is not None
    again = Outbox(tmp_path / "outbox")
    assert set(again.told()) == {f"{ID}50"}
