"""A run against the stand-in: retries, refusals of service, limits, what is asked again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import ClientSession

from evaluation.checks.case import Message
from evaluation.runs import ledger, sender
from evaluation.runs.keys import Key
from evaluation.runs.ledger import Ledger
from evaluation.runs.limits import Limits
from evaluation.runs.plan import Candidate, Plan, Prices, quoted
from evaluation.runs.purse import Purse
from evaluation.runs.runner import Runner
from evaluation.runs.sender import Sender
from evaluation.standin.server import StandIn, serving
from evaluation.standin.skill import skill
from evaluation.suites.suite import Suite
from exporters.evaluation import EvalRun
from pricing import TariffBook
from proxy.door.shared_pools import SharedPools
from proxy.gateway import pools
from proxy.settings.config import Config, Provider
from support.cases import case

BOOK = TariffBook.load()
HELLO = {"kind": "contains", "value": "hello"}
CASES = tuple(
    case(HELLO, id=f"c{n}", prompt=f"Say hello to {n}", reference=f"hello {n}", max_tokens=50)
    for n in range(6)
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between attempts."""
    monkeypatch.setattr(sender, "BACKOFF_S", 0.001)
    monkeypatch.setattr(pools, "LOOK_S", 0.01)


@asynccontextmanager
async def running(
    path: Path, *models: str, max_usd: str = "", judge: str = "", cases: tuple[object, ...] = CASES
) -> AsyncIterator[tuple[Runner, StandIn]]:
    """A runner whose calls go straight to a stand-in that knows the cases."""
    providers = {"openai": Provider(name="openai"), "anthropic": Provider(name="anthropic")}
    plan = Plan(
        suite=Suite(name="s", cases=cases),  # type: ignore[arg-type]  # cases, all of them
        candidates=[Candidate(providers["openai"], model) for model in models],
        samples=1,
        judge=Candidate(providers["openai"], judge) if judge else None,
    )
    run = EvalRun(
        ts_us=1, run_id="r", updated_us=1, state="running", suite="s", suite_version="v",
        models=[each.name for each in plan.candidates], samples=1, cases=len(cases),
    )  # fmt: skip
    found = ledger.unfinished(path, "same") or ledger.create(path, run, "same")
    prices = Prices(BOOK, datetime.now(UTC))
    purse = Purse(found, Decimal(max_usd) if max_usd else None)
    async with (
        serving(skill=skill(plan.suite.cases, {})) as (stand_in, port),
        ClientSession() as session,
    ):
        url = f"http://127.0.0.1:{port}"
        keys = {name: (Key("", "k"),) for name in providers}
        config = Config(data=path, providers=providers)
        limits = Limits(keys, SharedPools(path / "pools"))
        sending = Sender(config, BOOK, prices, purse, url, limits, session)
        try:
            yield Runner(plan, found, sending), stand_in
        finally:
            found.close()


def asked(stand_in: StandIn) -> int:
    """How many calls arrived."""
    return len(stand_in.journal.exchanges())


def statuses(found: Ledger) -> set[tuple[str, str, int]]:
    """Status, error and attempts of all results."""
    return {(r.status, r.error_type, r.attempts) for r in found.results.values()}


async def test_a_run_costs_what_its_calls_cost(tmp_path: Path) -> None:
    """Each result has the price of its call, and the ledger their sum, below the quote."""
    async with running(tmp_path, "gpt-5.4-mini", max_usd="1") as (runner, stand_in):
        await runner.run(3)
        assert asked(stand_in) == 6
        assert statuses(runner.ledger) == {("pass", "", 1)}
        costs = [result.cost_usd or Decimal(0) for result in runner.ledger.results.values()]
        assert runner.ledger.spent_usd == sum(costs) > 0
        prices = Prices(BOOK, datetime.now(UTC))
        (line,) = quoted(runner.plan, prices)
        assert line.usd is not None
        assert runner.ledger.spent_usd < line.usd


