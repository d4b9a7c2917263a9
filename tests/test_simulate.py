"""`taximeter simulate ROUTES.toml`: the gate first, and no number where the rows carry none."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.benchmarks.tables import read_table
from evaluation.commands import simulate_words
from evaluation.history.turns import Traffic, split, traffic
from evaluation.reports.rows import decoded as decoded_run
from evaluation.simulation import Limit
from evaluation.statistics import Interval
from evaluation.whatif import gate, page, routes_file
from evaluation.whatif.policies import IN_FORCE, ORACLE, PROPOSED, RANDOM_MIX
from evaluation.whatif.study import Asked, TooLittle, study
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.gateway.facts import Facts
from proxy.settings.sources import SettingsError
from support.histories import (
    LARGE,
    MINI,
    OTHER,
    World,
    asked,
    route,
    row,
    rows_of,
)

FOLDER = Path(__file__).parents[1].parent / "shared" / "data" / "routing"
beside = pytest.mark.skipif(not FOLDER.is_dir(), reason="the arrivals lie beside the checkout")
CLAUDE = "anthropic/claude-opus-5-5"
EXPLORED = route((MINI, ""), (LARGE, ""), explore=0.5, version="1")
CHEAPER = route((MINI, "input_tokens < 2000"), (LARGE, ""), version="2")
Found = Mapping[str, Any]


def studied(history: Traffic, wanted: Asked) -> Any:
    """The document of a study."""
    return study(history, wanted)


@pytest.fixture(scope="module")
def explored() -> Traffic:
    """Calls of a route that explores."""
    return World(EXPLORED, calls=800).traffic(1)


@pytest.fixture(scope="module")
def found(explored: Traffic) -> Any:
    """A study of routes with overlap."""
    return studied(explored, asked(CHEAPER, in_force={"assistant": EXPLORED}, calls_max=120))


def test_the_policy_in_force_is_reproduced(found: Found) -> None:
    """Cost to the cent by the price engine, p95 nearly, and each decision with its probability."""
    gate = found["gate"]
    assert gate["passed"] is True
    assert gate["cost_usd"]["off"] == pytest.approx(0, abs=1e-9)
    assert gate["p95_total_s"]["off"] < 0.15
    assert gate["decisions"] == {"checked": 120, "agree": 120, "passed": True}


def test_the_history_costs_what_a_report_says(found: Found, explored: Traffic) -> None:
    """Every row of it, to the last digit."""
    rows = [row for turn in explored.turns for row in turn.rows]
    total = sum((row.cost_usd for row in rows if row.cost_usd is not None), Decimal(0))
    assert Decimal(found["history"]["usd"]) == total
    assert (found["history"]["rows"], found["history"]["usd_unknown"]) == (len(rows), 0)


def test_every_claim_says_what_it_is(found: Found) -> None:
    """Three kinds, and each policy beside the others."""
    assert found["replay"]["kind"] == "replay with full feedback"
    assert found["off_policy"]["kind"] == "off-policy estimate"
    assert found["queue"]["kind"] == "queue simulation"
    names = [IN_FORCE, PROPOSED, "best single", RANDOM_MIX, ORACLE]
    assert list(found["queue"]["policies"]) == names
    assert found["queue"]["policies"][PROPOSED]["shares"].keys() == {MINI, LARGE}
    json.dumps(found)


def test_with_overlap_there_are_estimates(found: Found) -> None:
    """Three estimators near each other, with what the rows are worth; the oracle has none."""
    policies = found["off_policy"]["policies"]
    one = policies[PROPOSED]["usd_per_call"]
    assert one["ess"] > 100
    assert one["dr"]["low"] <= one["snips"]["value"] <= one["dr"]["high"]
    assert "not in the rows" in policies[ORACLE]["usd_per_call"]["refused"]


def test_no_policy_costs_less_than_the_oracle(found: Found) -> None:
    """And a random mix costs about as much as the routes."""
    costs = {name: one["usd"]["value"] for name, one in found["queue"]["policies"].items()}
    assert min(costs.values()) == costs[ORACLE]
    assert costs[RANDOM_MIX] == pytest.approx(costs[PROPOSED], rel=0.15)


@pytest.mark.parametrize("order", [1, -1])
def test_without_overlap_there_is_no_number(order: int) -> None:
    """A log that always took the first model says nothing about the other: coverage and bounds."""
    served = route(*[(MINI, ""), (LARGE, "")][::order], version="1")
    other = route(*[(MINI, ""), (LARGE, "")][::-order], version="2")
    found = studied(World(served, judged=(1.0, 1.0)).traffic(2), asked(other, calls_max=40))
    for one in found["off_policy"]["policies"][PROPOSED].values():
        assert "dr" not in one
        assert one["refused"]
        assert one["coverage"] == 0.0
        assert one["bounds"]["low"] <= one["bounds"]["high"]
        assert one["bounds"]["value"] is None


def test_without_propensities_nothing_is_estimated() -> None:
    """Calls through the transparent proxy have none."""
    calls = [row(float(at), MINI, 100 + at, 50) for at in range(200)]
    found = studied(traffic(rows_of(calls)), asked(CHEAPER, calls_max=40))
    assert found["off_policy"]["with_propensity"] == 0
    one = found["off_policy"]["policies"][PROPOSED]["usd_per_call"]
    assert one["refused"] == "no propensities were recorded"
    assert one["coverage"] == 1.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cost_usd": "0.0003"}, "the cost is"),
        ({"cost_usd": None}, "of 200 calls is unknown"),
        (
            {"cost_usd": None, "outcome": "client_gone"},
            "out those without an answer: --not outcome",
        ),
    ],
)
def test_the_gate_says_what_is_off(
    change: dict[str, object], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any counterfactual: prices that were others, or are not known."""
    calls = [row(float(at), MINI, 100 + at, 50 + at % 7) | change for at in range(200)]
    found = studied(traffic(rows_of(calls)), asked(CHEAPER))
    assert found["gate"]["passed"] is False
    assert why in " ".join(found["gate"]["reasons"])
    simulate_words.show(found)
    said = capsys.readouterr().out
    assert said.index("Do not rely on what follows") < said.index("Queue simulation")
    assert "Do not rely on what follows" in page.page(found)


