"""The walk of docs/decisions-guide.md, followed by a newcomer: no key, and an empty machine."""

import json
from pathlib import Path
from typing import Any

import pytest

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
