"""Stored calls priced again: as live metering would, exactly once, with the old price kept."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_metering import BEGUN, READING, exchange

from evaluation.standin import processes
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.query import Query
from exporters.clickhouse.reports import report
from exporters.clickhouse.store import Store
from exporters.record import EPOCH, Batch, Record, TransientError
from pricing import Meter, Origin, TariffBook, Usage
from pricing.cause import about
from pricing.reason import Effect, Reason
from proxy.access.audit import Audit
from proxy.console.admission import admission
from proxy.console.command_token import HEADER, CommandToken, token
from proxy.console.reprice_api import PATH, RepriceApi
from proxy.exchange import Outcome, Part
from proxy.metering.records import Metering
from proxy.metering.volumes import CounterSums, Volumes
from proxy.repricing import run
from proxy.repricing.repricer import Ledger, Repricer
from proxy.repricing.run import RepriceOrder, Repricing
from proxy.settings.config import Config, Listen
from proxy.settings.places import Places
from support.clickhouse import ClickHouseServer

HEAD = """
provider = "acme"
source = "https://acme.example/prices"
checked = 2026-11-20
"""
OLD = f"""{HEAD}
[[factors]]
name = "batch"
factor = 0.5
when = {{ processing = "batch" }}

[[tariff]]
names = ["m"]
usd_per_mtok = {{ input = 2, cache_read = 1, output = 10 }}
rates = [
  {{ volume = {{ counter = "month.searches", mode = "marginal", steps = [0, 3] }}, usd_per_thousand = {{ "calls.web_search" = [0, 7] }} }},
]

[[tariff]]
names = ["gone"]
usd_per_mtok = {{ input = 3, output = 3 }}
"""  # noqa: E501 — TOML has no shorter inline tables
NEW = f"""{HEAD}
[[tariff]]
names = ["m"]
usd_per_mtok = {{ input = 3, cache_read = 1, output = 10 }}

