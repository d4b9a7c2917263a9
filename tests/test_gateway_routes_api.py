"""`/api/routes`: what the console tells of the gateway's candidates, from what the relays share."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application

from proxy.console.asking import answering, guarded, understood
from proxy.console.routes_api import RoutesApi
from proxy.door.shared_pools import SharedPools
from proxy.gateway import pools
from proxy.gateway.canary import Arm, Standings, begun, judge
from proxy.gateway.failures import What
from proxy.gateway.limits import Room, pool
from proxy.gateway.measured import Measured, Sample
from proxy.gateway.options import CanaryOptions, GatewayOptions, Share
from proxy.settings.config import Config
from proxy.settings.places import Places
from support.gateway_bench import KEYS, options


async def asked(data: Path, made: GatewayOptions, query: str = "") -> tuple[int, Any]:
    app = Application(middlewares=[guarded, understood])
    app.add_routes(answering(RoutesApi(Config(data=data, gateway=made)).routes()))
    async with TestClient(TestServer(app)) as client:
        answer = await client.get(f"/api/routes{query}")
        return answer.status, await answer.json()


async def test_a_route_that_nobody_called(tmp_path: Path) -> None:
    """Everything is open, and nothing was measured; no key is shown, only its name."""
    status, [found] = await asked(tmp_path, options(tmp_path, "a", "anthropic/b"))
    assert status == 200
    assert (found["route"], found["order"]) == ("r", "rules")
    a, b = found["candidates"]
    assert (a["candidate"], b["candidate"]) == ("openai/a", "anthropic/b")
    [pool_] = a["pools"]
    assert {name: pool_.pop(name) for name in ("requests_left", "told_at")} == {
        "requests_left": None,
        "told_at": None,
    }
    assert pool_ == {"key": "one", "limits": "a", "state": "open", "opens_at": None}
    assert (a["measured"], a["measured_at"], a["stale"], a["failing"]) == ([], None, False, False)
    assert not any(secret in str(found) for secret in KEYS.values())


async def test_the_state_of_each_pool(tmp_path: Path) -> None:
    """By key: closed until the provider's instant, full, half open, open again."""
    relay = SharedPools(Places(tmp_path).gateway_pools)
    made = options(tmp_path, "a", count=2)
    one, two = (pool("openai", key, "a") for key in ("one", "two"))
    relay.change(one, lambda p, now: pools.limited(p, now, 40, 0.5))
    relay.change(two, lambda p, now: pools.told(p, now, Room(requests=0, refill_s=9.0)))
    _, [found] = await asked(tmp_path, made, "?name=r")
    first, second = found["candidates"][0]["pools"]
    assert (first["state"], second["state"]) == ("closed", "full")
    assert first["opens_at"] > second["opens_at"] > "2026"
    assert (first["requests_left"], second["requests_left"]) == (None, 0)
    assert second["told_at"] > "2026"
    relay.change(one, lambda p, now: pools.limited(pools.Pool(), now - 50, 40, 0.5))
    relay.change(two, lambda *_: pools.Pool())
    _, [found] = await asked(tmp_path, made)
    assert [each["state"] for each in found["candidates"][0]["pools"]] == ["half_open", "open"]


async def test_what_was_measured(tmp_path: Path) -> None:
    """By the length of the prompt and in all, with whether it fails, and whether it is stale."""
    places = Places(tmp_path)
    places.state.mkdir()
    now = time.time()
    measured = Measured()
    for end in [What.UNAVAILABLE] * 20 + [What.ANSWERED] * 20:
        tokens = 70_000 if end is What.ANSWERED else None
        measured.add("openai/a", tokens, Sample(at=now, end=end, first_token_s=0.5, total_s=2.0))
    for at, stale in ((now, False), (now - 100, True)):
        told = msgspec.structs.replace(measured.published(now), at=at)
        places.gateway_live.write_bytes(msgspec.json.encode(told))
        _, [found] = await asked(tmp_path, options(tmp_path, "a"))
        (one,) = found["candidates"]
        every, long = one["measured"]
        assert (one["stale"], one["failing"]) == (stale, not stale)
        assert (every["tokens_from"], every["tokens_below"], every["calls"]) == (None, None, 40)
        assert (long["tokens_from"], long["tokens_below"], long["calls"]) == (64_000, None, 20)
        assert (every["error_share"], long["error_share"]) == (0.5, 0.0)
        assert (long["first_token_s"], long["total_p95_s"]) == (0.5, 2.0)


