"""The whole product: a canary that fails is rolled back by itself, and stays so over a restart."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from evaluation.standin import processes
from proxy.door.callers import hashed

TOKEN = "tmt_" + "x" * 43
SETTINGS = f"""
{processes.FAST_ROWS}
[gateway]
retries_min = 1_000
[gateway.keys.openai]
provider = "openai"
value = "env:BENCH_KEY"
[gateway.keys.mistral]
provider = "mistral"
value = "env:BENCH_KEY"
[gateway.callers.search]
token_hash = "{hashed(TOKEN)}"
[gateway.routes.r]
version = "1"
candidates = [
  {{ provider = "openai", model = "gpt-5.4-mini" }},
  {{ provider = "mistral", model = "mistral-small-latest" }},
]
split = [{{ candidate = 0, share = 0.5 }}, {{ candidate = 1, share = 0.5 }}]
canary = {{ candidate = 1, rollback = true }}
"""
NOWHERE = "http://127.0.0.1:1"  # so each attempt there fails, and goes on to the other candidate
ROLLBACK_S = 120.0


def call(url: str, session: int) -> str:
    """The candidate that answered a call of this session."""
    body = {"model": "r", "messages": [{"role": "user", "content": f"Hello, {session}"}]}
    request = urllib.request.Request(
        f"{url}/gateway/v1/chat/completions",
        json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "x-taximeter-session": str(session),
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.headers["x-taximeter-candidate"])


def canary(served: processes.Serving) -> Any:
    ((one,),) = [processes.get_json(f"{served.console_url}/api/routes")]
    return one["canary"]


@pytest.mark.slow  # it waits for the meter's next look, and starts everything twice
def test_a_failing_canary_is_rolled_back(tmp_path: Path) -> None:
    """No call is lost meanwhile; the entry is in the audit log, and the alert in the log."""
    with processes.stand_in(tmp_path / "stand-in.log") as (upstream, _):
        upstreams = {"openai": upstream, "mistral": NOWHERE}
        how: Any = {"settings": SETTINGS, "environ": {"BENCH_KEY": "sk-test"}}
        with processes.serve(tmp_path / "p", upstreams, **how) as served:
            assert (canary(served)["state"], canary(served)["sessions"]) == ("running", 0)
            for session in range(80):
                assert call(served.proxy_url, session) == "openai/gpt-5.4-mini"
            rows = served.calls_when(80 + 20)
            until = time.monotonic() + ROLLBACK_S
            while (found := canary(served))["state"] == "running" and time.monotonic() < until:
                time.sleep(0.5)
            assert found["state"] == "rolled_back"
            errors = next(one for one in found["findings"] if one["of"] == "errors")
            assert errors["canary"] > 0.5  # not all: after thirty calls it is shut off
            assert (errors["others"], errors["worse"]) == (0.0, True)
            assert {row["arm"] for row in rows} == {
                "openai/gpt-5.4-mini",
                "mistral/mistral-small-latest",
            }
            time.sleep(2)  # relays look once a second
            seen = len(served.calls())
            for session in range(80, 100):
                call(served.proxy_url, session)
            assert len(served.calls_when(seen + 20)) == seen + 20  # an attempt for each call
            command = [sys.executable, "-m", "proxy", "audit", "log", "--json"]
            command += ["--data", str(tmp_path / "p" / "data")]
            audited = subprocess.run(command, capture_output=True, text=True, check=True)
            assert "canary-rollback" in audited.stdout
            assert "Canary mistral/mistral-small-latest in route r" in served.log.read_text()
        with processes.serve(tmp_path / "p", upstreams, **how) as served:
            assert canary(served)["state"] == "rolled_back"
            assert call(served.proxy_url, 200) == "openai/gpt-5.4-mini"
