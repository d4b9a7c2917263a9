"""Routing tables with known answers, to the digit; and any other table without a crash."""

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.benchmarks.answers import arena_score
from evaluation.benchmarks.curve import router_metrics
from evaluation.benchmarks.report import report
from evaluation.benchmarks.tables import read_table, read_tables
from evaluation.statistics.clusters import clustered
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from support.documents import read, table

FOLDER = Path(__file__).parents[1].parent / "shared" / "data" / "routing"
beside = pytest.mark.skipif(not FOLDER.is_dir(), reason="the tables lie beside the checkout")
Found = dict[str, Any]


def simulated(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Found], str]:
    """Exit code, tables by file, and what was said, of `taximeter simulate tables --json`."""
    code = main(["simulate", "tables", str(directory), "--json"])
    said = capsys.readouterr()
    tables = json.loads(said.out)["tables"] if said.out else []
    return code, {each["file"]: each for each in tables}, said.err


@pytest.fixture(scope="module")
def known() -> dict[str, Found]:
    """What the tables beside the checkout say, by file."""
    return {table.file: report(table) for table in read_tables(FOLDER)[0]}


@beside
def test_routellm_is_met_to_the_digit(known: dict[str, Found]) -> None:
    """Counts of right answers are whole: 11,315 of 14,042 and so on."""
    gsm8k, mmlu = known["routellm.csv"]["sets"]
    assert (gsm8k["set"], mmlu["set"]) == ("gsm8k", "mmlu")
    shares = [each["accuracy"]["value"] for found in (mmlu, gsm8k) for each in found["models"]]
    assert shares == [11315 / 14042, 9560 / 14042, 1130 / 1319, 842 / 1319]
    assert [f"{each:.2%}" for each in shares] == ["80.58%", "68.08%", "85.67%", "63.84%"]
    oracle = mmlu["routing"]["oracle"]["accuracy"]["value"]
    assert oracle == 12057 / 14042
    assert f"{oracle:.2%}" == "85.86%"
    assert mmlu["routing"]["clusters"] == 57


@beside
def test_routerarena_is_met_to_the_digit(known: dict[str, Found]) -> None:
    """Accuracy, cost, cost per success, oracle and score of both models."""
    found = known["routerarena.csv"]
    haiku, gemini = found["models"]
    assert (haiku["model"], gemini["model"]) == ("claude-3-haiku-20240307", "gemini-2.0-flash-001")
    assert [f"{each['accuracy']['value']:.1%}" for each in (gemini, haiku)] == ["69.0%", "52.3%"]
    assert [each["cost_usd"] for each in (gemini, haiku)] == [0.03842, 0.14237725]
    per_success = [each["cost_per_success_usd"]["value"] for each in (gemini, haiku)]
    assert [f"{each:.3g}" for each in per_success] == ["6.88e-05", "0.000336"]
    assert [f"{each['arena_score']:.4f}" for each in (gemini, haiku)] == ["0.6973", "0.5332"]
    assert f"{found['oracle']['accuracy']['value']:.1%}" == "74.1%"


@beside
def test_routers_are_judged_beside_what_costs_nothing(known: dict[str, Found]) -> None:
    """Random is 0.5 exactly; length beats it a little on both, and has intervals that say so."""
    every = [*known["routellm.csv"]["sets"], known["routerarena.csv"]]
    for routing in (each["routing"] for each in every):
        routers = {each["router"]: each for each in routing["routers"]}
        assert routers["random"]["apgr"] == {"value": 0.5, "low": 0.5, "high": 0.5}
        assert routers["random"]["cpt_80"]["value"] == 0.8
        length = routers["length"]["apgr"]
        assert 0.5 < length["low"] < length["value"] < length["high"] < 0.7
        assert routers["oracle"]["apgr"]["value"] > 1
        assert len(routing["thresholds"]) == 3
        for each in routing["thresholds"]:
            assert each["accuracy"]["low"] < each["accuracy"]["value"] < each["accuracy"]["high"]
            assert 0 < each["pgr"]["low"] < each["pgr"]["value"] < each["pgr"]["high"] < 1


@beside
def test_arrivals_are_counted(known: dict[str, Found]) -> None:
    """An hour of code completion."""
    found = known["azure_2023_code.csv"]
    assert (found["rows"], found["output_tokens"]) == (8819, 245_896)
    assert found["span_s"] == pytest.approx(3435.948056)


@pytest.mark.thorough
@beside
def test_order_and_subsets_do_not_matter(tmp_path: Path, known: dict[str, Found]) -> None:
    """Shuffled tables say the same, resampling included; any part of one is a table as well."""
    chance = random.Random(7)
    for name, part in (("routellm.csv", "gsm8k"), ("routerarena.csv", "")):
        head, *lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
        lines = [line for line in lines if part in line]
        shuffled = of_lines(tmp_path, [head, *chance.sample(lines, len(lines))])
        expected = known[name] | {"rows": len(lines)}
        if part:
            expected["sets"] = [each for each in known[name]["sets"] if each["set"] == part]
        assert flat(shuffled) == pytest.approx(flat(expected), rel=1e-10)
    for size in (0, 1, 2, 3, 160):
        found = of_lines(tmp_path, [head, *chance.sample(lines, size)])
        assert found["rows"] == size