[[tariff]]
names = ["new"]
usd_per_mtok = {{ input = 0.3, output = 1 }}
"""
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
SINCE = (HOUR - timedelta(hours=1)).isoformat()


async def quiet(done: int, calls: int) -> None:
    """Nobody looks."""


def book(text: str) -> TariffBook:
    return TariffBook.parse({"acme.toml": text})


class Live:
    """A meter that knows what was used before, and the rows that it made."""

    def __init__(self, text: str) -> None:
        self.volumes, self.begun = Volumes(book(text).counters), BEGUN
        self.records: list[Record] = []
        config = Config(data=Path())
        self._metering = Metering(config, book(text), lambda p, items, s: set(items), self.volumes)

    async def ready(self) -> "Live":
        async def nothing(since: datetime) -> list[tuple[str, int, Decimal]]:
            return []

        await self.volumes.read(nothing, datetime.now(UTC))
        return self

    def call(self, model: str, outcome: Outcome = Outcome.OK, **reading: Any) -> Record:
        number = len(self.records)
        begun = msgspec.structs.replace(
            self.begun,
            call_id=f"00000000-0000-0000-0000-{number:012}",
            wall_ns=(int(HOUR.timestamp()) * 10**6 + number) * 1000,
        )
        names = {"request_model": model, "response_model": model}
        call = exchange(replace(READING, **(names | reading)), outcome)
        [record] = self._metering.records(replace(call, begun=begun, source=f"w:{number}"))
        self.records.append(record)
        return record


def stored(record: Record) -> dict[str, Any]:
    """The record as the store answers."""
    row: dict[str, Any] = json.loads(msgspec.json.encode(record))
    return row | {"revision": 0}


def again(records: list[Record], text: str) -> list[Any]:
    """What pricing them again, in order of time, changes."""
    new = book(text)
    repricer = Repricer(new, Ledger(new.counters, CounterSums()), 0)
    rows = sorted(map(stored, records), key=lambda row: (row["ts_us"], row["call_id"]))
    found = [repricer.again(row) for row in rows]
    assert repricer.unreadable == 0
    return found


quantities = st.dictionaries(
    st.sampled_from([Meter.INPUT, Meter.CACHE_READ, Meter.OUTPUT, Meter.CALLS_WEB_SEARCH]),
    st.integers(0, 10**6),
)
terms = st.fixed_dictionaries(
    {},
    optional={
        "service_tier": st.sampled_from(["default", "flex", "batch", ""]),
        "processing": st.sampled_from(["batch", "online"]),
        "prompt_tokens": st.integers(0, 10**6),
        "summed_requests": st.booleans(),
    },
)
parts = st.builds(
    Part,
    usage=st.builds(Usage, quantities, st.sampled_from(list(Origin))),
    model=st.sampled_from(["", "m", "gone", "nobody"]),
    terms=terms,
)
reasons = st.sampled_from(Reason)
details = st.builds(about, reasons, st.text())
calls = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["m", "gone", "nobody"]),
        "outcome": st.sampled_from([Outcome.OK, Outcome.CLIENT_GONE, Outcome.UNREACHABLE]),
        "parts": st.lists(parts, max_size=2).map(tuple),
    },
    optional={
        "response_model": st.sampled_from(["m", "m-2", ""]),
        "complete": st.booleans(),
        "reported_usd": st.sampled_from([Decimal("0.123456789012345678901"), Decimal("NaN")]),
        "reasons": st.lists(st.one_of(reasons, details), max_size=3).map(tuple),
    },
)
# A rule gives these two, not a reading.
RULES = (Reason.PLAN, Reason.LOCAL)
free = st.sampled_from([r for r in Reason if r.effect is Effect.FREE and r not in RULES])
unbilled = st.builds(lambda call, why: call | {"billable": False, "reasons": (why,)}, calls, free)


# The model served is in no tariff, and that of the model asked for waits for a counter.
WAITS = {
    "model": "m",
    "outcome": Outcome.OK,
    "parts": (Part(usage=Usage({Meter.CALLS_WEB_SEARCH: 1})),),
    "response_model": "m-2",
}


@pytest.mark.thorough
@given(st.lists(st.one_of(calls, unbilled), max_size=6), st.booleans())
@example([{"model": "m", "outcome": Outcome.OK, "parts": ()}, WAITS], False)
@settings(max_examples=150)
def test_the_same_tariffs_give_the_same_price(made: list[dict[str, Any]], known: bool) -> None:
    """Whatever live metering made of a call, pricing its row again makes the same, to the digit.

    Doubts, broken streams, reported costs, unknown models, counters, and what nobody bills.
    """
    live = Live(OLD)
    if known:
        asyncio.run(live.ready())
    for call in made:
        live.call(**call)
    expected = [
        {"unknown_counter:acme/month.searches"} & set(r.reasons) == set() for r in live.records
    ]
    for correction, same in zip(again(live.records, OLD), expected, strict=True):
        assert correction is None or not same  # what was not known then is known now


def test_a_reason_of_another_version_is_not_exact() -> None:
    """A row keeps the text of a reason that this version does not know, and is no longer exact."""
    live = Live(OLD)
    row = stored(live.call("gone", parts=(Part(usage=Usage({Meter.INPUT: 1})),)))
    receipt = json.loads(row["receipt"])
    receipt["basis"]["reasons"] = row["reasons"] = ["of_tomorrow:a\nb"]
    row["receipt"] = json.dumps(receipt)
    new = Repricer(book(OLD), Ledger((), CounterSums()), 0).again(row)
    assert new is not None
    assert (row["cost_status"], new.cost_status) == ("exact", "partial")
    assert new.reasons == ("of_tomorrow:a\nb",)


async def test_a_new_ladder_is_climbed_from_the_beginning() -> None:
    """Calls that were priced without counters are counted on the way, in order of time."""
    plain = OLD.replace("month.searches", "call")
    live = await Live(plain).ready()
    part = Part(usage=Usage({Meter.INPUT: 10, Meter.CALLS_WEB_SEARCH: 2}))
    for _ in range(3):
        live.call("m", parts=(part,))
    assert [record.cost_other_usd for record in live.records] == [0, 0, 0]  # 3 free in each call
    found = again(live.records, OLD)
    assert [correction.cost_other_usd for correction in found] == [
        Decimal(0),
        Decimal("0.007"),
        Decimal("0.014"),
    ]
    assert found[2].counts == {"acme/month.searches": 2}


class Place:
    """A store with calls in it, and tariffs to price them by."""

    def __init__(self, dsn: str, database: str, directory: Path) -> None:
        self.clickhouse = ClickHouse(dsn, database=database)
        self.store = Store(dsn, database=database)
        self.config = Config(data=directory)
        self.repricing = Repricing(self.config, self.store, self.clickhouse)
        self.records: list[Record] = []

    async def fill(self) -> None:
        live = await Live(OLD).ready()
        usage = Usage({Meter.INPUT: 1_000, Meter.OUTPUT: 100, Meter.CALLS_WEB_SEARCH: 2})
        for model in ("m", "gone", "new", "m"):
            live.call(model, parts=(Part(usage=usage),))
        live.call("m", billable=False, reasons=(Reason.POLL,))
        self.records = live.records
        await self.clickhouse.export(Batch("s:0", tuple(live.records)))

    async def run(self, text: str, *, write: bool = True) -> dict[str, Any]:
        directory = self.config.data / "tariffs"
        directory.mkdir(exist_ok=True)
        (directory / "acme.toml").write_text(text)
        order = RepriceOrder(since=SINCE, tariffs=str(directory), write=write)
        return await self.repricing.run(order, quiet)

    async def unequal(self) -> list[Any]:
        return list(await self.clickhouse.reconcile(repair=False, quiet_s=0))

    async def close(self) -> None:
        await self.store.close()
        await self.clickhouse.close()


@pytest.fixture(autouse=True)
def _few_tariffs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the test alone: reading the shipped ones takes a second each time."""

    def load(*directories: Path) -> TariffBook:
        return TariffBook.parse(
            *({"acme.toml": (d / "acme.toml").read_text()} for d in directories)
        )

    monkeypatch.setattr(TariffBook, "load", load)


