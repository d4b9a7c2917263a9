"""Prices by volume stand where the account stands: over restarts, and over several meters."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_metering import BEGUN, READING, exchange

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.record import Batch, Record, TransientError
from pricing import Meter, Subcall, TariffBook, Usage
from proxy.exchange import Part
from proxy.metering.records import Metering
from proxy.metering.volumes import Delivering, Volumes, window
from proxy.settings.config import Config
from support.clickhouse import ClickHouseServer

TARIFFS = """
provider = "acme"
source = "https://acme.example/prices"
checked = 2026-11-20

[[tariff]]
names = ["m"]
rates = [
  { volume = { counter = "month.tokens", mode = "marginal", steps = [0, 2_500] }, usd_per_mtok = { input = [2, 1] } },
  { volume = { counter = "day.searches", mode = "marginal", steps = [0, 3] }, usd_per_thousand = { "calls.web_search" = [0, 10] } },
]
"""  # noqa: E501 — TOML has no shorter inline tables
NOW = datetime.now(UTC)
TOKENS, SEARCHES = "acme/month.tokens", "acme/day.searches"
USAGE = Usage({Meter.INPUT: 1_000, Meter.CALLS_WEB_SEARCH: 2})


@pytest.fixture(scope="module")
def book() -> TariffBook:
    return TariffBook.parse({"acme.toml": TARIFFS})


class Proxy:
    """A meter and its way to the store."""

    def __init__(self, book: TariffBook, dsn: str, database: str, name: str) -> None:
        self.clickhouse = ClickHouse(dsn, database=database)
        self.volumes = Volumes(book.counters)
        self._delivering = Delivering(self.clickhouse, self.volumes)
        self._metering = Metering(
            Config(data=Path()), book, lambda provider, items, source: set(items), self.volumes
        )
        self._name = name
        self.records: list[Record] = []

    def call(self) -> Record:
        """A call that is metered; not yet delivered."""
        number = len(self.records)
        begun = msgspec.structs.replace(
            BEGUN,
            call_id=f"00000000-0000-0000-0000-{hash((self._name, number)) % 10**12:012}",
            wall_ns=int(NOW.timestamp() * 1e6) * 1000,
        )
        reading = replace(READING, parts=(Part(usage=USAGE),))
        call = replace(exchange(reading), begun=begun, source=f"{self._name}:{number}")
        [record] = self._metering.records(call)
        self.records.append(record)
        return record

    async def deliver(self, first: int = 0) -> None:
        token = f"{self._name}:{first}"
        await self._delivering.export(Batch(token, tuple(self.records[first:])))

    async def read(self) -> None:
        await self.volumes.read(self.clickhouse.counted, NOW)


def test_windows() -> None:
    """Days and months of UTC; of another kind nothing is known."""
    at = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert window(TOKENS, at) == datetime(2026, 11, 1, tzinfo=UTC)
    assert window(SEARCHES, at) == datetime(2026, 11, 20, tzinfo=UTC)
    assert window("acme/century.tokens", at) is None


def test_the_book_says_what_must_be_known(book: TariffBook) -> None:
    """Counters of all rules, and none for prices that climb within a call alone."""
    assert book.counters == {TOKENS, SEARCHES}
    alone = TARIFFS.replace("month.tokens", "call").replace("day.searches", "call")
    assert TariffBook.parse({"acme.toml": alone}).counters == frozenset()


def test_the_unknown_is_not_zero(book: TariffBook) -> None:
    """Until the store has answered, what a ladder prices has no price, and the row says why."""
    record = Proxy(book, "http://127.0.0.1:9/", "none", "a").call()
    assert (record.cost_usd, record.cost_status) == (None, "partial")
    assert set(record.reasons) == {f"unknown_counter:{TOKENS}", f"unknown_counter:{SEARCHES}"}
    assert record.counts == {}


async def test_a_ladder_goes_on_after_a_restart(
    book: TariffBook, store_dsn: str, database: str
) -> None:
    """2,500 tokens at 2 and three free searches: another process splits where the first ended."""
    first = Proxy(book, store_dsn, database, "first")
    await first.read()
    assert first.call().cost_usd == Decimal("0.002")
    await first.deliver()
    assert first.call().cost_usd == Decimal("0.002") + Decimal("0.01")  # 3 of 4 searches are free
    await first.deliver(1)
    await first.clickhouse.close()

    second = Proxy(book, store_dsn, database, "second")
    await second.read()
    third = second.call()
    assert third.cost_input_usd == Decimal("0.001") + Decimal("0.0005")
    assert third.cost_other_usd == Decimal("0.02")
    assert third.counts == {TOKENS: 1_000, SEARCHES: 2}
    assert msgspec.json.decode(third.receipt)["basis"]["counters"] == {
        TOKENS: "2000",
        SEARCHES: "4",
    }
    await second.clickhouse.close()


async def test_two_meters_see_each_other(
    book: TariffBook, clickhouse_server: ClickHouseServer, database: str
) -> None:
    """What the other wrote counts from the next reading on, and what is ours counts once."""
    dsn = clickhouse_server.dsn
    one, other = Proxy(book, dsn, database, "one"), Proxy(book, dsn, database, "other")
    for proxy in (one, other):
        await proxy.read()
        proxy.call()
    await one.deliver()
    assert used(other, TOKENS) == 1_000  # not seen yet
    await other.read()
    assert used(other, TOKENS) == 2_000
    await other.deliver()
    for proxy in (one, other):
        await proxy.read()
        assert (used(proxy, TOKENS), used(proxy, SEARCHES)) == (2_000, 4)
        await proxy.clickhouse.close()


async def test_a_lost_answer_counts_nothing_twice(
    book: TariffBook, clickhouse_server: ClickHouseServer, database: str
) -> None:
    """A batch that was not acknowledged may be in the store: nothing is read until it surely is."""
    proxy = Proxy(book, clickhouse_server.dsn, database, "p")
    await proxy.read()
    proxy.call()
    clickhouse_server.fault("commit_then_drop", count=9)
    with pytest.raises(TransientError):
        await proxy.deliver()
    clickhouse_server.fault("")
    await proxy.read()
    assert used(proxy, TOKENS) == 1_000
    await proxy.deliver()
    await proxy.read()
    assert used(proxy, TOKENS) == 1_000
    await proxy.clickhouse.close()


def used(proxy: Proxy, name: str) -> Any:
    call = Subcall(provider="acme", model="m", at=NOW, usage=USAGE)
    with proxy.volumes.passing([call]) as passing:
        return passing.before.get(name)


@given(st.lists(st.sampled_from(["meter", "deliver", "read", "other"]), max_size=30))
@settings(max_examples=100)
def test_nothing_counts_twice(steps: list[str]) -> None:
    """However readings and deliveries fall: all that is ours, and of others what was read."""
    volumes, call = Volumes([TOKENS]), Subcall(provider="acme", model="m", at=NOW, usage=USAGE)
    store, waiting, mine, theirs, seen = Decimal(7), 0, 0, 7, 7
    run(volumes.read(partial(read, store), NOW))
    for step in steps:
        if step == "meter":
            with volumes.passing([call]) as passing:
                assert passing.before == {TOKENS: mine + seen}
                passing.add({TOKENS: 1})
            waiting, mine = waiting + 1, mine + 1
        elif step == "deliver":
            store += waiting
            counts = {TOKENS: Decimal(waiting)} if waiting else {}
            ts_us = int(NOW.timestamp() * 1e6)
            volumes.delivered(
                [
                    Record(
                        ts_us=ts_us,
                        call_id="",
                        provider="",
                        outcome="",
                        cost_status="",
                        counts=counts,
                    )
                ]
            )
            waiting = 0
        elif step == "other":
            store, theirs = store + 5, theirs + 5
        else:
            run(volumes.read(partial(read, store), NOW))
            seen = theirs
    with volumes.passing([call]) as passing:
        assert passing.before == {TOKENS: mine + seen}


async def read(quantity: Decimal, since: datetime) -> list[tuple[str, int, Decimal]]:
    """What the store answers; one counter is of another book."""
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    return [(TOKENS, int(hour.timestamp()), quantity), ("gone/day.x", 0, Decimal(1))]


def run(reading: Any) -> None:
    """A coroutine that waits for nothing, to its end."""
    with pytest.raises(StopIteration):
        reading.send(None)


def test_last_month_is_known_and_no_more(book: TariffBook) -> None:
    """A call that ended a month late still finds its window; one from before then finds nothing."""
    volumes = Volumes([TOKENS])
    run(volumes.read(partial(read, Decimal(1)), NOW))
    last = NOW.replace(day=1) - timedelta(days=1)
    assert known(volumes, last) == {TOKENS: 0}
    assert known(volumes, last.replace(day=1) - timedelta(days=1)) == {}


def known(volumes: Volumes, at: datetime) -> object:
    with volumes.passing([Subcall(provider="acme", model="m", at=at, usage=USAGE)]) as passing:
        return passing.before