def flat(found: object) -> list[float]:
    """Every number of a document."""
    if isinstance(found, dict):
        return [number for value in found.values() for number in flat(value)]
    if isinstance(found, list):
        return [number for value in found for number in flat(value)]
    return [float(found)] if isinstance(found, int | float) else []


def of_lines(directory: Path, lines: Sequence[str], name: str = "table.csv") -> Found:
    """What a file of these lines says."""
    file = directory / name
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = read_table(file)
    assert table is not None
    found = report(table)
    json.dumps(found, allow_nan=False)
    return found


# -- any table ------------------------------------------------------------------------------------

PAIRS = "set,subject,item,prompt_chars,strong_correct,weak_correct"
bit, word = st.sampled_from("01"), st.sampled_from(["", "a", "b", "c d"])
size = st.integers(0, 5).map(str)
pair = st.tuples(word, word, size, size, bit, bit)
number = st.sampled_from(["0", "1", "0.5", "1e-7", "0.000304"])
call = st.tuples(st.sampled_from("xyz"), st.sampled_from(["m", "n", "o"]), number, number, size)


@settings(max_examples=25)
@given(st.lists(pair, max_size=12), st.sets(st.integers(0, 3)))
def test_any_pairs_are_a_table(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], dropped: set[int]
) -> None:
    """Without optional columns, rows, subjects or a gap between the models: null where it is."""
    kept = [at for at in range(6) if at not in dropped]
    lines = [",".join(row[at] for at in kept) for row in (tuple(PAIRS.split(",")), *rows)]
    found = of_lines(tmp_path_factory.getbasetemp(), lines)
    assert sum(each["routing"]["items"] for each in found["sets"]) == len(rows)
    assert (0 in dropped) == ("set" in found["missing"])


@settings(max_examples=25)
@given(st.lists(call, max_size=12), st.sets(st.integers(2, 4)))
def test_any_calls_are_a_table(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], dropped: set[int]
) -> None:
    """One model, three, repeated items, no scores or no costs."""
    head = ("item", "model", "score", "cost_usd", "input_tokens")
    kept = [at for at in range(5) if at not in dropped]
    lines = [",".join(row[at] for at in kept) for row in (head, *rows)]
    found = of_lines(tmp_path_factory.getbasetemp(), lines)
    assert sum(each["calls"] for each in found["models"]) == len(rows)
    for each in found["models"]:
        assert (each["accuracy"] is None) == (2 in dropped)
        assert (each["cost_usd"] is None) == (3 in dropped)


HEADS = {
    "pairs": ("set", "subject", "item", "prompt_chars", "strong_correct", "weak_correct"),
    "calls": ("item", "model", "score", "cost_usd", "input_tokens"),
}


@pytest.mark.parametrize(("kind", "row"), [("pairs", pair), ("calls", call)])
@settings(max_examples=8)
@given(st.data())
def test_no_order_of_rows_matters(
    tmp_path_factory: pytest.TempPathFactory, kind: str, row: Any, data: st.DataObject
) -> None:
    """Whatever the size of a table: the same rows in another order say the same, intervals too."""
    rows = data.draw(st.lists(row, max_size=30, unique_by=lambda cells: cells[:3]))
    head = ",".join(HEADS[kind])
    first, second = (
        of_lines(tmp_path_factory.getbasetemp(), [head, *map(",".join, order)])
        for order in (rows, data.draw(st.permutations(rows)))
    )
    assert keys(first) == keys(second)
    assert flat(second) == pytest.approx(flat(first), rel=1e-9, abs=1e-12)


def test_several_calls_of_an_item(tmp_path: Path) -> None:
    """No order of theirs matters either, although they counted other tokens."""
    rows = ["x,n,0,0,0", "x,m,0,0,0", "x,m,1,0,2", "z,m,0,0,1", "z,n,0,0,0"]
    head = ",".join(HEADS["calls"])
    first, second = (of_lines(tmp_path, [head, *order]) for order in (rows, rows[::-1]))
    assert keys(first) == keys(second)
    assert flat(second) == pytest.approx(flat(first), rel=1e-9, abs=1e-12)