@pytest.mark.parametrize(
    ("usd", "seconds", "passed"),
    [(1.0, 1.0, True), (1.019, 1.14, True), (0.979, 1.0, False), (1.0, 1.16, False)],
)
def test_the_gate_allows_two_and_fifteen_percent(usd: float, seconds: float, passed: bool) -> None:
    """In either direction; what is off is named with how much is allowed."""
    turns = traffic(rows_of([row(float(at), MINI, 100, 50) for at in range(50)])).turns
    total = sum(float(turn.usd or 0) for turn in turns)
    simulated = {
        name: Interval(value, value, value)
        for name, value in (("usd", total * usd), ("p95_total_s", seconds))
    }
    found: Any = gate.gate(turns, range(50), simulated, {"passed": None})
    assert found["passed"] is passed
    assert len(found["reasons"]) == (not passed)
    assert found["cost_usd"]["off"] == pytest.approx(abs(usd - 1), abs=1e-9)


@pytest.mark.thorough
def test_a_gateway_that_decides_otherwise_now_fails_the_gate(explored: Traffic) -> None:
    """The same version of a route, and another share of exploration."""
    changed = route((MINI, ""), (LARGE, ""), explore=0.1, version="1")
    found = studied(explored, asked(CHEAPER, in_force={"assistant": changed}, calls_max=40))
    assert found["gate"]["passed"] is False
    assert found["gate"]["decisions"]["agree"] == 0