async def test_an_unknown_route(tmp_path: Path) -> None:
    """It says which is meant, or that there are none; so do parameters."""
    made = options(tmp_path, "a")
    for query, kept in (("?name=rr", "did you mean r?"), ("?nam=r", "did you mean name?")):
        status, found = await asked(tmp_path, made, query)
        assert status == 400
        assert found["hint"] == kept
    status, found = await asked(tmp_path, GatewayOptions(), "?name=r")
    assert (status, found["hint"]) == (400, "the configuration has none")
    assert await asked(tmp_path, GatewayOptions()) == (200, [])


async def test_the_rules_of_a_route(tmp_path: Path) -> None:
    """As configured: the share of each candidate, its condition, and what the route may do."""
    made = options(tmp_path, "a", "anthropic/b")
    route = replace(
        made.routes["r"],
        split=(Share(candidate=1, share=0.25),),
        explore=0.02,
        drop=("seed",),
    )
    _, [found] = await asked(tmp_path, replace(made, routes={"r": route}))
    assert [one["share"] for one in found["candidates"]] == [None, 0.25]
    assert (found["explore"], found["drop"], found["retry_ambiguous"]) == (0.02, ["seed"], False)
    assert found["score"] == {"quality": 1.0, "latency": 1.0, "cost": 1.0, "safety": 1.0}


async def test_the_canary_of_a_route(tmp_path: Path) -> None:
    """Not begun, then as the meter left it, in words too; a route without one says so."""
    made = options(tmp_path, "a", "anthropic/b")
    route = replace(
        made.routes["r"],
        version="1",
        split=(Share(candidate=0, share=0.9), Share(candidate=1, share=0.1)),
        canary=CanaryOptions(candidate=1, rollback=True, confidence=0.98),
    )
    watched = replace(made, routes={"r": route, "plain": made.routes["r"]})
    _, [found, plain] = await asked(tmp_path, watched)
    assert plain["canary"] is None
    assert (found["canary"]["state"], found["canary"]["began_at"]) == ("running", None)
    assert (found["canary"]["sessions"], found["canary"]["findings"]) == (0, [])
    assert (found["canary"]["confidence"], found["canary"]["evidence_needed"]) == (0.98, 200)
    mine, others = Arm(units=100, errors=40), Arm(units=900, errors=9)
    standing = msgspec.structs.replace(
        begun(route, 1_800_000_000.0),
        state="rolled_back",
        ended_at=1_800_000_100.0,
        looked_at=1_800_000_100.0,
        canary=mine,
        others=others,
        verdict=judge(mine, others, 0.1, 0.02),
    )
    Places(tmp_path).state.mkdir(exist_ok=True)
    Places(tmp_path).gateway_canaries.write_bytes(
        msgspec.json.encode(Standings(canaries=(standing,)))
    )
    _, [found, _] = await asked(tmp_path, watched)
    canary = found["canary"]
    assert (canary["state"], canary["number"], canary["candidate"]) == (
        "rolled_back",
        1,
        "anthropic/b",
    )
    assert canary["words"] == (
        "is worse than the others: 40.00% of sessions had an error, against 1.00%"
    )
    assert (canary["sessions"], canary["sessions_of_others"]) == (100, 900)
    assert canary["ended_at"] > canary["began_at"] > "2027"
    errors = canary["findings"][0]
    assert errors["evidence"] > canary["evidence_needed"]
    assert [one["worse"] for one in canary["findings"]] == [True, False, False, False]
