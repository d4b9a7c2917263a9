"""`taximeter compare`: values are those of the report, and what is not known is not told."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from evaluation.decisions.calls import Calls
from evaluation.decisions.compared import compare
from evaluation.decisions.comparison import Compared, Comparison
from evaluation.decisions.wanted import wanted
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.evaluations import Evaluations
from exporters.clickhouse.feedback import FeedbackTable
from exporters.clickhouse.observed import COLUMNS, observed
from exporters.clickhouse.query import Query
from exporters.clickhouse.store import Store
from exporters.evaluation import EvalResult, EvalRun, Evaluation
from exporters.record import Batch, Record
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.console.given_feedback import statements
from support import deciding
from support.deciding import CHEAP, GOOD, POOR, Known

DATABASE = "test_compare"
WEIGHTS = ("quality=4,cost=3,latency=2",)
ANCHORS = ("cost=0.02:0,0.002:1", "latency=10s:0,1s:1")
ALL = ["--since", "20d"]


def compared(
    records: Sequence[Record], slo: Sequence[str] = (), weights: Sequence[str] = WEIGHTS
) -> Comparison:
    """Without a store."""
    sums, rows = deciding.observed(records)
    anchors = ANCHORS if weights == WEIGHTS else ()
    return compare(sums, Calls.read(list(COLUMNS), rows), wanted(slo, weights, anchors))


def of(found: Comparison, model: str) -> Compared:
    """One candidate."""
    return next(each for each in found.candidates if each.model == model)


def world(*known: Known, count: int = 1200, seed: int = 3) -> list[Record]:
    """Its calls."""
    return list(deciding.calls(np.random.default_rng(seed), known or (CHEAP, GOOD, POOR), count))


@pytest.fixture(scope="module")
def stored(chdb_dsn: str) -> list[Record]:
    """Calls in the store, one without a price, and a run on 60 cases."""
    records = world()
    records[0] = msgspec.structs.replace(records[0], cost_usd=None, cost_status="unpriced")
    refused = {"response.refusal": "true"}
    records[1] = msgspec.structs.replace(records[1], outcome="ok", attributes=refused)
    run = EvalRun(
        ts_us=1, run_id="R1", updated_us=1, state="finished", suite="s", suite_version="1",
        models=["openai/cheap", "openai/good", "openai/absent"], samples=1, cases=60,
    )  # fmt: skip
    results = [
        EvalResult(
            ts_us=1, run_id="R1", model=model, case_id=str(case), sample=1, case_version="1",
            cluster="", task="t", hidden=False, status="pass" if case % 10 < right else "fail",
            checks=json.dumps([{"kind": "refusal", "status": "pass", "reason": ""}]),
        )
        for model, right in (("openai/cheap", 6), ("openai/good", 9), ("openai/absent", 5))
        for case in range(60)
    ]  # fmt: skip

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE)
        await exporter.export(Batch("s:0", tuple(records)))
        await exporter.close()
        evaluations = Evaluations(chdb_dsn, database=DATABASE)
        await evaluations.write(Evaluation(runs=[run], results=results))
        await evaluations.close()
        said = [
            {"call_id": records[2].call_id, "name": "thumb", "value": False},
            {"session": records[4].session_id, "name": "solved", "value": False},
        ]
        feedback = FeedbackTable(chdb_dsn, database=DATABASE)
        await feedback.write(statements(json.dumps(said).encode(), datetime.now(UTC)))
        await feedback.close()

    asyncio.run(fill())
    return records


@pytest.fixture
def command(chdb_dsn: str, stored: list[Record], tmp_path: Path) -> list[str]:
    """Words of every command on that store."""
    config = tmp_path / "taximeter.toml"
    config.write_text(f'[store]\ndsn = "{chdb_dsn}"\ndatabase = "{DATABASE}"\n')
    return ["--config", str(config), "--data", str(tmp_path)]


@pytest.mark.thorough
def test_sums_and_percentiles_are_those_of_the_report(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """To the last digit, in the same range, under the same filters."""
    for filters in ([], ["--not", "model=poor"], ["--outcome", "ok"]):
        assert main(["report", *command, *ALL, *filters, "--json"]) == Exit.OK
        rows = {each["model"]: each for each in json.loads(capsys.readouterr().out)}
        more = ["--measure", "cost_per_success"]
        assert main(["report", *command, *ALL, *filters, *more, "--json"]) == Exit.OK
        successes = {each["model"]: each for each in json.loads(capsys.readouterr().out)}
        assert main(["compare", *command, *ALL, *filters, "--json"]) == Exit.OK
        found = json.loads(capsys.readouterr().out)
        assert len(rows) == 3 - (len(filters) > 0 and filters[0] == "--not")
        assert {each["model"]: each["report"] for each in found["candidates"]} == rows
        for each in found["candidates"]:
            row, metrics = rows[each["model"]], each["metrics"]
            assert metrics["p95_total"]["value"] == row["duration_p95_us"] / 1e6
            assert metrics["p95_ttft"]["value"] == row["first_token_p95_us"] / 1e6
            assert metrics["error_rate"]["value"] == row["errors"] / row["calls"]
            assert metrics["cost_per_call"]["value"] == float(row["cost_usd"]) / row["calls"]
            one = successes[each["model"]]
            assert metrics["success_rate"]["value"] == one["successes"] / one["calls"]
            assert metrics["cost_per_success"]["value"] == pytest.approx(
                float(one["cost_per_success_usd"]), rel=1e-12
            )
        assert found["total"]["calls"] == sum(each["calls"] for each in rows.values())
        judged = sum(each["judged_calls"] for each in successes.values())
        assert found["quality"].startswith(f"feedback about {judged} of ")


def test_an_unknown_cost_opens_the_interval(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One call without a price: the cost is a lower bound, and a note says so."""
    assert main(["compare", *command, *ALL, "--json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    costs = {each["model"]: each["metrics"]["cost_per_call"] for each in found["candidates"]}
    assert costs["cheap"]["high"] is None
    assert costs["good"]["high"] is not None
    assert any("openai/cheap: 1 call may have cost more" in note for note in found["notes"])


def test_quality_comes_from_a_run(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Then a cost per success is the cost of a call over the share of right answers."""
    words = [*ALL, "--run", "R1", "--weights", "quality=4,cost=3,safety=1", "--json"]
    assert main(["compare", *command, *words]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert found["quality_source"] == "run"
    assert "run R1" in found["quality"]
    values = {each["model"]: each["metrics"] for each in found["candidates"]}
    assert values["cheap"]["quality"]["value"] == pytest.approx(0.6)
    assert values["good"]["safety"]["value"] == 1.0
    assert values["good"]["cost_per_success"]["value"] == pytest.approx(
        values["good"]["cost_per_call"]["value"] / 0.9
    )
    assert values["poor"]["quality"]["value"] is None  # the run did not ask it
    (poor,) = (each for each in found["candidates"] if each["model"] == "poor")
    assert poor["score"]["value"] is None
    assert poor["dominated_by"] == []
    assert any("openai/absent" in note for note in found["notes"])
    assert main(["compare", *command, *ALL, "--run", "R2"]) == Exit.MISTAKE
    assert "no run R2" in capsys.readouterr().err


def test_a_table_and_a_page(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables fit 80 columns; the page needs nothing else and can be read aloud."""
    page = tmp_path / "c.html"
    words = ["--slo", "p95_ttft<1s", "error_rate<10%", "--weights", *WEIGHTS, "--html", str(page)]
    assert main(["compare", *command, *ALL, *words]) == Exit.OK
    shown = capsys.readouterr().out
    table = [line for line in shown.splitlines() if line.startswith(("openai/", "  openai/"))]
    assert len(table) > 10
    assert max(map(len, (line for line in table if "ahead" not in line))) <= 80
    (poor,) = (line for line in shown.splitlines() if line.startswith("Limits: openai/poor:"))
    assert "misses error_rate<10%" in poor
    html = page.read_text(encoding="utf-8")
    assert 'role="img" aria-label="Quality over' in html
    assert "<desc>1 openai/" in html
    assert "http" not in html.replace("http_error", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slo", "p95_tft<1s"], "unknown metric 'p95_tft'; did you mean p95_ttft?"),
        (["--weights", "qualty=4"], "did you mean quality?"),
        (["--weights", "cost=3", "--anchors", "csot=1:0,0.1:1"], "did you mean cost?"),
        (["--slo", "quality<0.9"], "better the higher it is; write quality>=0.9"),
        (["--slo", "cost<1s"], "expected an amount such as"),
        (["--slo", "p95_ttft<1"], "a time with its unit"),
        (["--slo", "quality>=95"], "is from 0 to 1"),
        (["--slo", "p95_ttft"], "write it as in p95_ttft<1s"),
        (["--weights", "cost"], "write cost_per_success=NUMBER"),
        (["--weights", "cost=-1"], "0 or more"),
        (["--weights", "cost=0,quality=0"], "at least one weight"),
        (["--weights", "cost=1,cost_per_success=2"], "given twice"),
        (["--anchors", "cost=0.02:0,0.002:1"], "give it a weight"),
        (["--weights", "cost=3", "--anchors", "cost=0.002:0,0.02:1"], "swap 0 and 1"),
        (["--weights", "cost=3", "--anchors", "cost=0.02:0"], "what is worth 0 and what is worth"),
        (["--weights", "cost=3", "--anchors", "cost=2:0,1:1,lg"], "did you mean log?"),
        (["--team", "x", "--since", "yesterday"], "invalid time"),
    ],
)
def test_mistakes_end_with_2(
    command: list[str], words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was meant; nothing is answered."""
    assert main(["compare", *command, *words]) == Exit.MISTAKE
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


def test_no_calls_is_an_answer(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Not an error, and nobody is best."""
    words = ["--since", "2020-01-01", "--until", "2020-01-02"]
    assert main(["compare", *command, *words, "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["verdict"]["conclusion"] == "cannot tell"


def test_many_calls_are_sampled_by_session(stored: list[Record], chdb_dsn: str) -> None:
    """Sums stay those of all calls; a session is in the sample with all of its calls or none."""

    async def ask() -> Any:
        store = Store(chdb_dsn, database=DATABASE)
        found = await observed(store, Query(), most=300)
        await store.close()
        return found

    found = asyncio.run(ask())
    assert found.sums.total["calls"] == len(stored)
    assert 150 < len(found.rows) < 450
    assert found.share == pytest.approx(0.25)
    clusters = [row[found.columns.index("cluster")] for row in found.rows]
    assert {clusters.count(each) for each in clusters} == {4}


def test_a_newcomer_changes_no_score_and_no_order() -> None:
    """Utilities depend on the anchors alone, also on those that nobody gave."""
    two = world(CHEAP, GOOD, count=200)
    for weights in (WEIGHTS, ("quality=4,cost=3,latency=2,error_rate=1",)):
        before = compared(two, weights=weights)
        for newcomer in (Known("mad", 5.0, 300.0, 0.1), Known("free", 1e-9, 0.01, 0.5)):
            third = [
                msgspec.structs.replace(each, session_id=f"n{each.session_id}")
                for each in world(newcomer, count=60)
            ]
            after = compared([*two, *third], weights=weights)
            for model in ("cheap", "good"):
                old, new = of(before, model).score, of(after, model).score
                assert old is not None
                assert new is not None
                assert new.value == old.value


def test_limits_come_first() -> None:
    """Who misses one is out whatever its score; whose metric is unknown as well."""
    found = compared(world(count=600), ["p95_total<4s"])
    assert not of(found, "good").within_limits
    assert found.verdict.winner == "openai/cheap"
    silent = [msgspec.structs.replace(each, first_token_us=None) for each in world(count=60)]
    unknown = compared(silent, ["p95_ttft<100s"])
    assert {each.limits[0].met for each in unknown.candidates} == {None}
    assert unknown.verdict.conclusion == "none within limits"


def test_the_frontier_and_its_probabilities() -> None:
    """Who is dominated, by whom, and how surely; equal candidates are alike or not told apart."""
    found = compared(world())
    assert of(found, "poor").dominated_by == ["openai/cheap", "openai/good"]
    assert (of(found, "poor").on_frontier or 0) < 0.01
    assert (of(found, "cheap").on_frontier or 0) > 0.95
    assert sum(each.best or 0 for each in found.candidates) == pytest.approx(1)
    twins = compared(world(CHEAP, replace(CHEAP, model="twin"), count=200))
    assert twins.verdict.conclusion == "cannot tell"
    assert (twins.verdict.more_calls or 0) > 0
    assert "more calls" in twins.verdict.said


def test_few_sessions_prove_nothing() -> None:
    """However many calls they have: no probability, no winner."""
    records = [msgspec.structs.replace(e, session_id=e.response_model) for e in world(count=300)]
    found = compared(records)
    assert {each.best for each in found.candidates} == {None}
    assert found.verdict.conclusion == "cannot tell"


def test_weights_at_which_the_winner_stays() -> None:
    """Inside the region it wins, beyond it another does."""
    few = world(count=240)
    found = compared(few, weights=WEIGHTS)
    one = next(each for each in found.criteria if each.metric == "quality")
    assert one.low is not None
    assert one.high is not None
    assert one.low <= (one.share or 0) <= one.high < 1
    for share, stays in ((one.high - 0.01, True), (one.high + 0.01, False)):
        quality = share / (1 - share) * 5
        again = compare(
            deciding.observed(few)[0],
            Calls.read(list(COLUMNS), deciding.observed(few)[1]),
            wanted((), (f"quality={quality},cost=3,latency=2",), ANCHORS),
        )
        assert (again.verdict.winner == found.verdict.winner) is stays


def test_kinds_of_work_are_not_compared() -> None:
    """An embedding is no cheap chat."""
    records = world(CHEAP, GOOD, count=400)
    records += [
        msgspec.structs.replace(each, operation="embeddings", session_id=f"e{each.session_id}")
        for each in world(Known("vectors", 1e-6, 0.01, 1.0), count=80)
    ]
    found = compared(records)
    assert {each.model for each in found.candidates} == {"cheap", "good"}
    assert found.others == [{"candidate": "openai/vectors", "operation": "embeddings"}]
