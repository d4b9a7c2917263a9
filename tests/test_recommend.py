"""`taximeter recommend`: what is known to hold is recommended, the rest says what it lacks."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from evaluation.decisions.calls import Calls
from evaluation.decisions.change import Change
from evaluation.decisions.prices import quantities
from evaluation.decisions.recommended import Recommendation, recommend
from evaluation.decisions.routes_file import routes_toml
from evaluation.reports.rows import Stored
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.observed import COLUMNS
from exporters.record import Batch, Record
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.settings import sources
from support import deciding
from support.deciding import BOOK, call, run_of

DATABASE = "test_recommend"
BIG, SMALL = "openai/gpt-5.4", "openai/gpt-5.4-mini"
CLAUDE = "anthropic/claude-sonnet-4-5"
USE = {"input": 3000, "output": 400}


def found(records: Sequence[Record], run: Stored | None = None, **more: Any) -> Recommendation:
    """Without a store."""
    sums, rows = deciding.observed(records)
    return recommend(sums, Calls.read(list(COLUMNS), rows), BOOK, run, **more)


def of(made: Recommendation, kind: str, candidate: str = "") -> list[Change]:
    """The changes of a kind."""
    return [e for e in made.changes if e.kind == kind and candidate in ("", e.candidate)]


def calls_of(model: str, count: int, usage: Mapping[str, int] = USE, **fields: Any) -> list[Record]:
    """So many calls."""
    offset = 10_000 * (sum(map(ord, model)) % 97)
    return [call(offset + number, model, usage, **fields) for number in range(count)]


def test_a_smaller_model_that_holds_on_the_same_cases_is_recommended() -> None:
    """The saving is that of the same cases; where quality falls, it is not recommended."""
    records = calls_of(BIG, 60) + calls_of(SMALL, 60)
    costs = {BIG: 0.01, SMALL: 0.002}
    made = found(records, run_of({BIG: 0.9, SMALL: 0.9}, costs, 600))
    (one,) = of(made, "model", BIG)
    assert (one.conclusion, one.to, one.evidence_kind) == ("recommended", SMALL, "replay")
    assert one.rewards == "evaluation"
    assert one.saving_share.value == pytest.approx(0.8)
    assert one.saving_usd.value == pytest.approx(0.8 * float(made.spend[BIG] or 0))
    assert "600 cases answered by both" in one.evidence
    assert "split" in one.canary
    assert made.changes[0] == one  # what is sure comes first
    worse = found(records, run_of({BIG: 0.9, SMALL: 0.6}, costs, 600))
    assert of(worse, "model", BIG)[0].conclusion == "not recommended"
    few = found(records, run_of({BIG: 0.9, SMALL: 0.88}, costs, 30))
    (doubt,) = of(few, "model", BIG)
    assert doubt.conclusion == "not enough evidence"
    assert doubt.collect is not None
    assert (doubt.collect.number or 0) > 100
    dearer = found(records, run_of({BIG: 0.9, SMALL: 0.9}, {BIG: 0.01, SMALL: 0.02}, 600))
    assert not [each for each in of(dearer, "model") if each.conclusion == "recommended"]


def test_without_a_run_the_answer_is_what_to_collect() -> None:
    """The saving at the other's prices is by the tariffs, and nothing is recommended."""
    made = found(calls_of(BIG, 60) + calls_of(SMALL, 60))
    (one,) = of(made, "model", BIG)
    at = datetime.fromtimestamp(deciding.BEGAN_US / 1e6, UTC)
    usage = quantities(USE)
    big, small = (BOOK.usd("openai", model.partition("/")[2], usage, at) for model in (BIG, SMALL))
    assert big is not None
    assert small is not None
    assert one.saving_share.value == pytest.approx(1 - small / big)
    assert one.conclusion == "not enough evidence"
    assert one.collect is not None
    assert one.collect.number == 942
    assert one.collect.command == f"taximeter eval run SUITE --models {BIG},{SMALL}"
    assert made.count("recommended") == 0


def routed(rate: float, propensity: float | None, judged: float) -> list[Record]:
    """Calls that a route sent at random; so many were judged, as right in `rate` of the small's."""
    chance = np.random.default_rng(4)
    records = []
    for number in range(1500):
        model = SMALL if chance.random() < 0.5 else BIG
        right = chance.random() < (rate if model == SMALL else 0.95)
        said = {"success": str(right).lower()} if chance.random() < judged else {}
        records.append(
            call(number, model, USE, route="assistant", route_version="1", candidate=model,
                 propensity=propensity, tags=said)
        )  # fmt: skip
    return records


