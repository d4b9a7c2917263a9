"""The walk of docs/decisions-guide.md, followed by a newcomer: no key, and an empty machine."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from evaluation.standin import processes
from support.documents import blocks, read, shell_lines
from support.newcomer import Newcomer, newcomer

GUIDE = read("docs/decisions-guide.md")
TRAFFIC = "--seconds 60"  # a test takes less of it, and denser
QUICK = "--seconds 8 --rate 60"


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """Somebody with the file of routes that the guide shows."""
    found = newcomer(tmp_path_factory.mktemp("walk"))
    routes = next(one for one in blocks(GUIDE, "toml") if "gateway.routes.assistant" in one)
    (found.cwd / "routes.toml").write_text(routes)
    return found


@pytest.mark.slow  # half a minute of the whole product
def test_the_walk_is_walked(who: Newcomer) -> None:
    """Every command as it stands; the simulation passes its own gate on the demo's traffic."""
    walk = shell_lines(blocks(GUIDE, "sh")[0])
    assert walk[0].startswith("taximeter demo")
    for line in walk:
        said = who.bash(line.replace(TRAFFIC, QUICK)).stdout
        assert said, line
    assert "Gate" in (who.cwd / "simulated.html").read_text()
    found: Any = json.loads(
        who.bash("taximeter simulate routes.toml --data demo --seed 5 --json").stdout
    )
    assert found["gate"]["passed"] is True
    assert found["gate"]["cost_usd"]["off"] < 0.02
    assert found["gate"]["p95_total_s"]["off"] < 0.15
    assert found["off_policy"]["refused"] == "no propensities were recorded"
    azure = Path(__file__).parents[1].parent / "shared" / "data" / "routing" / "azure_2023_conv.csv"
    if azure.is_file():
        line = f"taximeter simulate routes.toml --data demo --arrivals {azure} --scale 5 --json"
        dense: Any = json.loads(who.bash(f"{line} --calls-max 500").stdout)
        assert dense["queue"]["policies"]["proposed"]["calls"]["value"] == 500


SETTINGS = """
[gateway]
insecure = true

[gateway.keys.openai]
provider = "openai"
value = "env:A_KEY"

[gateway.keys.mistral]
provider = "mistral"
value = "env:A_KEY"

[gateway.routes.assistant]
version = "1"
explore = 0.5
candidates = [
  { provider = "openai", model = "gpt-5.4-mini" },
  { provider = "mistral", model = "mistral-large-2512" },
]
"""
PROPOSED = """
[routes.assistant]
version = "2"
split = [{ candidate = 0, share = 0.5 }, { candidate = 1, share = 0.5 }]
candidates = [
  { provider = "openai", model = "gpt-5.4-mini" },
  { provider = "mistral", model = "mistral-large-2512" },
]
"""
CALLS = 300


async def _asked(url: str) -> list[int]:
    """Sessions of two turns each, twenty calls at a time; their statuses."""

    async def one(number: int) -> int:
        words = "word " * (20 if number % 3 else 200)
        body = {"model": "assistant", "messages": [{"role": "user", "content": words}]}
        sent = {
            "x-standin-output-tokens": str(20 + number % 50),
            "x-standin-head-s": "0.05",
            "x-taximeter-session": f"s{number // 2}",
        }
        async with session.post(f"{url}/gateway/v1/chat/completions", json=body, headers=sent) as r:
            await r.read()
            return r.status

    found = []
    async with aiohttp.ClientSession() as session:
        for turn in (0, 1):
            for first in range(turn, CALLS, 40):
                found += await asyncio.gather(*map(one, range(first, min(first + 40, CALLS), 2)))
    return found


@pytest.mark.slow  # the whole product with the gateway
def test_what_the_gateway_records_is_what_the_study_reads(tmp_path: Path) -> None:
    """Propensities, sessions and prices; a load test of the route is metered, and no traffic."""
    who = newcomer(tmp_path, A_KEY="sk-standin")
    (tmp_path / "routes.toml").write_text(PROPOSED)
    (tmp_path / "mix.toml").write_text("[[request]]\ninput_tokens = 50\noutput_tokens = 20\n")
    with (
        processes.stand_in(tmp_path / "stand-in.log") as (upstream, _),
        processes.serve(
            tmp_path / "serve",
            dict.fromkeys(("openai", "mistral"), upstream),
            settings=SETTINGS + processes.FAST_ROWS,
            environ={"A_KEY": "sk-standin"},
            rows=tmp_path / "data",
        ) as served,
    ):
        assert set(asyncio.run(_asked(served.proxy_url))) == {200}
        assert len(served.calls_when(CALLS)) == CALLS
        beside = f"--config {served.data / 'taximeter.toml'} --data {tmp_path / 'data'} --json"
        test = "--target assistant --mix mix.toml --rate 10/s --seconds 2 --max-usd 1 --warm-up 0"
        load: Any = json.loads(who.bash(f"taximeter loadtest {test} {beside}").stdout)
        (step,) = load["steps"]
        assert step["ok"] == step["due"] > 5
        served.calls_when(CALLS + step["due"])
        spent = sum(
            Decimal(row["cost_usd"]) for row in served.calls(**{"tag.loadtest": load["run_id"]})
        )
        assert Decimal(load["spent_usd"]) == spent > 0
        found: Any = json.loads(who.bash(f"taximeter simulate routes.toml {beside}").stdout)
        for command, document in (("loadtest", load), ("simulate", found)):
            api = f"{served.console_url}/api/{command}"
            [kept] = processes.get_json(api)
            shown = processes.get_json(f"{api}/{kept['name']}")
            assert json.loads(json.dumps(shown, default=float)) == document
    assert found["history"]["calls"] == CALLS
    assert found["history"]["left_out"] == {"calls of a load test": step["due"]}
    gate = found["gate"]
    assert gate["passed"] is True, gate
    assert gate["decisions"]["agree"] == gate["decisions"]["checked"] > 50
    assert found["off_policy"]["with_propensity"] == found["off_policy"]["calls"] > 100
    assert found["off_policy"]["policies"]["proposed"]["usd_per_call"]["ess"] > 100
    assert found["queue"]["policies"]["proposed"]["failed_share"]["value"] == 0