@pytest.mark.thorough
def test_limits_are_met_under_load_and_routed_around() -> None:
    """A bucket that holds what is recorded, and not five times as much: 429s, then the other."""
    calls = [row(at * 2.0, MINI, 100, 50) for at in range(100)]
    routes = route((MINI, ""), (OTHER, ""), version="2")
    limits = {"openai/gpt-5.4-mini": (Limit("calls", 40, burst=5),)}
    shares = {}
    for scale in (1.0, 5.0):
        found = studied(
            traffic(rows_of(calls)), asked(routes, limits=limits, scale=scale, calls_max=40)
        )
        one, force = (found["queue"]["policies"][name] for name in (PROPOSED, IN_FORCE))
        shares[scale] = one["shares"].get(OTHER, 0.0)
        refused = force["failed_share"]["value"]
        assert (refused > 0.5) == (scale > 1)
        assert one["failed_share"]["value"] <= refused / 5  # the gateway's own budget of retries
    assert shares[1.0] == 0.0
    assert shares[5.0] > 0.3


@pytest.mark.thorough
def test_a_session_that_moves_pays_for_its_cache_again() -> None:
    """What the old provider reads from its cache, the new one has to be sent."""
    calls = [
        row(at * 5.0, LARGE, 5000, 50, cached=4000 if at % 4 else 0, session_id=f"s{at // 4}")
        for at in range(160)
    ]
    found = studied(traffic(rows_of(calls)), asked(route((LARGE, ""), version="2"), calls_max=50))
    same, moved = (
        found["queue"]["policies"][name]["usd"]["value"] for name in (IN_FORCE, PROPOSED)
    )
    assert same == pytest.approx(moved)
    stranger = route((MINI, ""), (LARGE, ""), version="2")
    fresh = studied(traffic(rows_of(calls)), asked(stranger, calls_max=50))
    assert fresh["queue"]["policies"][PROPOSED]["usd"]["value"] < same  # a third of the price


def test_an_unpriced_candidate_costs_an_unknown_amount() -> None:
    """Not nothing, and its times are not made up either."""
    calls = [row(float(at), MINI, 100, 50) for at in range(100)]
    unknown = route(("openai/not-a-model", ""), (MINI, ""), version="2")
    found = studied(traffic(rows_of(calls)), asked(unknown, calls_max=50))
    one = found["queue"]["policies"][PROPOSED]
    assert (one["usd"], one["usd_per_call"], one["p95_total_s"]) == (None, None, None)
    assert "the cost at openai/not-a-model is not known" in one["unknown"]["usd"]
    assert "the time at openai/not-a-model" in one["unknown"]["p95_total_s"]
    simulate_words.show(found)


@pytest.mark.thorough
def test_a_failure_that_was_recorded_happens_again_and_is_tried_elsewhere() -> None:
    """Where the call was made it fails as it did; the gateway goes on to the next candidate."""
    calls = [
        row(float(at), MINI, 100, 50)
        | ({} if at % 25 else {"outcome": "http_error", "http_status": 503, "cost_usd": "0",
                              "cost_status": "not_billed", "usage": {}, "receipt": "{}",
                              "input_tokens_total": None, "output_tokens_total": None})
        for at in range(200)
    ]  # fmt: skip
    found = studied(traffic(rows_of(calls)), asked(route((MINI, ""), (OTHER, "")), calls_max=100))
    policies = found["queue"]["policies"]
    assert policies[IN_FORCE]["failed_share"]["value"] == pytest.approx(0.04)
    assert policies[PROPOSED]["failed_share"]["value"] == 0.0
    assert policies[PROPOSED]["shares"][OTHER] == pytest.approx(0.04)
    assert policies[PROPOSED]["attempts_per_call"]["value"] == pytest.approx(1.04)


