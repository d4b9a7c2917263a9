"""Fixtures of several test files (stores, records, the product), and Hypothesis's profile."""

import gc
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from decimal import Decimal
from functools import cache
from pathlib import Path
from time import time_ns
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings

import support.product
from exporters.clickhouse import connection
from exporters.clickhouse.dsn import parse_dsn
from exporters.record import Record, rounded
from support import clickhouse, databases, hangup
from support.clickhouse import NO_PROFILE, ClickHouseServer, StartServer
from support.databases import Databases
from support.product import Product

# No deadlines: a busy machine is not a fault of the code.
settings.register_profile("taximeter", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if settings.get_current_profile_name() == "default":  # `trials.mutation` has loaded its own
    settings.load_profile("taximeter")

# Six thousand tests and the trees of five hundred sources are no garbage: by default the collector
# looks at all of them again and again, for a third of the CPU time that collecting tests takes.
gc.set_threshold(50_000, 20, 50)


def pytest_configure() -> None:
    """The tests are the same under nohup."""
    hangup.reset_in_children()


def pytest_collection_finish() -> None:
    """The tests stay until the end."""
    gc.freeze()


@pytest.fixture(scope="session")
def chdb_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The only chDB directory that this process can open.  Use `database` to be alone in it."""
    dsn = f"chdb://{tmp_path_factory.mktemp('chdb')}"
    keeper = connection.connect(parse_dsn(dsn))  # opening the engine again costs 0.5 s
    yield dsn
    keeper.close()


@pytest.fixture
def start_clickhouse() -> Iterator[StartServer]:
    """Starts servers that a test may kill, and ends those that it did not."""
    started: list[ClickHouseServer] = []

    def start(
        data: Path, port: int = 0, *, reader: Mapping[str, str] = NO_PROFILE
    ) -> ClickHouseServer:
        started.append(ClickHouseServer.start(data, port, reader=reader))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A server on a real socket.  Use `database` to be alone in it; leave no fault behind."""
    with clickhouse.running(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product and the stand-in.  Tag your calls with something that no other test uses."""
    with support.product.running(tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.fixture(scope="module", params=["chdb", pytest.param("server", marks=pytest.mark.thorough)])
def store_dsn(request: pytest.FixtureRequest) -> str:
    """Each kind of store in turn: embedded, and a server over HTTP."""
    if request.param == "chdb":
        dsn: str = request.getfixturevalue("chdb_dsn")
        return dsn
    server: ClickHouseServer = request.getfixturevalue("clickhouse_server")
    return server.dsn


@pytest.fixture(scope="session")
def lenders() -> Iterator[Callable[[str], Databases]]:
    """Who lends the databases of a DSN."""
    with ExitStack() as stack:
        yield cache(lambda dsn: stack.enter_context(Databases.of(dsn)))


@pytest.fixture
def database(request: pytest.FixtureRequest, lenders: Callable[[str], Databases]) -> Iterator[str]:
    """An empty database of the test's store, for this test alone."""
    if "store_dsn" in request.fixturenames:
        dsn = request.getfixturevalue("store_dsn")
    elif "clickhouse_server" in request.fixturenames:
        dsn = request.getfixturevalue("clickhouse_server").dsn
    else:
        dsn = request.getfixturevalue("chdb_dsn")
    with lenders(dsn).lent() as name:
        yield name


@pytest.fixture
def new_database() -> str:
    """The name of a database that is not there yet, in any store."""
    return databases.new_name()


RecordMaker = Callable[[int], list[Record]]


@pytest.fixture(scope="session")
def make_records() -> RecordMaker:
    """Makes records of the last two hours, equal but for their time; a fifth is unpriced."""

    def make(n: int) -> list[Record]:
        chance = random.Random(n)
        now_us = time_ns() // 1000
        return [_record(chance, now_us - i * 7_200_000_000 // n) for i in range(n)]

    return make


def _record(chance: random.Random, ts_us: int) -> Record:
    priced = chance.random() < 0.8
    cost = rounded(Decimal(chance.randrange(10 ** chance.randrange(1, 25))).scaleb(-18))
    streamed = chance.random() < 0.5
    return Record(
        ts_us=ts_us,
        call_id=str(UUID(int=chance.getrandbits(128))),
        trace_id=f"{chance.getrandbits(128):032x}",
        node=("", "n1")[ts_us // 60_000_000 % 2],
        dropped_bytes=ts_us // 1_000_000 % 3,
        project=chance.choice(("", "shop")),
        team=chance.choice(("search", "ads")),
        user_id=f"user {chance.randrange(20)}",
        provider=chance.choice(("openai", "anthropic")),
        request_model=chance.choice(("small", "large")),
        response_model=chance.choice(("", "small-2026", "large-2026")),
        operation="chat",
        stream=streamed,
        http_status=200,
        outcome=chance.choice(("ok", "ok", "ok", "client_gone")),
        usage={"input": Decimal(chance.randrange(10**6)), "audio_seconds": Decimal("1.5")},
        usage_origin="reported",
        input_tokens_total=chance.randrange(10**6) if priced else None,
        output_tokens_total=chance.randrange(10**4) if priced else None,
        cost_usd=cost if priced else None,
        cost_input_usd=cost if priced else None,
        cost_status=chance.choice(("exact", "estimated")) if priced else "unpriced",
        reasons=() if priced else ("unknown_model:large-2026",),
        receipt='{"subcalls": [{"model": "small"}], "lines": [{"meter": "input", "usd": "0.10"}]}',
        duration_us=chance.randrange(10**8),
        first_token_us=chance.randrange(10**7) if streamed else None,
        tags={"ticket": chance.choice(("A-1", "Ü\n'2`"))},
    )
