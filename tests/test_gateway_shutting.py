"""Candidates that failed too often are tried by one call of the whole machine at a time."""

import asyncio
import time
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gateway_pools_shared import Clock

from proxy.door import keys
from proxy.door.breakers import LOOK_S, Breakers
from proxy.door.shared_pools import SharedPools
from proxy.gateway import pools, shutting
from proxy.gateway.failures import What
from proxy.gateway.live import CALLS_MIN, Condition
from proxy.gateway.measured import Measured, Published, Sample
from proxy.gateway.pools import CLOSED_FIRST_S, CLOSED_MAX_S, PROBE_S, Pool
from proxy.settings.places import Places
from support.gateway_bench import Script, answer, asking, door, error, options
from support.relay_bench import listening, read_message
from support.relay_processes import relays

A = "openai/a"
OPEN = Condition()
NUMBERS = count()
CHAT = answer(200, {"choices": [{"message": {"content": "Bonjour"}}]})


def failing(at: float) -> Condition:
    return Condition(calls=CALLS_MIN, error_share=1.0, failed_at=at)


def two(folder: Path, clock: Clock) -> tuple[Breakers, Breakers]:
    path = folder / "pools"
    one, other = (SharedPools(path, clock, clock.wall) for _ in range(2))
    return Breakers(one, clock), Breakers(other, clock)


def test_two_relays_share_one_try(tmp_path: Path) -> None:
    """What one shuts off is shut for both; one call tries it; its answer opens it for both."""
    clock = Clock()
    a, b = two(tmp_path, clock)
    bad = failing(clock.wall())
    found, may = a.judged(A, bad, fresh=True)
    assert (found.shut, may) == (True, False)
    assert b.judged(A, OPEN, fresh=True)[0].shut
    clock.now += CLOSED_FIRST_S + 0.01
    assert a.judged(A, bad, fresh=True)[1]
    assert b.judged(A, bad, fresh=True)[1]
    assert b.take(A)
    assert not a.take(A)
    assert a.judged(A, bad, fresh=True)[0].shut
    b.ended(A, What.ANSWERED, tries=True)
    for one in (a, b):  # what failed before is held against it no more
        found, may = one.judged(A, bad, fresh=True)
        assert (found.shut, found.failing) == (False, False)
        assert not may
    worse = failing(clock.wall() + 1)
    assert a.judged(A, worse, fresh=True)[0].shut
    assert b.judged(A, worse, fresh=True)[0].shut


def test_a_try_that_fails_shuts_it_for_longer(tmp_path: Path) -> None:
    """One that says nothing of the candidate lets another call try; a lost one does, later."""
    clock = Clock()
    a, b = two(tmp_path, clock)
    a.judged(A, failing(clock.wall()), fresh=True)
    clock.now += CLOSED_FIRST_S + 0.01
    assert a.judged(A, OPEN, fresh=True)[1]
    assert a.take(A)
    a.ended(A, What.LIMITED, tries=True)
    assert b.take(A)
    b.ended(A, What.UNAVAILABLE, tries=True)
    clock.now += CLOSED_FIRST_S + 0.01
    assert a.judged(A, OPEN, fresh=True)[0].shut
    clock.now += CLOSED_FIRST_S
    assert a.take(A)
    clock.now += PROBE_S + 0.01
    assert b.judged(A, OPEN, fresh=True)[1]


def test_a_candidate_that_is_well_costs_no_look(tmp_path: Path) -> None:
    """It is looked at once a second; what another relay shut off is known by then."""
    clock = Clock()
    a, b = two(tmp_path, clock)
    assert not a.judged(A, OPEN, fresh=True)[0].shut
    b.judged(A, failing(clock.wall()), fresh=True)
    assert not a.judged(A, OPEN, fresh=True)[0].shut
    clock.now += min(LOOK_S, CLOSED_FIRST_S) * 0.99
    b.judged(A, OPEN, fresh=True)
    clock.now += 0.02
    assert a.judged(A, OPEN, fresh=True)[1]


def test_what_is_stale_shuts_nothing_off(tmp_path: Path) -> None:
    """The meter stopped: what it said last is of another time."""
    clock = Clock()
    a, _ = two(tmp_path, clock)
    found, may = a.judged(A, failing(clock.wall()), fresh=False)
    assert (found.shut, found.failing) == (False, False)
    assert not may


