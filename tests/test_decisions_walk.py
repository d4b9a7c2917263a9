"""The walk of docs/decisions-guide.md, followed by a newcomer: no key, and an empty machine."""

import asyncio
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from evaluation.standin import processes
from support.documents import blocks, read, shell_lines
from support.newcomer import Newcomer, newcomer

GUIDE = read("docs/decisions-guide.md")
WALK = GUIDE.partition("## A walk")[2].partition("\n## ")[0]
TRAFFIC = "--seconds 60"  # a test takes less of it, and denser
QUICK = "--seconds 8 --rate 60"
FREE = "[proxy]\nport = 0\n[console]\nport = 0\n"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


class Walker:
    """Follows the walk, block by block; what runs on is stopped at the end."""

    def __init__(self, who: Newcomer, running: ExitStack) -> None:
        self.who, self.running = who, running
        self.environ: dict[str, str] = {}
        self.said: dict[str, str] = {}  # by command
        self.words = {TRAFFIC: QUICK}  # as a test has them instead

    def block(self, block: str) -> None:
        """A file is written, a command is run."""
        name, _, rest = block.partition("\n")
        if name.startswith("# "):
            text = self._mine(rest)
            (self.who.cwd / name.removeprefix("# ")).write_text(text, encoding="utf-8")
            return
        for line in shell_lines(block):
            self._run(line)

    def _run(self, line: str) -> None:
        if line.startswith("export "):
            self.environ |= dict(pair.split("=", 1) for pair in line.split()[1:])
        elif "evaluation.standin" in line:
            said = self._start(line.replace("--port 4100", "--port 0"), "url")
            self.words["127.0.0.1:4100"] = f"127.0.0.1:{json.loads(said)['port']}"
        elif line.startswith("taximeter serve"):
            with (self.who.cwd / "canary.toml").open("a", encoding="utf-8") as file:
                file.write(FREE)
            found = re.search(r"OPENAI_BASE_URL=http://(\S+?)/", self._start(line, "OPENAI_BASE"))
            assert found
            self.words["127.0.0.1:4000"] = found[1]
        else:
            mine = self._mine(line)
            self.said[line] = self.who.bash(mine, **self.environ).stdout
            if "eval run" in line:
                (run,) = re.findall(r"eval report (\S+)", self.said[line])
                self.words["--run RUN"] = f"--run {run}"

    def _mine(self, text: str) -> str:
        for shown, own in self.words.items():
            text = text.replace(shown, own)
        return text

    def _start(self, line: str, until: str) -> str:
        who = replace(self.who, environ={**self.who.environ, **self.environ})
        return self.running.enter_context(who.started(line, until))[1]

    def asked(self, line: str) -> Any:
        """The JSON of a command."""
        return json.loads(self.who.bash(f"{self._mine(line)} --json", **self.environ).stdout)


@pytest.mark.slow  # the whole product, and twelve hundred calls
@needs_curl
def test_the_walk_ends_in_a_saving_that_the_bills_show(tmp_path: Path) -> None:
    """Every command as it stands: traffic, run, comparison, simulation, advice, route, canary."""
    with ExitStack() as running:
        walker = Walker(newcomer(tmp_path), running)
        for block in re.findall(r"```(?:sh|toml)\n(.*?)```", WALK, re.DOTALL):
            walker.block(block)
        silent = [line for line, said in walker.said.items() if not said]
        assert all(one.startswith(("seq", "tail", "taximeter keys add")) for one in silent), silent
        simulate, own = (line for line in walker.said if line.startswith("taximeter simulate"))
        assert "Gate passed" in walker.said[simulate]
        assert "Gate" in (tmp_path / "simulated.html").read_text()
        advice, verified = (line for line in walker.said if line.startswith("taximeter recommend"))
        assert "1. use openai/gpt-5.4-mini instead of openai/gpt-5.4" in walker.said[advice]
        # Calls of the small model stay with it: a tenth of the others costs less.
        policies = walker.asked(own)["queue"]["policies"]
        assert policies["proposed"]["usd"]["value"] < 1.25 * policies["in force"]["usd"]["value"]
        bills = {row["candidate"]: row for row in walker.asked(_report(walker))}
        _verify(bills, walker.asked(verified))
        _agree(walker)


def _report(walker: Walker) -> str:
    return next(line for line in walker.said if "--measure cost_per_success" in line)


def _verify(bills: Mapping[str, Any], found: Any) -> None:
    """What is saved is what both arms were billed for a call, all of which succeeded."""
    large, small = (bills[f"openai/{name}"] for name in ("gpt-5.4", "gpt-5.4-mini"))
    assert large["calls"] + small["calls"] == 1200
    assert 60 < small["calls"] < 180
    each = [Decimal(row["cost_usd"]) / row["calls"] for row in (small, large)]
    (change,) = (one for one in found["changes"] if one["kind"] == "model")
    assert (change["conclusion"], change["evidence_kind"]) == ("recommended", "off-policy")
    assert change["rewards"] == "feedback"
    assert change["saving_share"]["value"] == pytest.approx(float(1 - each[0] / each[1]), rel=1e-6)
    saved = change["saving_usd"]["value"]
    assert saved == pytest.approx(float((each[1] - each[0]) * large["calls"]), rel=1e-6)
    assert Decimal(large["cost_per_success_usd"]) == pytest.approx(each[1])


def _agree(walker: Walker) -> None:
    """Costs of a range are the same in the report, the comparison, the advice and the study."""
    period = "--data demo --since 2h --provider openai --not outcome=client_gone"
    report = walker.asked(f"taximeter report {period} --by provider,model")
    costs = {f"{row['provider']}/{row['model']}": Decimal(row["cost_usd"]) for row in report}
    advice = walker.asked(f"taximeter recommend {period}")
    assert {name: Decimal(usd) for name, usd in advice["spend"].items()} == costs
    compared = walker.asked(f"taximeter compare {period}")
    texts = {one["candidate"]: Decimal(one["report"]["cost_usd"]) for one in compared["candidates"]}
    assert texts == {name: costs[name] for name in texts}
    again = period.replace("--since", "--history")
    study = walker.asked(f"taximeter simulate canary.toml {again}")
    assert Decimal(study["history"]["usd"]) == sum(costs.values())


@pytest.mark.slow  # ten seconds of traffic
def test_the_simulator_passes_its_gate_on_the_demos_traffic(tmp_path: Path) -> None:
    """Cost within 2 %, p95 within 15 %; and Azure's arrivals, five times as dense."""
    who = newcomer(tmp_path)
    routes = next(one for one in blocks(GUIDE, "toml") if "gateway.routes.assistant" in one)
    (tmp_path / "routes.toml").write_text(routes)
    who.bash(f"taximeter demo {QUICK} --data demo")
    found: Any = json.loads(
        who.bash(
            "taximeter simulate routes.toml --data demo --not outcome=client_gone --json"
        ).stdout
    )
    assert found["gate"]["passed"] is True
    assert found["gate"]["cost_usd"]["off"] < 0.02
    assert found["gate"]["p95_total_s"]["off"] < 0.15
    assert found["off_policy"]["refused"] == "no propensities were recorded"
    azure = Path(__file__).parents[1].parent / "shared" / "data" / "routing" / "azure_2023_conv.csv"
    if azure.is_file():
        for scale in (1, 5):
            line = f"taximeter simulate routes.toml --data demo --arrivals {azure} --scale {scale}"
            dense: Any = json.loads(who.bash(f"{line} --calls-max 500 --json").stdout)
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