def test_another_dialect_is_a_candidate_too() -> None:
    """The gateway translates chats, and the study says what it takes for granted."""
    calls = [row(float(at), MINI, 100, 50) for at in range(100)]
    claude = route((CLAUDE, ""), (MINI, ""), version="2")
    first = replace(claude.candidates[0], dialect="anthropic")
    mixed = replace(claude, candidates=(first, claude.candidates[1]))
    found = studied(traffic(rows_of(calls)), asked(mixed, calls_max=20))
    one = found["queue"]["policies"][PROPOSED]
    assert one["shares"] == {CLAUDE: 1.0}
    assert one["usd"]["value"] > found["queue"]["policies"][IN_FORCE]["usd"]["value"]
    assert "translatable" in " ".join(found["notes"])
    embedded = [one | {"endpoint": "openai.embeddings"} for one in calls]
    fixed = studied(traffic(rows_of(embedded)), asked(mixed, calls_max=20))
    assert fixed["queue"]["policies"][PROPOSED]["shares"] == {MINI: 1.0}


@pytest.mark.thorough
@beside
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_azure_arrivals_are_replayed(explored: Traffic, scale: float) -> None:
    """Their times and sizes, with the facts of the calls; or five times as many."""
    table = read_table(FOLDER / "azure_2023_code.csv")
    found = studied(explored, asked(CHEAPER, arrivals=table, scale=scale, calls_max=60))
    one = found["queue"]["policies"][PROPOSED]
    assert one["calls"]["value"] == 60
    assert found["queue"]["arrivals"] == "azure_2023_code.csv"
    assert one["usd"]["value"] > 0
    assert found["queue"]["policies"][IN_FORCE]["done_per_s"]["value"] > 0


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 8)), min_size=1, max_size=40),
    st.floats(0.1, 0.9),
)
def test_no_session_is_on_both_sides(calls: list[tuple[int, int]], share: float) -> None:
    """By time and by session; what is in neither is counted."""
    rows = rows_of([CALL | {"ts": f"2026-11-20T00:00:{at:02d}+00:00", "call_id": f"c{n}",
                            "session_id": f"s{session}" if session else ""}
                    for n, (at, session) in enumerate(calls)])  # fmt: skip
    turns = traffic(rows).turns
    parts = split(turns, share)
    sides = [{turns[n].group for n in side} for side in (parts.learned, parts.held_out)]
    assert not sides[0] & sides[1]
    assert len(parts.learned) + len(parts.held_out) + parts.between == len(turns)
    assert all(turns[n].at_s < parts.at_s for n in parts.learned)


CALL = row(0.0, MINI, 100, 50)


def test_a_suite_is_replayed_exactly() -> None:
    """Each policy's accuracy is that of the answers it would have chosen."""
    right = {MINI: [n % 2 == 0 for n in range(100)], LARGE: [n % 5 != 0 for n in range(100)]}
    results = [
        {"model": label, "case_id": f"c{n}", "sample": 1, "case_version": "1", "cluster": "",
         "task": "qa", "hidden": False, "weight": 1.0, "status": "pass" if is_right[n] else "fail",
         "reason": "", "checks": "[]", "contaminated": False, "attempts": 1, "error_type": "",
         "cost_usd": None, "judge_usd": None, "duration_us": 1}
        for label, is_right in right.items() for n in range(100)
    ]  # fmt: skip
    calls = [
        {"model": label, "case_id": f"c{n}", "sample": 1, "is_judge": False, "calls": 1,
         "cost_usd": "0.001" if label == MINI else "0.01", "unknown": 0, "partial": 0,
         "duration_us": 1, "attempt": 1}
        for label in right for n in range(100)
    ]  # fmt: skip
    run = decoded_run(
        {
            "run": {"run_id": "r", "ts": "", "state": "finished", "suite": "s", "suite_version": "",
                    "models": [MINI, LARGE], "samples": 1, "judge": "", "cases": 100,
                    "hidden_cases": 0},
            "results": results, "calls": calls,
        }
    )  # fmt: skip
    facts = {f"c{n}": Facts(input_tokens=100 if n % 2 == 0 else 3000) for n in range(100)}
    history = traffic(rows_of([row(float(at), MINI, 100, 50) for at in range(100)]))
    found = studied(history, asked(CHEAPER, run=run, run_facts=facts, calls_max=20))
    one = found["replay"]["routes"]["assistant"]
    accuracy = {name: each["accuracy"]["value"] for name, each in one["policies"].items()}
    assert one["best_single"] == LARGE
    assert accuracy[ORACLE] >= accuracy[PROPOSED] > accuracy["best single"] > accuracy[RANDOM_MIX]
    assert accuracy[RANDOM_MIX] > 0.5
    cost = one["policies"][PROPOSED]["usd_per_call"]["value"]
    assert 0.001 < cost < 0.01
    missing = studied(history, asked(route((OTHER, "")), run=run, run_facts=facts, calls_max=20))
    assert "has no answers of mistral" in missing["replay"]["refused"]