def test_recorded_propensities_are_evidence() -> None:
    """Calls that a route sent at random tell whether success holds; without propensities not."""
    (good,) = of(found(routed(0.95, 0.5, 1.0)), "model", BIG)
    assert (good.conclusion, good.evidence_kind) == ("recommended", "off-policy")
    assert good.rewards == "feedback"
    assert "success by feedback about 1,500 of them" in good.evidence
    assert "cost as billed" in good.evidence
    at = datetime.fromtimestamp(deciding.BEGAN_US / 1e6, UTC)
    now, then = (BOOK.usd("openai", m.partition("/")[2], quantities(USE), at) for m in (BIG, SMALL))
    assert now is not None
    assert then is not None
    assert good.saving_share.value == pytest.approx(1 - then / now)
    (bad,) = of(found(routed(0.80, 0.5, 1.0)), "model", BIG)
    assert bad.conclusion == "not recommended"
    assert bad.quality_difference is not None
    assert (bad.quality_difference.high or 0) < -0.05
    (unknown,) = of(found(routed(0.95, None, 1.0)), "model", BIG)
    assert (unknown.evidence_kind, unknown.conclusion) == ("repriced", "not enough evidence")
    assert "no propensities were recorded" in unknown.evidence
    assert "coverage" in unknown.evidence


def sticky(first: float | None) -> list[Record]:
    """Sessions of three calls that stay where a route sent the first one, with a chance of 0.5."""
    chance = np.random.default_rng(7)
    records = []
    for number in range(900):
        if number % 3 == 0:
            model = SMALL if chance.random() < 0.5 else BIG
        begins = number % 3 == 0 and first is not None
        records.append(
            call(number, model, USE, route="assistant", route_version="1", candidate=model,
                 propensity=first if begins else 1.0, sticky="new" if begins else "hit",
                 session_id=f"s{number // 3}", tags={"success": str(number % 20 > 0).lower()})
        )  # fmt: skip
    return records


def test_a_session_is_one_choice() -> None:
    """Its later calls have the propensity of its first; without that, they are no evidence."""
    (one,) = of(found(sticky(0.5)), "model", BIG)
    assert (one.evidence_kind, one.conclusion) == ("off-policy", "recommended")
    assert "900 calls of routes" in one.evidence
    (none,) = of(found(sticky(None)), "model", BIG)
    assert none.evidence_kind == "repriced"


def test_the_more_changes_there_are_the_wider_are_their_intervals() -> None:
    """They hold together: a third model in the run leaves less to be sure of."""
    records = calls_of(BIG, 60) + calls_of(SMALL, 60) + calls_of(CLAUDE, 60)
    right, usd = {BIG: 0.9, SMALL: 0.85}, {BIG: 0.01, SMALL: 0.002}
    alone = found(records, run_of(right, usd, 300, noise=0.3))
    more = found(records, run_of(right | {CLAUDE: 0.9}, usd | {CLAUDE: 0.02}, 300, noise=0.3))
    widths = []
    for made in (alone, more):
        lost = of(made, "model", BIG)[0].quality_difference
        assert lost is not None
        widths.append((lost.high or 0) - (lost.low or 0))
    assert widths[0] < widths[1]
    assert "hold together" in more.claim


def test_without_calls_nothing_is_said_but_that() -> None:
    """No run and no feedback could have changed it."""
    assert found([]).changes == []
    assert found([]).notes == [
        "there are no calls in this period that anything could be said about"
    ]


@pytest.mark.thorough
def test_without_feedback_a_route_proves_its_cost_and_no_quality() -> None:
    """How calls ended says nothing for a candidate, but against it; feedback about some will do."""
    silent = routed(0.95, 0.5, 0.0)
    (one,) = of(found(silent), "model", BIG)
    assert (one.conclusion, one.rewards) == ("not enough evidence", "none")
    assert one.quality_difference is None
    assert (one.saving_share.low or 0) > 0.5
    assert one.collect is not None
    assert one.collect.what == "calls of these routes with feedback"
    assert (one.collect.number or 0) > 100
    broken = [
        msgspec.structs.replace(each, outcome="http_error")
        if each.candidate == SMALL and number % 5 == 0 else each
        for number, each in enumerate(silent)
    ]  # fmt: skip
    (bad,) = of(found(broken), "model", BIG)
    assert (bad.conclusion, bad.rewards) == ("not recommended", "none")
    perfect = [msgspec.structs.replace(e, tags={"success": "true"}) for e in silent]
    (never,) = of(found(perfect), "model", BIG)
    assert never.conclusion == "recommended"
    assert never.quality_difference is not None  # no failure among so many is not none at all
    assert (never.quality_difference.low or 0) < 0 < (never.quality_difference.high or 0)
    assert "so no model is recommended" not in " ".join(found(perfect).notes)
    assert "so no model is recommended" in " ".join(found(silent).notes)
    (some,) = of(found(routed(0.6, 0.5, 0.3)), "model", BIG)
    assert (some.conclusion, some.rewards) == ("not recommended", "feedback")
    assert "of them" in some.evidence


