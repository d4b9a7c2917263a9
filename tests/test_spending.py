"""What budgets hold: equal to the rows to the last digit, whatever happens in whatever order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.corrections import Corrections
from exporters.record import EXACT, Batch, Record
from pricing import TariffBook
from pricing.budget import Budget
from proxy.budgets import sums
from proxy.budgets.ceiling import Ceilings
from proxy.budgets.spending import Correcting, Counting, Spending
from proxy.budgets.sums import Kind, Sums
from support.spending import NOW, WRITER, FakeStore, batch, corrected, record

if TYPE_CHECKING:
    from conftest import RecordMaker

MONTH = Budget(name="month", limit_usd=Decimal(100))
USERS = Budget(name="users", scope={"user": "*"}, period="day", limit_tokens=100)
ROLLING = Budget(name="rolling", scope={"team": "search"}, period="rolling 3h", limit_calls=9)
BUDGETS = (MONTH, USERS, ROLLING)


def spending(store: FakeStore, budgets: Sequence[Budget] = BUDGETS) -> Spending:
    """That of a meter with nothing left from before."""
    made = Spending(store.ask, lambda: WRITER, shared=True)
    made.watch(budgets)
    made.drained()
    store.spending = made
    return made


def held(found: Spending, name: str) -> dict[Any, Sums]:
    """By key, of the current window."""
    count = found.counts[name]
    window = count.window(NOW)
    every = {key: [*count.sums(key, window).values()] for key in count.all_keys()}
    total = {key: sum_of(each) for key, each in every.items()}
    return {key: each for key, each in total.items() if any(each)}


def sum_of(every: Sequence[Sums]) -> Sums:
    total = Sums()
    for one in every:
        total = total.plus(one)
    return total


def expected(rows: Sequence[Any], budget: Budget) -> dict[Any, Sums]:
    """The same, from the rows themselves."""
    found: dict[Any, Sums] = {}
    for row in rows:
        entry = sums.of_record(row) if isinstance(row, Record) else sums.of_correction(row)
        key = budget.matches(entry.facts) if entry else None
        if entry and key is not None and entry.at in budget.windows.window(NOW):
            found[key] = found.get(key, Sums()).plus(entry.sums)
    return {key: each for key, each in found.items() if any(each)}


STEPS = st.lists(
    st.sampled_from(("call", "call", "deliver", "read", "other", "reprice", "budget", "lose")),
    max_size=40,
)


@given(STEPS, st.randoms(use_true_random=False))
@settings(max_examples=60)
async def test_equal_to_the_rows(steps: list[str], chance: Any) -> None:
    """Calls, deliveries that fail, readings, other machines, new prices and budgets interleave."""
    store = FakeStore()
    found = spending(store)
    rows: list[Any] = []
    waiting: list[Record] = []
    stored: list[Record] = []
    budgets = list(BUDGETS)
    for number, step in enumerate(steps):
        at = NOW - timedelta(minutes=chance.choice((0, 1, 20, 200, 60 * 24, 60 * 24 * 25)))
        usd = chance.choice((None, "0.000000000000000001", "123456789.1", "7"))
        one = record(
            number, usd, at, team=chance.choice(("search", "ads")), user_id=f"u{number % 3}"
        )
        match step:
            case "call":
                found.observe(one)
                rows.append(one)
                waiting.append(one)
            case "deliver" if waiting:
                store.take(waiting)
                found.delivered(batch(waiting))
                stored += waiting
                waiting = []
            case "lose" if waiting:  # the answer is lost: the rows are there, and sent again
                found.not_delivered()
                store.take(waiting)
                found._due.clear()
                await found.refresh(NOW)
                found.delivered(batch(waiting))
                stored += waiting
                waiting = []
            case "other":
                store.take([one])
                rows.append(one)
            case "reprice" if stored:
                new = corrected(stored.pop(), usd)
                store.take([new])
                found.corrected(Corrections((new,)))
                rows.append(new)
            case "budget":
                budgets.append(replace(chance.choice(BUDGETS), name=f"late-{number}"))
                found.watch(budgets)
            case "read":
                found._due.clear()
                await found.refresh(NOW)
    store.take(waiting)
    found.delivered(batch(waiting))
    found._due.clear()
    await found.refresh(NOW)
    for budget in budgets:
        assert held(found, budget.name) == expected(rows, budget)


@given(st.lists(st.booleans(), max_size=12))
@settings(max_examples=30)
async def test_never_less_before_delivery(delivers: list[bool]) -> None:
    """A row counts from the moment it is metered, and once, while it is on its way."""
    store = FakeStore()
    found = spending(store, [MONTH])
    await found.refresh(NOW)
    waiting: list[Record] = []
    for number, now_too in enumerate(delivers):
        one = record(number)
        found.observe(one)
        waiting.append(one)
        if now_too:
            store.take(waiting)
            found.delivered(batch(waiting))
            waiting = []
            found._due.clear()
            await found.refresh(NOW)
        count = found.counts["month"]
        assert sum_of([*count.sums((), count.window(NOW)).values()]).calls == number + 1


async def test_unknown_is_not_zero() -> None:
    """Until the store answers nothing is known; then all is, with the rows that came since."""
    store = FakeStore()
    store.take([record(1)])
    store.away = True
    found = spending(store, [MONTH])
    found.observe(record(2))
    await found.refresh(NOW)
    count = found.counts["month"]
    assert found.as_of(count, NOW) is None
    assert found.error == "the store is away"
    store.away = False
    await found.refresh(NOW)
    assert found.as_of(count, NOW) == NOW
    assert sum_of([*count.sums((), count.window(NOW)).values()]).cost_usd == 1
    assert found.error == ""


async def test_rows_of_an_earlier_meter_are_waited_for() -> None:
    """What it left on the way to the store would be missing, or counted twice."""
    store = FakeStore()
    found = Spending(store.ask, lambda: WRITER, shared=False)
    found.watch([MONTH])
    store.spending = found
    await found.refresh(NOW)
    assert found.as_of(found.counts["month"], NOW) is None
    early = [record(1)]
    store.take(early)
    found.delivered(batch(early, "meter-0"))
    found.observe(record(2))
    found.drained()
    await found.refresh(NOW)
    assert held(found, "month")[()].calls == 2


async def test_windows_roll_by_the_clock() -> None:
    """A new window begins at 0 without a call, and is known at once; the old one is forgotten."""
    store = FakeStore()
    day = replace(MONTH, period="day")
    found = spending(store, [day])
    found.observe(record(1))
    await found.refresh(NOW)
    count = found.counts["month"]
    tomorrow = NOW + timedelta(days=1)
    assert found.as_of(count, tomorrow) is not None
    assert not count.sums((), count.window(tomorrow))
    count.roll(tomorrow)
    assert count.sums((), day.windows.window(NOW))  # late rows and a clock set back
    count.roll(tomorrow + timedelta(days=1))
    assert not count.sums((), day.windows.window(NOW))


async def test_a_clock_that_is_set_back_asks_again() -> None:
    """What an earlier window holds is unknown, not 0, until the store has said it."""
    store = FakeStore()
    found = spending(store, [replace(MONTH, period="hour")])
    await found.refresh(NOW)
    assert found.as_of(found.counts["month"], NOW - timedelta(hours=5)) is None


async def test_deliveries_are_reported() -> None:
    """A batch counts once it is accepted; a row that never will be stays counted."""
    store = FakeStore()
    found = spending(store, [MONTH])

    class Accepts:
        name = "store"

        async def export(self, batch: Batch[Record]) -> None:
            store.take(batch.records)

        async def close(self) -> None: ...

    one = record(1)
    found.observe(one)
    await Counting(Accepts(), found).export(batch([one]))
    await found.refresh(NOW)
    assert held(found, "month")[()].calls == 1

    async def correct(corrections: Corrections) -> None:
        store.take(corrections.rows)

    await Correcting(correct, found).correct(Corrections((corrected(one, "2.25"),)))
    assert held(found, "month")[()].cost_usd == Decimal("2.25")


async def test_the_store_says_the_same(
    store_dsn: str, database: str, make_records: "RecordMaker"
) -> None:
    """Seeded from the store, or metered: equal to the last digit, by any scope."""
    clickhouse = ClickHouse(store_dsn, database=database)
    await clickhouse.open()
    now = datetime.now(UTC)
    budgets = [
        replace(MONTH, period="total"),
        replace(USERS, period="rolling 24h"),
        replace(ROLLING, period="rolling 24h"),
        Budget(name="tags", scope={"tag.ticket": "*", "model": "small"}, period="rolling 24h"),
        Budget(name="ticket", scope={"tag.ticket": "Ü\n'2`", "team": "ads"}, period="total"),
    ]
    live = Spending(clickhouse.ask, lambda: WRITER, shared=True)
    live.watch(budgets)
    live.drained()
    await live.refresh(now)
    records = [
        msgspec.structs.replace(one, source=f"w:{number}", tags={**one.tags, "batch_item": "x"})
        for number, one in enumerate(make_records(300))
    ]
    for one in records:
        live.observe(one)
    await Counting(clickhouse, live).export(batch(records))
    some = tuple(corrected(one, usd) for one, usd in zip(records, ("1e-18", None, 5), strict=False))
    await Correcting(clickhouse.correct, live).correct(Corrections(some))
    seeded = Spending(clickhouse.ask, lambda: "another", shared=True)
    seeded.watch(budgets)
    seeded.drained()
    await seeded.refresh(now)
    for budget in budgets:
        assert totals(live, budget.name, now) == totals(seeded, budget.name, now)
    spent = [one.cost_usd or Decimal(0) for one in records[3:]] + [Decimal("1e-18"), Decimal(5)]
    all_calls = sum_of([*totals(seeded, "month", now).values()])
    exact = Decimal(0)
    for usd in spent:
        exact = EXACT.add(exact, usd)
    assert (all_calls.calls, all_calls.cost_usd) == (300, exact)
    await clickhouse.close()


def totals(found: Spending, name: str, now: datetime) -> dict[Any, Sums]:
    count = found.counts[name]
    every = {
        key: sum_of([*count.sums(key, count.window(now)).values()]) for key in count.all_keys()
    }
    return {key: each for key, each in every.items() if any(each)}


@pytest.fixture(scope="module")
def ceilings() -> Ceilings:
    text = """
provider = "acme"
source = "https://acme.example/prices"
checked = 2026-11-20

[[tariff]]
names = ["cheap"]
usd_per_mtok = { input = 1, output = 2 }

[[tariff]]
names = ["dear"]
usd_per_mtok = { input = 3, output = 30 }

[[tariff]]
names = ["embed"]
usd_per_mtok = { input = 50 }
"""
    return Ceilings(TariffBook.parse({"acme.toml": text}), NOW)


def test_ceilings(ceilings: Ceilings) -> None:
    """The dearest of the provider's models for that operation; of any provider, if it has none."""
    unknown = Sums(unknown_calls=1, unknown_input_tokens=1_000_000, unknown_output_tokens=1_000_000)
    assert ceilings.usd(Kind("acme", "chat"), unknown) == 33
    assert ceilings.usd(Kind("acme", "embeddings"), unknown) == 50
    assert ceilings.usd(Kind("nobody", "chat"), unknown) == 33
    assert ceilings.usd(Kind("acme", "chat"), Sums(unknown_calls=1, unmeasured_calls=1)) == 0