async def test_what_is_answered_is_not_asked_again(tmp_path: Path) -> None:
    """A second process goes on where the first one stopped."""
    async with running(tmp_path, "gpt-5.4-mini") as (runner, stand_in):
        runner.told = lambda _: runner.stop() if len(runner.ledger.results) >= 2 else None
        await runner.run(1)
        assert asked(stand_in) == 2
    async with running(tmp_path, "gpt-5.4-mini") as (runner, stand_in):
        await runner.run(2)
        assert asked(stand_in) == 4
        assert len(runner.ledger.results) == 6


async def test_a_limit_stops_before_the_call_that_could_pass_it(tmp_path: Path) -> None:
    """Nothing is spent beyond it, whatever calls are under way."""
    async with running(tmp_path, "gpt-5.4-mini", max_usd="0.0007") as (runner, stand_in):
        await runner.run(4)
        assert runner.capped
        assert 0 < asked(stand_in) < 6
        assert runner.ledger.spent_usd <= Decimal("0.0007")


async def test_what_may_pass_is_tried_again(tmp_path: Path) -> None:
    """A full provider, twice for each call, costs nothing but two more attempts."""
    model = "gpt-5.4-mini@status=429,times=2,retry-after-s=0"
    async with running(tmp_path, model) as (runner, stand_in):
        await runner.run(3)
        assert statuses(runner.ledger) == {("pass", "", 3)}
        assert asked(stand_in) == 18
        heads = [dict(each.received.headers) for each in stand_in.journal.exchanges()]
        assert {head[sender.ATTEMPT_HEADER] for head in heads} == {"0", "1", "2"}
        assert heads[0]["x-taximeter-eval-model"] == f"openai/{model}"


async def test_an_error_is_no_wrong_answer(tmp_path: Path) -> None:
    """It has a status of its own, after some attempts."""
    async with running(tmp_path, "gpt-5.4-mini@status=500") as (runner, _):
        await runner.run(6)
        assert statuses(runner.ledger) == {("error", "http_500", sender.TRIES_MAX)}


async def test_a_cut_call_may_have_been_billed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cost is unknown, and each attempt counts as the most that it can be."""
    monkeypatch.setattr(Prices, "most", lambda *_: Decimal("0.01"))
    async with running(tmp_path, "gpt-5.4-mini@cut-after=1", cases=CASES[:1]) as (runner, _):
        await runner.run(1)
        (result,) = runner.ledger.results.values()
        assert (result.status, result.cost_usd) == ("error", None)
        assert runner.ledger.spent_usd == sender.TRIES_MAX * Decimal("0.01")


async def test_a_wrong_key_stops_a_model_and_no_other(tmp_path: Path) -> None:
    """What no call can answer is asked once or twice, not six hundred times."""
    async with running(tmp_path, "gpt-5.4-mini@status=401", "gpt-5.4-nano") as (runner, stand_in):
        await runner.run(1)
        assert list(runner.broken) == ["openai/gpt-5.4-mini@status=401"]
        assert asked(stand_in) == 7


async def test_a_judge_of_the_same_maker_does_not_judge(tmp_path: Path) -> None:
    """And says so; a hard check that fails needs no judge."""
    rubric = {"kind": "judge", "rubric": "polite"}
    judged = (case(rubric, HELLO, id="j", prompt="Say hello", reference="hello"),)
    async with running(tmp_path, "gpt-5.4-mini", judge="gpt-5.4", cases=judged) as (runner, _):
        await runner.run(1)
        (result,) = runner.ledger.results.values()
        assert result.status == "not_run"
        assert result.reason == "judge: the judge is of the same family, openai"
        assert result.judge_usd is None


async def test_a_script_is_said_turn_by_turn(tmp_path: Path) -> None:
    """Each answer is part of the next request, and one result pays for all of them."""
    check = {"kind": "persona", "probes": [{"turn": 3, "checks": [HELLO]}]}
    said = tuple(Message("user", text) for text in ("one", "two", "three"))
    script = (case(check, id="p", messages=said, reference=("a", "b", "hello")),)
    async with running(tmp_path, "gpt-5.4-mini", cases=script) as (runner, stand_in):
        await runner.run(1)
        (result,) = runner.ledger.results.values()
        assert (result.status, result.attempts, asked(stand_in)) == ("pass", 3, 3)