def test_batches_cost_what_the_tariff_says() -> None:
    """Only calls for which nobody waits; streamed ones and sessions are left alone."""
    alone: dict[str, Any] = {"session_id": "", "stream": False, "feature": "index"}
    (one,) = of(found(calls_of(SMALL, 50, **alone)), "batch")
    assert one.saving_share.value == pytest.approx(0.5)
    assert one.conclusion == "try"
    assert "feature index" in one.title
    others: list[dict[str, Any]] = [{"stream": True}, {"session_id": "s"}, {"service_tier": "flex"}]
    for other in others:
        assert of(found(calls_of(SMALL, 50, **alone | other)), "batch") == []


def sessions(model: str, gap_s: float, cached: bool = False, count: int = 40) -> list[Record]:
    """Conversations of four growing prompts."""
    records = []
    for session in range(count):
        for turn in range(4):
            tokens, before = 4000 + 1000 * turn, 3000 + 1000 * turn
            usage = {"input": tokens, "output": 100}
            if cached and turn:
                usage |= {"input": tokens - before, "cache_read": before}
            at = deciding.BEGAN_US + int((session * 4 * gap_s * 3 + turn * gap_s) * 1e6)
            records.append(
                call(session * 4 + turn, model, usage, session_id=f"c{session}", ts_us=at)
            )
    return records


def test_prefixes_that_were_read_again_at_full_price() -> None:
    """By the tariffs' prices of reading and writing; a cache that works gets no advice."""
    (one,) = of(found(sessions(SMALL, 30)), "cache")
    at = datetime.fromtimestamp(deciding.BEGAN_US / 1e6, UTC)
    now = then = 0.0
    for turn in range(4):
        tokens, read = 4000 + 1000 * turn, (3000 + 1000 * turn if turn else 0)
        full = {"input": tokens, "output": 100}
        hit = {"input": tokens - read, "cache_read": read, "output": 100}
        now += BOOK.usd("openai", "gpt-5.4-mini", quantities(full), at) or 0
        then += BOOK.usd("openai", "gpt-5.4-mini", quantities(hit), at) or 0
    assert one.saving_share.value == pytest.approx(1 - then / now)
    assert one.conclusion == "try"
    assert of(found(sessions(SMALL, 30, cached=True)), "cache") == []


def test_a_longer_lifetime_where_callers_come_back_late() -> None:
    """Only of a provider that sells it, and only if its dearer writes pay."""
    late = found(sessions(CLAUDE, 900))
    (one,) = of(late, "cache_ttl")
    assert (one.saving_share.value or 0) > 0.05
    assert of(late, "cache") == []  # five minutes would only cost more
    assert of(found(sessions(SMALL, 900)), "cache_ttl") == []
    assert of(found(sessions(CLAUDE, 30)), "cache_ttl") == []


def test_what_reasoning_costs_is_the_most_that_less_effort_saves() -> None:
    """Whether it holds quality needs cases."""
    usage = {"input": 500, "output": 100, "output.reasoning": 900}
    level = {"attributes": {"request.reasoning.level": "high"}}
    (one,) = of(found(calls_of(BIG, 40, usage, **level)), "effort")
    assert one.saving_share.value is None
    assert (one.saving_share.low, one.conclusion) == (0.0, "not enough evidence")
    assert 0.5 < (one.saving_share.high or 0) < 0.95
    assert "effort high" in one.title
    low = {"attributes": {"request.reasoning.level": "low"}}
    assert of(found(calls_of(BIG, 40, usage, **low)), "effort") == []


def test_retries_that_cannot_succeed() -> None:
    """The first refusal is information, each repetition of it is not."""
    records = calls_of(SMALL, 30)
    for number in range(5):
        records.append(
            call(9_000_000 + number, SMALL, {"input": 10, "output": 1}, session_id="loop",
                 http_status=400, outcome="http_error", request_bytes=999)
        )  # fmt: skip
    (one,) = of(found(records), "retries")
    assert (one.calls, one.conclusion) == (4, "recommended")
    busy = [
        msgspec.structs.replace(e, http_status=429) if e.http_status == 400 else e for e in records
    ]
    assert of(found(busy), "retries") == []


