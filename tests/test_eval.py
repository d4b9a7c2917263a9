"""`taximeter eval` as a user runs it: quote, run, report, kill -9, and the rows that it leaves."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from evaluation.schedules import book
from evaluation.schedules.book import Schedule
from evaluation.schedules.weekly import DAYS
from evaluation.standin import processes
from evaluation.standin.processes import Serving, get_json
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.settings.places import Places
from support.patience import PATIENCE_S

MINI, HAIKU = "openai/gpt-5.4-mini", "anthropic/claude-haiku-4-5"
JUDGE = "gemini/gemini-2.5-flash"
QUALITY = {MINI: 0.75, HAIKU: 0.95}
ANSWERED = "an answer that nobody may find elsewhere"
KEYS = {f"{name}_API_KEY": "key" for name in ("OPENAI", "GEMINI")}
NANO = "openai/gpt-5.4-nano"
SETTINGS = """
[gateway.keys.main]
provider = "anthropic"
value = "file:{key}"

[budgets.no-nano]
scope = {{ "tag.eval-model" = "openai/gpt-5.4-nano" }}
limit_usd = 0
action = "block"

"""


def suite(path: Path, count: int) -> str:
    """So many cases, in pairs of one cluster each; some are judged."""
    lines = ["+++", 'name = "mine"', 'canary = "CANARY-1"', "max_tokens = 60", "+++"]
    for n in range(count):
        checks: list[dict[str, Any]] = [{"kind": "contains", "value": f"Paris {n}"}]
        checks += [{"kind": "judge", "rubric": "polite"}] if n % 10 == 0 else []
        case = {
            "id": f"case-{n}", "cluster": f"pair-{n // 2}", "task": ("facts", "style")[n % 2],
            "prompt": f"Which city is number {n}?", "checks": checks,
            "reference": f"Paris {n}: {ANSWERED}", "wrong": "Rome",
        }  # fmt: skip
        lines.append(json.dumps(case))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@dataclass(frozen=True, slots=True)
class World:
    """A suite, the stand-in that knows it, and a running product."""

    suite: str
    upstream: str
    served: Serving

    @property
    def where(self) -> list[str]:
        """The arguments that name the product's configuration and data."""
        data = self.served.data
        return ["--config", str(data / "taximeter.toml"), "--data", str(data / "data"), "--json"]

    def asked(self) -> int:
        """Calls that reached the stand-in so far."""
        return len(get_json(f"{self.upstream}/__standin/journal")["exchanges"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Shared by all tests of this file."""
    path = tmp_path_factory.mktemp("eval")
    cases = suite(path / "mine.jsonl", 60)
    quality = ",".join(f"{name.partition('/')[2]}={share}" for name, share in QUALITY.items())
    options = ("--suite", cases, "--quality", quality)
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("TAXIMETER_") or n.endswith("_URL")]:
            patch.delenv(name)
        for name, key in KEYS.items():
            patch.setenv(name, key)
        with processes.stand_in(path / "stand-in.log", *options) as (upstream, _):
            upstreams = dict.fromkeys(processes.PROVIDERS, upstream)
            (path / "key").write_text("sk-of-the-gateway")
            settings = SETTINGS.format(key=path / "key") + processes.FAST_ROWS
            with processes.serve(path, upstreams, settings=settings) as served:
                yield World(cases, upstream, served)


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Exit code and JSON of a command."""
    code = main(words)
    out = capsys.readouterr().out
    return code, json.loads(out) if out else None


def test_a_run_and_its_report(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The truth lies in every interval, and the costs are those of the rows, to the last digit."""
    order = ["eval", "run", world.suite, "--models", f"{MINI},{HAIKU}", "--samples", "3"]
    order += ["--max-usd", "5", "--judge", JUDGE, *world.where]
    before = world.asked()
    code, done = answer(capsys, *order)
    assert (code, done["state"]) == (Exit.OK, "finished")
    assert sum(done["results"].values()) == 2 * 3 * 60
    assert Decimal(done["spent_usd"]) < Decimal(done["quote_usd"]) < 5
    rows = [
        row for row in world.served.calls(10_000) if row["tags"].get("eval-run") == done["run_id"]
    ]
    assert len(rows) == world.asked() - before > 360  # all of them, and the judge's
    assert Decimal(done["spent_usd"]) == sum(Decimal(str(row["cost_usd"])) for row in rows)
    halves = {}
    for flags in ((), ("--hidden",)):
        where = [*world.where, *flags]
        code, report = answer(capsys, "eval", "report", done["run_id"], *where)
        assert code == Exit.OK
        halves[report["half"]] = report
        assert list(report["models"]) == [MINI, HAIKU]
        for name, model in report["models"].items():
            accuracy, cost = model["accuracy"], model["cost_per_success_usd"]
            assert accuracy["low"] <= QUALITY[name] <= accuracy["high"]
            assert cost["low"] < cost["value"] < cost["high"]
            assert 0 < model["detectable_difference"] < 1
            assert model["tasks"].keys() == {"facts", "style"}
            assert model["cases"] == report["cases"] > 15
    assert halves["open"]["cases"] + halves["hidden"]["cases"] == 60
    total = sum(
        m["cost_usd"] + m["judge_usd"] for h in halves.values() for m in h["models"].values()
    )
    assert total == pytest.approx(float(done["spent_usd"]), rel=1e-9)
    assert all(m["judge_usd"] > 0 for m in halves["open"]["models"].values())
    document = get_json(f"{world.served.console_url}/api/evaluations/{done['run_id']}")
    assert {one["call_id"] for one in document["calls"]} <= {row["call_id"] for row in rows}
    stored = json.dumps(document)
    assert ANSWERED not in stored
    assert "Which city" not in stored
    _the_report_is_one_page(world, capsys, done["run_id"])


def _the_report_is_one_page(world: World, capsys: pytest.CaptureFixture[str], run_id: str) -> None:
    """Text for people, and HTML that fetches nothing."""
    where = [word for word in world.where if word != "--json"]
    page = world.served.data / "report.html"
    assert main(["eval", "report", run_id, "--html", str(page), *where]) == Exit.OK
    shown = capsys.readouterr().out
    assert "points" in shown
    assert f"{MINI} - {HAIKU}: " in shown
    html = page.read_text()
    assert html.count("<svg") == 3
    assert "http" not in html
    assert MINI in html


@pytest.mark.thorough
def test_two_runs_are_compared(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Model by model, paired by case; the same command began a new run, as the first had ended."""
    runs = []
    for _ in range(2):
        order = ["eval", "run", world.suite, "--models", MINI, *world.where]
        code, done = answer(capsys, *order)
        assert code == Exit.OK
        runs.append(done["run_id"])
    assert runs[0] != runs[1]
    _, report = answer(capsys, "eval", "report", runs[1], "--against", runs[0], *world.where)
    (since,) = report["since"]
    assert (since["first"], since["second"], since["changed_cases"]) == (MINI, MINI, 0)
    assert since["difference"]["low"] <= 0 <= since["difference"]["high"]
    assert since["verdict"].startswith(("alike", "cannot tell"))
    assert (since["look"], since["missing_cases"]) == (1, 0)
    always, once = since["at_every_look"], since["difference"]
    assert always["low"] < once["low"] <= once["high"] < always["high"]


def test_nothing_is_sent_that_could_cost_too_much(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The quote is refused at once, with the amount; so is a model without a price."""
    before = world.asked()
    order = ["eval", "run", world.suite, "--models", MINI, "--new", *world.where]
    assert main([*order, "--max-usd", "0.0001"]) == Exit.MISTAKE
    assert "exceeds --max-usd 0.0001" in capsys.readouterr().err
    unknown = [*order[:4], "openai/nobody-1", *order[5:]]
    assert main([*unknown, "--max-usd", "5"]) == Exit.MISTAKE
    assert "no price is known for openai/nobody-1" in capsys.readouterr().err
    code, quote = answer(capsys, *order, "--quote")
    assert (code, quote["models"][0]["calls"]) == (Exit.OK, 60)
    assert Decimal(quote["quote_usd"]) > 0
    assert world.asked() == before


def test_mistakes_are_reported_before_anything_is_sent(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad suite, a bad model, a run that is not there."""
    (tmp_path / "bad.jsonl").write_text('{"id": "a"}\n')
    assert main(["eval", "run", str(tmp_path / "bad.jsonl"), "--models", MINI]) == Exit.MISTAKE
    assert "bad.jsonl:1: " in capsys.readouterr().err
    assert main(["eval", "run", world.suite, "--models", "x", *world.where]) == Exit.MISTAKE
    assert "write PROVIDER/MODEL" in capsys.readouterr().err
    assert main(["eval", "report", "nowhere", *world.where]) == Exit.MISTAKE
    assert "no run nowhere" in capsys.readouterr().err


def test_an_imported_run_has_the_cost_of_our_rows(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inspect was run through the proxy; its answers are found by the ids of their responses."""
    said = {"model": MINI.partition("/")[2], "messages": [{"role": "user", "content": "Import"}]}
    url = f"{world.served.proxy_url}/~team=inspect/openai/v1/chat/completions"
    with urllib.request.urlopen(url, json.dumps(said).encode()) as response:
        response_id = json.load(response)["id"]
    (row,) = world.served.calls_when(1, team="inspect")
    event = {"event": "model", "call": {"response": {"id": response_id}}}
    sample = {"id": "s", "epoch": 1, "scores": {"match": {"value": "C"}}, "events": [event]}
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"eval": {"task": "arc", "model": MINI}, "samples": [sample]}))
    code, done = answer(capsys, "eval", "import", str(log), *world.where)
    assert (code, done["results"], done["joined"]) == (Exit.OK, 1, 1)
    assert answer(capsys, "eval", "import", str(log), *world.where)[1] == done  # no second run
    _, report = answer(capsys, "eval", "report", done["run_id"], *world.where)
    assert report["models"][MINI]["cost_usd"] == pytest.approx(float(row["cost_usd"]), rel=1e-12)
    assert report["models"][MINI]["accuracy"]["value"] == 1.0


@pytest.mark.thorough
def test_budgets_hold_for_runs(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A spent one ends the model that it is about, after one call, and says so."""
    order = ["eval", "run", world.suite, "--models", NANO, "--concurrency", "1", *world.where]
    before = world.asked()
    code, done = answer(capsys, *order)
    assert (code, done["state"], world.asked()) == (Exit.FAILED, "stopped", before)
    assert done["results"] == {"error": 1}
    assert "refused by the budget no-nano" in done["broken"][NANO]


def test_a_key_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the name of its variable, where the provider is not on this machine."""
    for name in [n for n in os.environ if n.endswith(("_API_KEY", "_BASE_URL"))]:
        monkeypatch.delenv(name)
    cases = suite(tmp_path / "s.jsonl", 1)
    assert main(["eval", "run", cases, "--models", MINI, "--data", str(tmp_path)]) == Exit.MISTAKE
    assert "openai: set its key in OPENAI_API_KEY" in capsys.readouterr().err


@pytest.mark.slow  # starts the product twice
def test_a_killed_run_is_resumed(world: World, tmp_path: Path) -> None:
    """With a proxy of its own: no finished case is paid for twice, and the report has them all."""
    data = tmp_path / "data"
    order = ["eval", "run", world.suite, "--models", HAIKU, "--concurrency", "2", "--json"]
    command = [sys.executable, "-m", "proxy", *order, "--max-usd", "1", "--data", str(data)]
    environ = {**os.environ, "ANTHROPIC_BASE_URL": world.upstream}
    before = world.asked()
    with subprocess.Popen(command, env=environ, cwd=processes.ROOT) as first:
        deadline = time.monotonic() + PATIENCE_S
        while _results(data) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
    finished = _results(data)
    assert finished >= 10
    _wait_until_free(data)
    done = subprocess.run(
        command, env=environ, cwd=processes.ROOT, capture_output=True, text=True, check=True
    )
    end = json.loads(done.stdout)
    assert (end["state"], sum(end["results"].values())) == ("finished", 60)
    assert world.asked() - before <= 60 + 2  # two were under way
    # In a process of its own: this one may have another embedded store open.
    report = [sys.executable, "-m", "proxy", "eval", "report", end["run_id"], "--data", str(data)]
    subprocess.run(report, cwd=processes.ROOT, capture_output=True, check=True)


def _results(data: Path) -> int:
    files = list((data / "evaluations").glob("*.jsonl"))
    return sum(path.read_bytes().count(b'{"result"') for path in files)


def _wait_until_free(data: Path) -> None:
    """The proxy's processes end when the command is gone."""
    from proxy.serving.instance import TakenError, claimed  # noqa: PLC0415 — only here

    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with claimed(data):
                return
        except TakenError:
            time.sleep(0.1)


@pytest.mark.thorough
def test_a_judge_is_checked(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the proxy, capped, stored as a run; the next check is compared with the first."""
    lines = [
        {
            "id": f"{label}-{n}", "prompt": f"Which city is number {n}?", "rubric": "right",
            "answer": f"Paris {n}: {ANSWERED}" if label == "good" else f"Rome {n}", "label": label,
        }
        for n in range(40)
        for label in ("good", "bad")
    ]  # fmt: skip
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    order = ["eval", "judge", "check", HAIKU, "--gold", str(path)]
    before = world.asked()
    code, refused = answer(capsys, *order, "--max-usd", "0.0001", *world.where)
    assert (code, world.asked()) == (Exit.MISTAKE, before)
    assert "exceeds --max-usd" in refused["error"]
    code, first = answer(capsys, *order, "--max-usd", "5", *world.where)
    assert (code, first["state"], first["usable"], first["drift"]) == (0, "finished", True, None)
    for rate in (first["sensitivity"], first["specificity"]):
        assert rate["low"] <= QUALITY[HAIKU] <= rate["high"]
        assert rate["answers"] == 40
    assert first["position_bias"]["pairs"] == 40
    corrected = first["corrected"]["corrected"]
    assert corrected["low"] <= 0.5 <= corrected["high"]
    assert world.asked() - before == 80 + 80
    assert Decimal(first["spent_usd"]) < Decimal(first["quote_usd"])
    code, second = answer(capsys, *order, *world.where)
    assert second["drift"]["against"] == first["run_id"]
    assert second["drift"]["answers"] == 80
    assert second["drift"]["changed"] > 0
    code, _ = answer(capsys, "eval", "report", first["run_id"], *world.where)
    assert code == Exit.OK
    where = [word for word in world.where if word != "--json"]
    assert main([*order, "--against", second["run_id"], *where]) == Exit.OK
    said = capsys.readouterr().out
    for words in (
        "sensitivity",
        "Position bias: in ",
        "Drift since 20",
        "the gold set: judged good",
    ):
        assert words in said
    code, other = answer(capsys, *order, "--run", first["run_id"], *world.where)
    assert code == Exit.MISTAKE
    assert "was judged by no judge" in other["mistakes"][0]


@pytest.mark.thorough
def test_a_scheduled_run_is_run_by_serve(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside it, with its keys and through its proxy; what became of it is listed and stored."""
    now = datetime.now(UTC)
    places = Places(world.served.data / "data")
    soon = Schedule(
        name="mine", suite=world.suite, models=MINI, zone="UTC", added=now - timedelta(hours=2),
        weekly=f"{DAYS[(now - timedelta(minutes=1)).weekday()]}@{now - timedelta(minutes=1):%H:%M}",
        max_usd=Decimal(5),
    )  # fmt: skip
    book.save(places, [soon])
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        code, (listed,) = answer(capsys, "eval", "schedule", "--list", *world.where)
        if listed["runs"]:
            break
        time.sleep(0.5)
    (run,) = listed["runs"]
    assert (code, run["state"], run.get("error", "")) == (Exit.OK, "finished", "")
    assert listed["missed"] == 0
    code, report = answer(capsys, "eval", "report", run["run_id"], *world.where)
    assert (code, list(report["models"])) == (Exit.OK, [MINI])