@pytest.fixture
async def place(store_dsn: str, database: str, tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(store_dsn, database, tmp_path)
    await place.fill()
    yield place
    await place.close()


async def costs(place: Place) -> list[object]:
    return [row["cost_usd"] for row in reversed(await place.store.calls())]


async def test_history_is_restated(place: Place) -> None:
    """Rows, reports and rollups show the newest price; unknown is not zero; nothing else moves."""
    before = await costs(place)
    assert before == ["0.003", "0.0033", None, "0.01", "0"]
    found = await place.run(NEW)
    # m: searches have no price now; gone: no price any more; new: newly priced, but for searches.
    assert await costs(place) == ["0.004", None, "0.0004", "0.004", "0"]
    numbers = ("calls", "changed", "newly_priced", "no_longer_priced", "written", "kept")
    assert [found[name] for name in numbers] == [5, 4, 1, 1, 4, 1]
    assert (found["old_usd"], found["new_usd"], found["difference_usd"]) == (
        "0.0163",
        "0.0084",
        "-0.0079",
    )
    assert [group["model"] for group in found["by"]["model"]] == ["m", "gone", "new"]
    assert await place.unequal() == []
    hourly = (await report(place.store, Query(since=HOUR, by=("model",)))).rows
    by_row = Query(since=HOUR, by=("model", "node"))  # not in the rollup
    rows = (await report(place.store, by_row)).rows
    shown = {row["model"]: (row["cost_usd"], row["unpriced_calls"]) for row in hourly}
    assert shown == {"m": ("0.008", 0), "gone": (None, 1), "new": ("0.0004", 0)}
    assert shown == {row["model"]: (row["cost_usd"], row["unpriced_calls"]) for row in rows}
    assert await place.clickhouse.counted(HOUR) == [
        ("acme/month.searches", int(HOUR.timestamp()), Decimal(0))
    ]


async def test_a_second_run_writes_nothing(place: Place) -> None:
    """The price is a view: the same tariffs find what they have written."""
    assert (await place.run(NEW))["written"] == 4
    assert (await place.run(NEW))["written"] == 0


async def test_back_again(place: Place) -> None:
    """With the old tariffs every price is the old one, to the digit, and all versions are kept."""
    before = await costs(place)
    await place.run(NEW)
    await place.run(OLD)
    assert await costs(place) == before
    assert await place.unequal() == []
    assert sum(n for _, _, n in await place.clickhouse.counted(HOUR)) == 4
    call = await place.store.call(place.records[0].call_id)
    assert call is not None
    prices = call["prices"]
    assert isinstance(prices, list)
    assert [(p["revision"], p["cost_usd"], p["reason"]) for p in prices] == [
        (0, "0.003", "metered"),
        (1, "0.004", "reprice"),
        (2, "0.003", "reprice"),
    ]
    assert call["lines"] == prices[2]["lines"] == prices[0]["lines"]


async def test_a_dry_run_writes_nothing(place: Place) -> None:
    """It says what would change."""
    found = await place.run(NEW, write=False)
    assert (found["changed"], found["written"]) == (4, 0)
    assert await costs(place) == ["0.003", "0.0033", None, "0.01", "0"]


async def test_pages(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are looked at once each, however few fit into a page."""
    monkeypatch.setattr(run, "PAGE_ROWS", 2)
    told: list[tuple[int, int]] = []

    async def tell(done: int, calls: int) -> None:
        told.append((done, calls))

    directory = place.config.data / "tariffs"
    directory.mkdir()
    (directory / "acme.toml").write_text(NEW)
    found = await place.repricing.run(
        RepriceOrder(since=SINCE, tariffs=str(directory), write=True), tell
    )
    assert (found["calls"], found["written"], told[-1]) == (5, 4, (5, 5))
    assert await place.unequal() == []


async def test_a_page_that_was_sent_is_not_sent_twice(place: Place) -> None:
    """A process that died before it heard that a page was taken sends it again: nothing changes."""
    kept: list[bytes] = []
    correct = place.clickhouse.correct

    async def dies(corrections: Any) -> None:
        kept.append(Places(place.config.data).reprice_pending.read_bytes())
        await correct(corrections)
        raise TransientError("killed")

    place.clickhouse.correct = dies  # type: ignore[method-assign]  # stands for a kill
    with pytest.raises(TransientError, match="killed"):
        await place.run(NEW)
    place.clickhouse.correct = correct  # type: ignore[method-assign]  # as it was
    assert kept == [Places(place.config.data).reprice_pending.read_bytes()]
    await place.repricing.finish()
    assert await place.unequal() == []
    assert (await place.run(NEW))["written"] == 0


async def test_a_day_that_is_rebuilt_keeps_its_corrections(place: Place) -> None:
    """Repairing a rollup gives what the rows and their new prices add up to."""
    await place.run(NEW)
    day = f"{EPOCH + timedelta(microseconds=place.records[0].ts_us):%Y-%m-%d}"
    sql = f"ALTER TABLE sums_1h DROP PARTITION '{day}'"
    await place.clickhouse._writer.do(lambda client: client.command(sql))
    found = await place.clickhouse.reconcile(repair=True, quiet_s=0)
    assert [one.rollup for one in found] == ["sums_1h"]
    assert await place.unequal() == []


async def test_one_at_a_time(place: Place) -> None:
    """Two runs would both correct the same price."""
    with place.repricing.alone(), pytest.raises(TransientError, match="another reprice"):
        await place.run(NEW)


async def test_what_was_confirmed_is_what_is_written(place: Place) -> None:
    """Tariffs that changed since the differences were shown are not used unseen."""
    directory = place.config.data / "tariffs"
    await place.run(NEW, write=False)
    order = RepriceOrder(since=SINCE, tariffs=str(directory), write=True, book="other")
    with pytest.raises(ValueError, match="the tariffs have changed"):
        await place.repricing.run(order, quiet)


async def test_only_the_command_may_write(place: Place) -> None:
    """Without the token of the 0600 file, or from a page in a browser, nothing is done."""
    file = Places(place.config.data).command_token
    command, audit = CommandToken(file), Audit(place.config)
    assert file.stat().st_mode & 0o777 == 0o600
    app = web.Application(middlewares=[admission(Listen(), command=command)])
    app.add_routes(RepriceApi(place.repricing, audit).routes())
    (place.config.data / "tariffs").mkdir()
    (place.config.data / "tariffs" / "acme.toml").write_text(NEW)
    order = RepriceOrder(since=SINCE, tariffs=str(place.config.data / "tariffs"), write=True)
    known = {HEADER: token(file)}
    async with TestServer(app) as server, ClientSession() as session:
        url, foreign = server.make_url(PATH), known | {"Origin": "http://evil.example"}
        for headers in (dict[str, str](), {HEADER: "guess"}, foreign):
            async with session.post(url, data=msgspec.json.encode(order), headers=headers) as no:
                assert no.status == 403
        assert (await place.run(NEW, write=False))["changed"] == 4
        async with session.post(url, data=msgspec.json.encode(order), headers=known) as yes:
            lines = [json.loads(line) async for line in yes.content]
    audit.close()
    assert lines[0] == {"done": 5, "calls": 5}
    assert lines[-1]["result"]["written"] == 4


@pytest.mark.thorough
async def test_a_lost_answer(
    clickhouse_server: ClickHouseServer, database: str, tmp_path: Path
) -> None:
    """The connection breaks after the server has written: sent again, it is there once."""
    place = Place(clickhouse_server.dsn, database, tmp_path)
    await place.fill()
    clickhouse_server.fault("commit_then_drop", count=9)
    with pytest.raises(TransientError):
        await place.run(NEW)
    clickhouse_server.fault("")
    assert (await place.run(NEW))["written"] == 0
    assert await costs(place) == ["0.004", None, "0.0004", "0.004", "0"]
    assert await place.unequal() == []
    await place.close()


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
LADDER = """
provider = "openai"
source = "https://acme.example/prices"
checked = 2026-11-20

[[tariff]]
names = ["gpt-4o-mini", "gpt-4o-mini-2024-07-18"]
volume = {{ counter = "month.tokens", mode = "marginal", steps = [0, 1_000_000] }}
usd_per_mtok = {{ "input*" = [{price}, 1], "output*" = [{price}, 1], cache_read = [1, 1] }}
"""


@pytest.mark.slow
def test_the_whole_product(tmp_path: Path) -> None:
    """A ladder goes on over a restart; the command restates with a server running and without."""
    tariffs = tmp_path / "tariffs"
    tariffs.mkdir()
    (tariffs / "own.toml").write_text(LADDER.format(price=2))
    settings = f'{processes.FAST_ROWS}[metering]\ntariffs = "{tariffs}"\n'
    data = tmp_path / "served"

    def command(*arguments: str) -> Any:
        place = ["--config", str(data / "taximeter.toml"), "--data", str(data / "data"), "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "proxy", *arguments, *place], stdout=subprocess.PIPE, check=True
        )
        return json.loads(done.stdout)

    with processes.stand_in(tmp_path / "log") as (upstream, _):
        for calls in (1, 2):
            with processes.serve(data, {"openai": upstream}, settings=settings) as served:
                url = f"{served.proxy_url}/openai/v1/chat/completions"
                asked = urllib.request.Request(url, json.dumps(CHAT).encode())
                asked.add_header("Content-Type", "application/json")
                urllib.request.urlopen(asked).close()
                rows = served.calls_when(calls)
                receipt = json.loads(rows[0]["receipt"])
                before = sum(Decimal(row["counts"]["openai/month.tokens"]) for row in rows[1:])
                assert receipt["basis"]["counters"] == {"openai/month.tokens": str(before)}
                if calls == 2:
                    (tariffs / "own.toml").write_text(LADDER.format(price=4))
                    found = command("reprice", "--since", "1h", "--yes")
                    assert found["written"] == 2
                    assert Decimal(found["new_usd"]) == 2 * Decimal(found["old_usd"])
                    [total] = command("report", "--since", "1h", "--by", "")
                    assert total["cost_usd"] == found["new_usd"]
                    assert command("store", "check", "--quiet", "0") == []
    assert command("reprice", "--since", "1h", "--yes")["written"] == 0


def test_a_row_that_nobody_can_read_is_left() -> None:
    """It is counted, and does not stop the others."""
    live = Live(OLD)
    row = stored(live.call("m")) | {"receipt": "{"}
    repricer = Repricer(book(NEW), Ledger((), CounterSums()), 0)
    assert repricer.again(row) is None
    assert (repricer.unreadable, repricer.kept) == (1, 0)