def test_too_little_history_is_no_history() -> None:
    """It says so, and what to do."""
    few = traffic(rows_of([row(float(at), MINI, 100, 50) for at in range(10)]))
    with pytest.raises(TooLittle, match="longer --history"):
        studied(few, asked(CHEAPER))
    others = traffic(rows_of([row(float(at), OTHER, 100, 50) for at in range(100)]))
    two = asked(CHEAPER, replace(route((LARGE, "")), options=replace(CHEAPER.options, name="b")))
    with pytest.raises(TooLittle, match="0 of 100 calls concern these routes"):
        studied(others, two)


LIMITED = '[routes.a]\ncandidates = []\n[limits."{}"]\n{}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no route; write one as [gateway.routes.NAME]"),
        ("[routes", "invalid TOML"),
        (LIMITED.format("openai/x", "calls_per_minut = 3"), "did you mean calls_per_minute?"),
        (LIMITED.format("openai/x", "calls_per_minute = -3"), "a number above 0"),
        (LIMITED.format("openai", "calls_per_minute = 3"), "PROVIDER/MODEL"),
    ],
)
def test_a_wrong_routes_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With what is wrong in it."""
    file = tmp_path / "routes.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        routes_file.read(file)
    assert said in str(refused.value)


def test_limits_count_as_their_provider_counts(tmp_path: Path) -> None:
    """Anthropic does not count what it reads from its cache, and Gemini no output."""
    file = tmp_path / "routes.toml"
    limit = "input_tokens_per_minute = 1000\n"
    file.write_text(
        "[routes.a]\ncandidates = []\n"
        f'[limits."anthropic/claude-sonnet-5-5"]\n{limit}[limits."openai/gpt-5.4"]\n{limit}'
        '[limits."gemini/gemini-2.5-pro"]\ntokens_per_minute = 1000\n'
    )
    limits = routes_file.read(file).limits
    assert [one.counts for one in limits["anthropic/sonnet-5"]] == ["uncached"]
    assert [one.counts for one in limits["openai/gpt-5.4"]] == ["input"]
    assert [one.counts for one in limits["gemini/gemini-2.5-pro"]] == ["input"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tables"], "tables of which directory?"),
        (["no.toml"], "no file no.toml"),
        ([".", "--history", "1h"], "taximeter simulate tables DIR"),
        (["FILE", "--replications", "5"], "at least 20"),
        (["FILE", "--history", "soon"], "invalid time 'soon'"),
        (["FILE", "--arrivals", "none.csv"], "No such file"),
        (["FILE", "--arrivals", "FILE"], "has no arrivals"),
        (["FILE", "DIR"], "One file of routes"),
        (["FILE"], "no calls since"),
        (["WRONG"], "unknown provider 'opnai'; did you mean openai?"),
    ],
)
def test_mistakes_are_told(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what to do."""
    for name, provider in (("FILE", "openai"), ("WRONG", "opnai")):
        (tmp_path / name).write_text(
            f'[routes.a]\ncandidates = [{{ provider = "{provider}", model = "m" }}]\n'
        )
    known = [str(tmp_path / word) if word in ("FILE", "WRONG") else word for word in words]
    code = main(["simulate", *known, "--data", str(tmp_path / "data")])
    assert code == Exit.MISTAKE
    assert said in capsys.readouterr().err
