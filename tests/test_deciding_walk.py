"""The walk of docs/deciding.md: a run, a comparison, a recommendation, and valid routes."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from evaluation.standin import processes
from evaluation.suites import reader
from proxy.settings import sources
from support.documents import blocks, read, shell_lines
from support.newcomer import newcomer

WALK = [
    line
    for block in blocks(read("docs/deciding.md"), "sh")
    for line in shell_lines(block)
    if "starter" in line or "RUN" in line
]


@pytest.mark.slow
def test_the_walk_ends_in_a_recommendation(tmp_path: Path) -> None:
    """Two models that are equally good, one of them a quarter of the price: the cheaper one wins.

    Each command as it stands there, in an empty directory, against the stand-in.
    """
    who = newcomer(tmp_path)
    quality = "gpt-5.4=0.95,gpt-5.4-mini=0.95"
    options = ("--suite", str(reader.STARTER), "--quality", quality)
    with processes.stand_in(tmp_path / "stand-in.log", *options) as (upstream, _):
        variables = {"OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "sk-x"}
        run, compare, recommend = WALK
        where = f"--data {tmp_path / 'data'}"
        done = json.loads(who.bash(f"{run} --json {where}", **variables).stdout)
    compare, recommend = (each.replace("RUN", done["run_id"]) for each in (compare, recommend))
    compared = json.loads(who.bash(f"{compare} --json {where}").stdout)
    assert compared["quality_source"] == "run"
    report = json.loads(who.bash(f"taximeter report --since 30d --json {where}").stdout)
    costs = {row["model"]: Decimal(row["cost_usd"]) for row in report}
    assert costs == {
        each["model"]: Decimal(each["report"]["cost_usd"]) for each in compared["candidates"]
    }
    made = json.loads(who.bash(f"{recommend} --json {where}").stdout)
    switch = next(each for each in made["changes"] if each["kind"] == "model")
    assert (switch["candidate"], switch["to"]) == ("openai/gpt-5.4", "openai/gpt-5.4-mini")
    assert switch["evidence_kind"] == "replay"
    assert 0.6 < switch["saving_share"]["low"] <= switch["saving_share"]["high"] < 0.8
    routes = sources.load(tmp_path / "routes.toml", {}).gateway.routes
    assert routes.keys() == {"gpt-5.4", "gpt-5.4-mini"}
