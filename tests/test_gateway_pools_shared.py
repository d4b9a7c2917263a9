"""What the relays of a machine share of the gateway's rate limits, and what they do without it."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.door import keys
from proxy.door.shared_pools import POOLS, SharedPools
from proxy.door.shared_table import PLACES_AT, Table
from proxy.gateway import pools
from proxy.gateway.failures import What
from proxy.gateway.limits import Room, room
from proxy.gateway.pools import LOOK_S, Pool
from support.gateway_bench import Script, answer, asking, error, model_of, options
from support.relay_bench import listening, read_message
from support.relay_processes import relays

NAME = "openai/one/gpt-5"
AT = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)


class Clock:
    """Both clocks of a relay: one since its start, one since the epoch."""

    def __init__(self) -> None:
        self.now = 100.0

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now

    def __call__(self) -> float:
        return self.now


def two(folder: Path, clock: Clock) -> tuple[SharedPools, SharedPools]:
    path = folder / "state" / "pools"
    return SharedPools(path, clock, clock.wall), SharedPools(path, clock, clock.wall)


def close(one: SharedPools, seconds: float) -> None:
    one.change(NAME, lambda pool, now: pools.limited(pool, now, seconds, 0.5))


def test_one_closes_it_for_all(tmp_path: Path) -> None:
    """Until it opens nobody sends; then one of them sends one probe, whose end is for all."""
    clock = Clock()
    a, b = two(tmp_path, clock)
    assert a.take(NAME)
    assert b.take(NAME)
    close(a, 40)
    assert not b.take(NAME)
    assert b.opens_at(NAME, clock.now) == pytest.approx(140, abs=1e-5)
    assert b.opens_at("openai/one/other", clock.now) == clock.now
    clock.now = 140.1
    assert b.take(NAME)
    assert not a.take(NAME)
    assert a.opens_at(NAME, clock.now) == pytest.approx(140.1 + LOOK_S, abs=1e-5)
    b.change(NAME, pools.answered)
    assert a.take(NAME)
    assert b.take(NAME)


@pytest.mark.parametrize(
    ("end", "opens"), [(What.ANSWERED, True), (What.MISTAKE, True), (What.REFUSED, False)]
)
def test_only_a_word_of_the_provider_opens_a_pool(
    tmp_path: Path, end: What, *, opens: bool
) -> None:
    """A probe that a budget of ours refused brought none: the next call is the probe."""
    clock = Clock()
    a, b = two(tmp_path, clock)
    close(a, 40)
    clock.now = 140.1
    assert a.take(NAME)
    a.ended(NAME, end, {}, {})
    assert b.take(NAME)
    assert a.take(NAME) == opens


def test_one_budget_of_retries(tmp_path: Path) -> None:
    """What one relay used of it, another one has not."""
    a, b = two(tmp_path, Clock())
    allowed = [one.may_call(NAME, share=0.1, least=3, retry=True) for one in (a, b, a, b, a)]
    assert allowed == [True, True, True, False, False]


def test_a_new_relay_knows(tmp_path: Path) -> None:
    """A relay that is started again obeys what its predecessor was told."""
    clock = Clock()
    a, b = two(tmp_path, clock)
    close(a, 40)
    a.close()
    assert not b.take(NAME)


@pytest.mark.parametrize("content", [b"", b"TAXPOOL9" + bytes(POOLS.total - 8), POOLS.magic])
def test_a_file_of_another_version(tmp_path: Path, content: bytes) -> None:
    """It is replaced, by one for all."""
    clock = Clock()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "pools").write_bytes(content)
    a, b = two(tmp_path, clock)
    close(a, 40)
    assert not a.take(NAME)
    assert not b.take(NAME)
    assert [one.name for one in (tmp_path / "state").iterdir()] == ["pools"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A relay goes by what it knows itself, and shares it once it can."""
    clock = Clock()
    path = tmp_path / "state" / "pools"
    path.mkdir(parents=True)
    a, b = two(tmp_path, clock)
    close(a, 40)
    assert not a.take(NAME)
    assert b.take(NAME)
    path.rmdir()
    clock.now += 2
    assert not a.take(NAME)
    assert not b.take(NAME)


def test_a_file_that_was_removed(tmp_path: Path) -> None:
    """Everybody finds the new one, and nothing is forgotten."""
    clock = Clock()
    a, b = two(tmp_path, clock)
    assert b.take(NAME)
    close(a, 40)
    (tmp_path / "state" / "pools").unlink()
    clock.now += 2
    assert not a.take(NAME)
    assert not b.take(NAME)


HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(fd, fcntl.LOCK_EX, 1)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_is_not_free(tmp_path: Path) -> None:
    """It is waited for once in a while, never long; what was learned meanwhile is not lost."""
    clock = Clock()
    a, b = two(tmp_path, clock)
    assert a.take(NAME)
    with held(tmp_path / "state" / "pools"):
        close(a, 40)
        assert not a.take(NAME)
    clock.now += 1
    assert not a.take(NAME)
    assert not b.take(NAME)


def test_no_probe_is_sent_unseen(tmp_path: Path) -> None:
    """While the lock is not free, another relay's probe may be on its way: none is sent.  An open
    pool is not held up, and what others wrote is read without the lock."""
    clock = Clock()
    a, b = two(tmp_path, clock)
    close(a, 40)
    assert not b.take(NAME)
    clock.now += 41
    with held(tmp_path / "state" / "pools"):
        assert not b.take(NAME)
        assert b.opens_at(NAME, clock.now) == clock.now
        assert b.take("openai/one/other")
    assert a.take(NAME)
    assert b.opens_at(NAME, clock.now) > clock.now
    clock.now += 1
    assert not b.take(NAME)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield
        other.kill()


