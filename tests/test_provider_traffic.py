"""Traffic and load against the stand-in, without a proxy between."""

import asyncio
import json
import sys
from itertools import islice

import pytest

from evaluation.standin import traffic
from evaluation.standin.server import serving
from evaluation.standin.workload import BATCH_REQUESTS, USES, plan
from trials.bench import load


def test_the_same_seed_plans_the_same_calls() -> None:
    """A run can be made again; another seed makes another run."""
    first, again, other = (list(islice(plan(seed), 50)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_plan_has_every_use_and_its_tags() -> None:
    """Each team's use comes up, and carries its team and feature for the proxy to take off."""
    calls = list(islice(plan(1), 1_000))
    assert {call.use.model for call in calls} == {use.model for use in USES}
    for call in calls:
        assert call.headers["x-taximeter-team"] == call.use.team
        assert call.headers["x-taximeter-feature"] == call.use.feature


async def test_every_planned_call_is_made_and_understood() -> None:
    """The stand-in refuses none of them but those that ask for an error."""
    async with serving() as (stand_in, port):
        tally = await traffic.run(f"http://127.0.0.1:{port}", rate=400, calls=200, seed=5, speed=50)
        exchanges = stand_in.journal.exchanges()
    assert tally.calls == len(exchanges) == 200
    asked = [dict(e.received.headers).get("x-standin-status", "200") for e in exchanges]
    assert [str(e.answered.status) for e in exchanges] == asked
    broken = [e for e in exchanges if e.answered.outcome in ("cut", "client_gone")]
    assert tally.by_status[0] >= len(broken)
    assert sum(tally.by_status.values()) == 200


async def test_traffic_stops_when_it_is_told_to() -> None:
    """Calls in flight finish, no more are made."""
    stop = asyncio.Event()
    stop.set()
    async with serving() as (_, port):
        tally = await traffic.run(f"http://127.0.0.1:{port}", rate=100, calls=50, stop=stop)
    assert tally.calls == 0


async def test_batches_are_sent_polled_and_downloaded() -> None:
    """Beside the planned calls; each item has its result."""
    async with serving() as (stand_in, port):
        url = f"http://127.0.0.1:{port}"
        tally = await traffic.run(url, rate=20, calls=40, seed=3, speed=50, batch_every_s=0.01)
        targets = [e.received.target for e in stand_in.journal.exchanges()]
    paths = [target for target in targets if "/batches" in target]
    assert paths[0] == traffic.BATCHES
    assert any(path.endswith("/results") for path in paths)
    assert tally.batch_items >= min(BATCH_REQUESTS)
    assert tally.calls == 40 + len(paths)


async def test_the_command_makes_calls_and_says_how_they_ended() -> None:
    """It is a program of its own, for a demo in containers."""
    async with serving() as (stand_in, port):
        command = [sys.executable, "-m", "evaluation.standin.traffic", f"http://127.0.0.1:{port}"]
        process = await asyncio.create_subprocess_exec(
            *command, "--rate=200", "--calls=20", "--speed=50", stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    tally = json.loads(output)
    assert tally["calls"] == len(stand_in.journal.exchanges()) == 20
    assert sum(tally["by_status"].values()) == 20


@pytest.mark.parametrize("stream", [True, False])
async def test_the_load_client_reads_answers_to_their_end(stream: bool) -> None:
    """Whether they have a length or come in chunks; its connection is kept."""
    body = b'{"model":"gpt-4o-mini@output-tokens=20,tokens-per-s=500","messages":[],"stream":%s}'
    async with serving() as (stand_in, port):
        asked = load.ask(
            f"http://127.0.0.1:{port}/v1/chat/completions", body % (b"true" if stream else b"false")
        )
        caller = await load.Caller.open(asked)
        seconds = [await caller.call() for _ in range(3)]
        caller.close()
        outcomes = [e.answered.outcome for e in stand_in.journal.exchanges()]
    assert outcomes == ["ok"] * 3
    assert min(seconds) >= 0.04