@settings(max_examples=30)
@given(st.lists(st.tuples(bit, bit, st.integers(0, 4)), min_size=1, max_size=30))
def test_random_routing_is_a_half(rows: list[tuple[str, str, int]]) -> None:
    """APGR of a rank and of its opposite add up to 1, and equal ranks are random."""
    strong, weak, rank = (np.asarray([float(row[at]) for row in rows]) for at in range(3))
    groups = clustered(len(rows))
    up, down, none = (
        router_metrics(strong, weak, ranks, groups).apgr.value
        for ranks in (rank, -rank, np.zeros(len(rows)))
    )
    if strong.sum() <= weak.sum():
        assert (up, down, none) == (None, None, None)
        return
    assert none == pytest.approx(0.5, abs=1e-12)
    assert up is not None
    assert down is not None
    assert up + down == pytest.approx(1.0, abs=1e-9)


def test_the_arena_score_has_limits() -> None:
    """Free or nearly so is as good as $0.0044, and $200 is worth nothing."""
    assert arena_score(0.7, 0.0) == arena_score(0.7, 0.0044) == pytest.approx(1.1 * 0.7 / 1.07)
    assert arena_score(0.7, 200.0) == arena_score(0.7, 1e6) == 0.0
    assert arena_score(0.0, 200.0) == 0.0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "t.csv: empty file"),
        ("strong_correct\n1\n", "t.csv: missing column weak_correct"),
        ("strong_correct,weak_correct\n1,2\n", "t.csv:2: weak_correct is '2', which is not 0 or 1"),
        ("strong_correct,weak_correct\n1\n", "t.csv:2: 1 cells where the header has 2"),
        ("model,score\nm,1\n", "t.csv: missing column item"),
        ("item,model,score\nx,m,nan\n", "score is 'nan', which is not a number from -1 to 1"),
        ("item,model,cost_usd\nx,m,-1\n", "cost_usd is '-1', which is not an amount"),
        ("item,model,score\n,m,1\n", "item is '', which is not a name"),
        ("item,item,model\nx,x,m\n", "a column is there twice"),
        ("TIMESTAMP\nyesterday\n", "missing column ContextTokens, GeneratedTokens"),
        ('item,model\n"x,m\n', "not a CSV file"),
        ("a,b\n1,2\n", "no routing table here"),
    ],
)
def test_a_damaged_table_is_named(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2; the message has the file, the line and what is wrong."""
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    code, tables, said = simulated(tmp_path, capsys)
    assert (code, tables) == (Exit.MISTAKE, {})
    assert why in said


def test_absent_data_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that is not there, and one without tables."""
    assert simulated(tmp_path / "no", capsys)[::2] == (
        Exit.MISTAKE,
        f"simulate: {tmp_path / 'no'}: no such directory; pass the one that has the CSV files\n",
    )
    code, _, said = simulated(tmp_path, capsys)
    assert code == Exit.MISTAKE
    assert "no routing table here" in said


def test_every_key_is_documented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page has each key of the JSON of every kind of table, and no other."""
    rows = [f"s,,i,{at},{int(at % 5 > 0)},{int(at % 3 > 1)}" for at in range(40)]
    calls = [f"i{at},{model},{at % 2},0.1,5,5" for at in range(8) for model in "mn"]
    texts = {
        "a.csv": [PAIRS, *rows],
        "b.csv": ["item,model,score,cost_usd,input_tokens,output_tokens", *calls],
        "c.csv": ["TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:17:03.97,4,1"],
    }
    for name, lines in texts.items():
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    assert main(["simulate", "tables", str(tmp_path), "--json"]) == Exit.OK
    section = read("docs/decisions-guide.md").partition("### JSON")[2]
    said = {span for row in table(section, "key") for span in re.findall(r"`(\w+)`", " ".join(row))}
    interval = {"value", "low", "high"}
    settings = {"confidence", "replicates", "seed"}
    names = {"random", "oracle", "length"}
    found = keys(json.loads(capsys.readouterr().out))
    assert found - interval - settings - {"tables", "skipped"} == said - (names - found)


def keys(found: object) -> set[str]:
    """Every key of a document."""
    if isinstance(found, dict):
        return set(found).union(*map(keys, found.values()))
    return set().union(*map(keys, found)) if isinstance(found, list) else set()


def test_a_terminal_sees_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Models, the oracle, thresholds and routers; a table of one model says why there is none."""
    rows = [f"s,,i,{at},{int(at % 5 > 0)},{int(at % 3 > 1)}" for at in range(60)]
    (tmp_path / "a.csv").write_text("\n".join([PAIRS, *rows]), encoding="utf-8")
    (tmp_path / "b.csv").write_text("item,model,score\nx,m,1\n", encoding="utf-8")
    (tmp_path / "c.csv").write_text("other\n1\n", encoding="utf-8")
    (tmp_path / "d.csv").write_text("item,model\n", encoding="utf-8")
    assert main(["simulate", "tables", str(tmp_path)]) == Exit.OK
    said = capsys.readouterr()
    assert "a.csv: s\n" in said.out
    assert "longer than 29" in said.out
    assert "random  0.500 (0.500 to 0.500)" in said.out
    assert "No routing: it needs two models" in said.out
    assert "d.csv: no rows" in said.out
    assert "c.csv" in said.err