@given(st.lists(st.sampled_from(["fails", "answers", "takes", "waits"]), max_size=40))
def test_only_a_call_that_tried_it_opens_it(steps: list[str]) -> None:
    """Whatever happens, it is closed for at most a minute at a time, and one call tries it."""
    now, state = 1_000.0, pools.shut(Pool(), 1_000.0)
    for step in steps:
        before = state
        if step == "fails":
            state = pools.failed(state, now)
        elif step == "answers":
            state = pools.answered(state, now)
        elif step == "takes" and pools.opens_at(state, now) <= now:
            state = pools.sent(state, now)
            if state.closed_until:
                assert pools.opens_at(state, now) > now
        elif step == "waits":
            now += 7.0
        assert state.closed_until <= now + CLOSED_MAX_S
        if before.closed_until > now:
            assert state == before  # neither opened nor shut again by calls of before
        found, _ = shutting.judged(failing(now), state, now, fresh=True)
        assert not found.failing


def publish(data: Path) -> None:
    """As a meter does that saw `a` fail all the time."""
    measured = Measured()
    now = time.time()
    for _ in range(CALLS_MIN):
        sample = Sample(at=now, end=What.UNAVAILABLE, first_token_s=None, total_s=1.0)
        measured.add(A, None, sample)
    told: Published = measured.published(now)
    places = Places(data)
    places.state.mkdir(parents=True, exist_ok=True)
    places.gateway_live.write_bytes(msgspec.json.encode(told))


def other() -> bytes:
    """A call of another session than any before, as a session stays where its prompt is cached."""
    return asking(headers=b"x-taximeter-session: %d\r\n" % next(NUMBERS))


async def test_a_call_that_tries_it_is_answered(tmp_path: Path) -> None:
    """By the next candidate if it fails again, which shuts it off for longer."""
    publish(tmp_path)
    bad = answer(503, error("overloaded_error"))
    script = Script({"a": [bad, CHAT], "b": [CHAT]})
    async with door(tmp_path, script, options(tmp_path, "a", "b")) as b:
        assert b" 200 " in (await b.send(other())).line
        await asyncio.sleep(CLOSED_FIRST_S + 0.05)
        for _ in range(3):
            assert b" 200 " in (await b.send(other())).line
        await asyncio.sleep(2 * CLOSED_FIRST_S + 0.05)
        for _ in range(2):
            assert b" 200 " in (await b.send(other())).line
    assert script.models == ["b", "a", "b", "b", "b", "a", "a"]


@pytest.mark.thorough
async def test_two_relays_try_it_once(tmp_path: Path) -> None:
    """Real processes: of twenty calls at once, one tries it, and the others go elsewhere."""
    publish(tmp_path / "d")
    script = Script({"a": [CHAT], "b": [CHAT]})
    made = keys.read(options(tmp_path, "a", "b"), {}, print)
    slowly = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As the script does; `a` answers once it may."""
        while True:
            message = await read_message(reader)
            script.seen.append(message)
            if script.models[-1] == "a":
                await slowly.wait()
            writer.write(CHAT)
            await writer.drain()

    async def call(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(other())
        line = (await read_message(reader)).line
        writer.close()
        return line

    async with (
        listening(handle) as port,
        relays(tmp_path / "d", port, 1, 0, gateway=made) as [first],
        relays(tmp_path / "d", port, 1, 1, gateway=made) as [second],
    ):
        ports = [first.port, second.port]
        async with asyncio.timeout(60):
            await asyncio.gather(*map(call, ports))
            assert script.models == ["b", "b"]
            await asyncio.sleep(CLOSED_FIRST_S + 0.1)
            calls = [asyncio.create_task(call(one)) for one in ports * 10]
            while sum(one.done() for one in calls) < 19:
                await asyncio.sleep(0.02)
            assert script.models.count("a") == 1
            slowly.set()
            await asyncio.gather(*calls)
            await asyncio.sleep(LOOK_S)
            await asyncio.gather(*map(call, ports))
    assert script.models.count("a") == 3