def test_equal_lengths_are_a_suspicion() -> None:
    """They are the most that can be saved, never a recommendation."""
    records = calls_of(SMALL, 60, request_bytes=5_000)
    (one,) = of(found(records), "duplicates")
    assert (one.calls, one.conclusion) == (59, "not enough evidence")
    assert one.saving_usd.value is None
    assert of(found(calls_of(SMALL, 60)), "duplicates") == []


def test_routes_to_review(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`routes check` accepts them: switches as a canary, other candidates as they are."""
    mine = tmp_path / "mine.toml"
    mine.write_text(
        '[providers.inhouse]\nbase_url = "http://127.0.0.1:9"\n'
        '[gateway.keys.main]\nprovider = "openai"\nvalue = "env:OPENAI_MAIN"\n'
        f'[gateway.callers.search]\ntoken_hash = "sha256:{"0" * 64}"\ntags = {{ team = "a" }}\n'
    )
    config = sources.load(mine, {})
    records = calls_of(BIG, 60) + calls_of(SMALL, 60) + calls_of("inhouse/Llama 3 (\u200bx)", 30)
    records += calls_of("elsewhere/x", 30)
    made = found(records, run_of({BIG: 0.9, SMALL: 0.9}, {BIG: 0.01, SMALL: 0.002}, 600))
    routes = tmp_path / "routes.toml"
    text = routes_toml(made, config, sources.defaults()["providers"], datetime.now(UTC))
    routes.write_text(text, encoding="utf-8")
    assert "split = [{ candidate = 0, share = 0.9 }, { candidate = 1, share = 0.1 }]" in text
    assert "Left out, as its provider is not configured: elsewhere/x" in text
    monkeypatch.setenv("OPENAI_MAIN", "k")
    monkeypatch.setenv("INHOUSE_API_KEY", "k")
    assert main(["routes", "check", "--config", str(routes), "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"problems": []}
    read = sources.load(routes, {})
    assert set(read.gateway.routes) == {"gpt-5.4", "gpt-5.4-mini", "llama-3-x"}
    assert [each.label for each in read.gateway.routes["gpt-5.4"].candidates] == [BIG, SMALL]


@pytest.fixture(scope="module")
def stored(chdb_dsn: str) -> list[Record]:
    """Calls in the store."""
    records = calls_of(BIG, 60) + calls_of(SMALL, 60, session_id="", stream=False)

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE)
        await exporter.export(Batch("s:0", tuple(records)))
        await exporter.close()

    asyncio.run(fill())
    return records


def test_the_command(
    stored: list[Record], chdb_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three outputs of one answer, whose spend is that of the report."""
    config = tmp_path / "taximeter.toml"
    config.write_text(f'[store]\ndsn = "{chdb_dsn}"\ndatabase = "{DATABASE}"\n')
    common = ["--config", str(config), "--data", str(tmp_path), "--since", "20d"]
    page, routes = tmp_path / "r.html", tmp_path / "routes.toml"
    words = ["--html", str(page), "--output", str(routes)]
    assert main(["recommend", *common, *words, "--json"]) == Exit.OK
    answer = json.loads(capsys.readouterr().out)
    assert {each["kind"] for each in answer["changes"]} >= {"model", "batch"}
    assert main(["report", *common, "--json"]) == Exit.OK
    rows = json.loads(capsys.readouterr().out)
    assert answer["spend"] == {f"{r['provider']}/{r['model']}": r["cost_usd"] for r in rows}
    assert answer["total"]["calls"] == len(stored)
    assert "not enough evidence" in page.read_text(encoding="utf-8")
    assert sources.load(routes, {}).gateway.routes.keys() == {"gpt-5.4", "gpt-5.4-mini"}
    assert main(["recommend", *common]) == Exit.OK
    shown = capsys.readouterr().out
    assert "0 recommended, 1 to try" in shown
    assert "not enough evidence, collect 942 cases that both answer" in shown
    assert main(["recommend", *common, "--since", "30d"]) == Exit.MISTAKE  # given twice
    assert main(["recommend", *common, "--smallest", "2"]) == Exit.MISTAKE
    assert "--smallest must be" in capsys.readouterr().err
    none = ["--config", str(config), "--data", str(tmp_path), "--until", "28d", "--since", "29d"]
    assert main(["recommend", *none, "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["changes"] == []
