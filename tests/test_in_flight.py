"""How many calls are in flight on this machine, as its relays know it at each dispatch."""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest
from msgspec.structs import replace
from test_metering import BEGUN, READING, TARIFF, exchange, metering

from evaluation.standin import processes
from pricing import TariffBook
from proxy.dialects.session import Answer
from proxy.exchange import Begun, Kind, Outcome
from proxy.journal import in_flight
from proxy.journal.in_flight import InFlight
from proxy.journal.journal import Journal
from proxy.metering.open_socket import response
from proxy.settings.config import JournalOptions
from support.relay_bench import answering, bench

LIMITS = JournalOptions(fsync="never")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
OLD = (
    b'{"call_id":"01","wall_ns":1,"method":"POST","target":"/v1","provider":"acme","upstream":"u"}'
)


@pytest.fixture
def journal(tmp_path: Path) -> Callable[[str], Journal]:
    """Makes a relay's journal."""
    return lambda name: Journal(tmp_path, name, LIMITS)


def test_all_relays_of_the_machine_are_counted(
    tmp_path: Path, journal: Callable[[str], Journal]
) -> None:
    """Each sees the calls of all of them at once; those of a relay that is gone do not count."""
    one, two = journal("one"), journal("two")
    of_one, of_two = InFlight(tmp_path, one), InFlight(tmp_path, two)
    first = one.begin(BEGUN)
    two.begin(BEGUN)
    assert (of_one.count(), of_two.count(), in_flight.counted(tmp_path)) == (2, 2, 2)
    one.append(first, Kind.ENDED, b"{}")
    assert (of_one.count(), of_two.count(), in_flight.counted(tmp_path)) == (1, 1, 1)
    three = journal("three")
    three.begin(BEGUN)
    of_one.look()
    assert of_one.count() == 2
    two.close()  # with its call open, as if it had died
    of_one.look()
    assert (of_one.count(), in_flight.counted(tmp_path)) == (1, 1)
    three.close()
    one.close()


def test_a_journal_that_was_removed(tmp_path: Path, journal: Callable[[str], Journal]) -> None:
    """Counters keep their values when a directory is made again, and the new page is found."""
    one, two = journal("one"), journal("two")
    of_one = InFlight(tmp_path, one)
    two.begin(BEGUN)
    shutil.rmtree(tmp_path / two.writer)
    two.upkeep()
    of_one.look()
    two.begin(BEGUN)
    assert of_one.count() == 2
    shutil.rmtree(tmp_path)  # whatever is there, it says what it can
    of_one.look()
    assert of_one.count() == 0
    two.close()
    one.close()


async def test_others_are_found_while_it_runs(
    tmp_path: Path, journal: Callable[[str], Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks again by itself, until it is told to stop."""
    monkeypatch.setattr(in_flight, "LOOK_S", 0.01)
    one = journal("one")
    counting = InFlight(tmp_path, one)
    two = journal("two")
    two.begin(BEGUN)
    async with asyncio.timeout(10):
        while counting.count() != 1:
            await asyncio.sleep(0.01)
    counting.stop()
    two.close()
    one.close()


async def test_the_relay_says_it_when_a_call_begins(tmp_path: Path) -> None:
    """With the call itself; a relay that does not know says nothing."""
    async with bench(tmp_path, answering(OK)) as b:
        for known in (None, lambda: 0, lambda: 41):
            b.relay.in_flight = known
            await b.send(b"GET /openai/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [begun.in_flight for begun in b.journal.begun] == [None, 1, 42]


def test_what_was_not_noted_is_unknown() -> None:
    """A frame of an older relay has no number, and a frame without one reads as it did."""
    begun = msgspec.json.decode(OLD, type=Begun)
    assert begun.in_flight is None
    assert msgspec.json.encode(begun) == OLD
    noted = msgspec.structs.replace(begun, in_flight=3)
    assert msgspec.json.decode(msgspec.json.encode(noted), type=Begun) == noted


def test_it_is_in_the_row() -> None:
    """As it was noted; NULL, and never 0, where it was not."""
    book = TariffBook.parse({"acme.toml": TARIFF})
    for number in (None, 1, 7):
        begun = msgspec.structs.replace(BEGUN, in_flight=number)
        [row] = metering(book).records(replace(exchange(READING), begun=begun))
        assert row.in_flight == number


def test_a_response_on_a_socket_does_not_have_that_of_the_socket() -> None:
    """It began later, with who knows how many others."""
    begun = msgspec.structs.replace(BEGUN, in_flight=3, websocket=True)
    answer = Answer(number=1, reading=READING, began_ns=5, first_ns=6, ended_ns=7)
    assert response(begun, None, answer, Outcome.OK, "w:1").begun.in_flight is None


@pytest.mark.thorough
def test_rows_say_how_many_were_in_flight_over_two_relays(tmp_path: Path) -> None:
    """Twelve calls at once, each of them slower than it takes to begin all: from 1 up to 12."""
    body = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"x-standin-first-token-s": "1.5", "authorization": "Bearer sk-x"}

    async def all_at_once(url: str) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def one() -> None:
                async with session.post(f"{url}/openai/v1/chat/completions", json=body) as answer:
                    await answer.read()

            await asyncio.gather(*(one() for _ in range(12)))

    with processes.stand_in(tmp_path / "stand-in.log") as (upstream, _):
        settings = processes.FAST_ROWS
        upstreams = dict.fromkeys(processes.PROVIDERS, upstream)
        with processes.serve(tmp_path, upstreams, settings=settings, relays=2) as served:
            time.sleep(2 * in_flight.LOOK_S)  # for each to have found the other
            asyncio.run(all_at_once(served.proxy_url))
            rows = served.calls_when(12)
    counts = sorted(row["in_flight"] for row in rows)
    assert len(counts) == 12
    assert counts[0] == 1
    assert 10 <= counts[-1] <= 12  # those that begin in the same instant may not see each other
    assert all(row["saved_cache_usd"] == "0" for row in rows)