def test_a_torn_place_is_free(tmp_path: Path) -> None:
    """A process that died in the middle of writing has told nothing."""
    path = tmp_path / "pools"
    memory = Table(path, POOLS)
    memory.change(NAME, 1.0, lambda _: Pool(closed_until=50.0))
    data = bytearray(path.read_bytes())
    for at in range(PLACES_AT, POOLS.total, POOLS.place):
        data[at + 30] ^= 0xFF
    path.write_bytes(data)
    assert memory.change(NAME, 2.0, lambda pool: pool) == Pool()
    memory.close()


def test_a_clock_that_was_put_back(tmp_path: Path) -> None:
    """What was noted in what is now the future is forgotten, instead of kept for hours."""
    memory = Table(tmp_path / "pools", POOLS)
    memory.change(NAME, 10_000.0, lambda _: Pool(closed_until=13_600.0))
    assert memory.change(NAME, 9_999.0, lambda pool: pool).closed_until == 13_600.0
    assert memory.change(NAME, 5_000.0, lambda pool: pool) == Pool()
    memory.close()


@pytest.mark.thorough
def test_any_number_of_pools(tmp_path: Path) -> None:
    """Callers name models, so the longest unused pools are forgotten first; odd names are names."""
    memory = Table(tmp_path / "pools", POOLS)
    for n in range(20_000):
        memory.change(f"{n}\ud800", float(n), lambda _, n=n: Pool(closed_until=float(n)))  # type: ignore[misc]
    assert os.path.getsize(tmp_path / "pools") == POOLS.total
    found = memory.change("19999\ud800", 20_000.0, lambda pool: pool)
    assert found.closed_until == 19_999.0
    memory.close()


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "1s",
            },
            Room(requests=59, refill_s=1.0),
        ),
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-29T12:01:00Z",
            },
            Room(requests=0, refill_s=1.2),
        ),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, None),
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "60",
                "x-ratelimit-reset-requests": "0s",
            },
            None,
        ),
        (
            {
                "x-ratelimit-limit-requests": "many",
                "x-ratelimit-remaining-requests": "-1",
                "x-ratelimit-reset-requests": "soon",
            },
            None,
        ),
    ],
)
def test_room_for_requests(headers: dict[str, str], found: Room | None) -> None:
    """As a bucket that fills evenly; what is not said is not known."""
    assert room(headers, AT) == found


@given(st.integers(0, 20), st.floats(0.01, 100), st.integers(1, 60))
def test_no_more_is_sent_than_there_is_room_for(left: int, refill_s: float, seconds: int) -> None:
    """At once what is left, then one for each that is filled in."""
    pool = pools.told(Pool(), 1.0, Room(requests=left, refill_s=refill_s))
    sent, now = 0, 1.0
    while (opens := pools.opens_at(pool, now)) <= 1.0 + seconds and sent < 500:
        now = max(opens, now)
        pool = pools.sent(pool, now)
        sent += 1
    assert sent <= left + seconds / refill_s + 1e-3
    assert sent >= min(500, left + int(seconds / refill_s) - 1)


async def status(of: int) -> int:
    """That of one call at the relay on this port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", of)
    writer.write(asking())
    line = (await asyncio.wait_for(read_message(reader), 10)).line
    writer.close()
    return int(line.split()[1])


@pytest.mark.slow
async def test_everything_is_at_its_limit(tmp_path: Path) -> None:
    """50 calls a second for six seconds at two relays: one call upstream for each pool and reset.

    A probe that was sent right before its call's deadline has no answer: that call gets a 504, and
    another probe is sent in its place.
    """
    limited = answer(429, error("rate_limit_exceeded"), b"Retry-After: 1\r\n")
    script = Script({"a": [limited], "b": [limited]})
    made = keys.read(options(tmp_path, "a", "b", deadline_s=0.2), {}, print)
    async with (
        listening(script.handler()) as port,
        relays(tmp_path / "d", port, 1, 0, gateway=made) as [first],
        relays(tmp_path / "d", port, 1, 1, gateway=made) as [second],
    ):
        assert await status(first.port) == 429
        began = asyncio.get_running_loop().time()
        calls = []
        for n in range(300):
            calls.append(asyncio.create_task(status((first, second)[n % 2].port)))
            await asyncio.sleep(began + (n + 1) / 50 - asyncio.get_running_loop().time())
        answers = Counter(await asyncio.gather(*calls))
        lasted = asyncio.get_running_loop().time() - began
    assert answers[429] + answers[504] == 300
    for model in ("a", "b"):
        assert 3 <= script.models.count(model) <= 2 + lasted + answers[504], answers


@pytest.mark.thorough
async def test_two_relays_obey_one_429(tmp_path: Path) -> None:
    """Real processes: while the provider said to wait, neither asks; then one probe, then all."""
    chat = answer(200, {"choices": [{"message": {"content": "Bonjour"}}]})
    limited = answer(429, error("rate_limit_exceeded"), b"Retry-After: 2\r\n")
    script = Script({"a": [limited, chat]})
    made = keys.read(options(tmp_path, "a", deadline_s=0.5), {}, print)
    async with (
        listening(script.handler()) as port,
        relays(tmp_path / "d", port, 1, 0, gateway=made) as [first],
        relays(tmp_path / "d", port, 1, 1, gateway=made) as [second],
    ):
        assert await status(first.port) == 429
        ports = [first.port, second.port] * 10
        assert set(await asyncio.gather(*map(status, ports))) == {429}
        assert len(script.seen) == 1
        await asyncio.sleep(2.1)
        assert await status(second.port) == 200
        assert set(await asyncio.gather(*map(status, ports))) == {200}
    assert {model_of(one) for one in script.seen} == {"a"}
