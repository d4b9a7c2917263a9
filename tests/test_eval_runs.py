"""What a run is made of: its plan and quote, its purse, its ledger, what it sends and reads."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.checks.case import Message, Tool, Verdict
from evaluation.checks.case import Status as Found
from evaluation.runs import ledger, plan, wire
from evaluation.runs.judging import Judgement, outcome
from evaluation.runs.ledger import Ledger, TakenError
from evaluation.runs.plan import Plan, PlanError, Prices
from evaluation.runs.purse import Purse
from evaluation.suites.suite import Suite
from exporters.evaluation import FINISHED, EvalResult, EvalRun
from pricing import TariffBook
from proxy.settings.config import Provider
from support.cases import case

PROVIDERS = {
    name: Provider(name=name, base_url=f"https://{name}.example", dialect=dialect, api_path=path)
    for name, dialect, path in (
        *(("openai", "openai", "/v1"), ("anthropic", "anthropic", "/v1")),
        *(("gemini", "gemini", "/v1beta"), ("groq", "openai", "/openai/v1")),
        ("bedrock", "bedrock", ""),
    )
} | {"azure": Provider(name="azure")}
OPENAI, ANTHROPIC = "openai/gpt-5.4-mini", "anthropic/claude-haiku-4-5"
RUN = EvalRun(
    ts_us=1, run_id="r1", updated_us=1, state="running", suite="s", suite_version="v",
    models=[OPENAI], samples=1, cases=1,
)  # fmt: skip
RESULT = EvalResult(
    ts_us=1, run_id="r1", model=OPENAI, case_id="one", sample=1, case_version="x", cluster="",
    task="t", hidden=False, status="pass", cost_usd=Decimal("0.1"),
)  # fmt: skip
AT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def prices() -> Prices:
    """Of the shipped tariffs."""
    return Prices(TariffBook.load(), AT)


def planned(*cases: Any, models: str = OPENAI, samples: int = 1, judge: str = "") -> Plan:
    """A plan over these cases."""
    judges = plan.candidates(judge, PROVIDERS) if judge else [None]
    return Plan(
        suite=Suite(name="s", cases=cases or (case({"kind": "contains", "value": "x"}),)),
        candidates=plan.candidates(models, PROVIDERS),
        samples=samples,
        judge=judges[0],
    )


# -- plans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "mistake"),
    [
        ("gpt-5", "write PROVIDER/MODEL"),
        ("opena/gpt-5", "unknown provider opena"),
        ("bedrock/x", "cannot call this dialect"),
        ("azure/x", "set providers.azure.base_url first"),
        (" , ", "give models"),
    ],
)
def test_models_are_checked_first(models: str, mistake: str) -> None:
    """All that are wrong are named, before anything is sent."""
    with pytest.raises(PlanError, match=mistake):
        plan.candidates(models, PROVIDERS)


def test_a_quote_covers_every_call(prices: Prices) -> None:
    """Bytes for tokens in, the whole limit out, each turn of a script, and the judge."""
    one = case({"kind": "judge", "rubric": "x"}, prompt="x" * 1000, max_tokens=1000)
    (line,) = plan.quoted(planned(one, samples=2), prices)
    # gpt-5.4-mini: 0.75 USD per million in, 4.5 out
    assert line.usd == 2 * (1072 * Decimal("0.75") + 1000 * Decimal("4.5")) / 10**6
    judged = plan.quoted(planned(one, judge=ANTHROPIC), prices)
    assert [each.name for each in judged] == [OPENAI, f"{ANTHROPIC} (judge)"]
    assert judged[1].usd
    said = tuple(Message("user", "x" * 100) for _ in range(10))
    script = case({"kind": "contains", "value": "x"}, messages=said, max_tokens=100)
    (line,) = plan.quoted(planned(script), prices)
    assert line.calls == 10
    assert line.usd is not None
    assert line.usd > 10 * (172 * Decimal("0.75") + 100 * Decimal("4.5")) / 10**6


def test_what_is_there_is_not_quoted_again(prices: Prices) -> None:
    """Only what is left to pay for counts."""
    whole = planned(models=f"{OPENAI},{ANTHROPIC}", samples=2)
    done = {(OPENAI, "one", 1), (OPENAI, "one", 2), (ANTHROPIC, "one", 2)}
    assert [line.calls for line in plan.quoted(whole, prices, done)] == [0, 1]


def test_an_unknown_price_is_not_zero(prices: Prices) -> None:
    """The quote is unknown; a limit then lets nothing through, and nothing is free."""
    (line,) = plan.quoted(planned(models="openai/nobody-1"), prices)
    assert line.usd is None


def test_the_same_command_is_the_same_run() -> None:
    """Whatever the order of models; another judge, sample or case makes another."""
    one = planned(models=f"{OPENAI},{ANTHROPIC}").identity
    assert planned(models=f"{ANTHROPIC},{OPENAI}").identity == one
    others = {
        planned(models=OPENAI).identity,
        planned(models=f"{OPENAI},{ANTHROPIC}", samples=2).identity,
        planned(models=f"{OPENAI},{ANTHROPIC}", judge="gemini/gemini-2.5-pro").identity,
        planned(case({"kind": "contains", "value": "y"}), models=f"{OPENAI},{ANTHROPIC}").identity,
    }
    assert len(others | {one}) == 5


def test_a_judge_is_of_another_maker() -> None:
    """By the provider, or by the maker in a broker's name."""
    judged = planned(models=f"{OPENAI},{ANTHROPIC},groq/openai/gpt-oss-20b", judge="openai/gpt-5.4")
    assert [judged.judges(each) for each in judged.candidates] == [False, True, False]


# -- the purse and the ledger ---------------------------------------------------------------------


def made(path: Path) -> Ledger:
    """A new ledger."""
    return ledger.create(path, RUN, "same")


@given(
    calls=st.lists(
        st.tuples(st.integers(0, 50), st.one_of(st.none(), st.floats(0, 1))), max_size=40
    ),
    limit=st.integers(0, 300),
)
def test_a_limit_cannot_be_passed(calls: Sequence[tuple[int, float | None]], limit: int) -> None:
    """However calls overlap, what they can have cost together never exceeds it."""

    class InMemory(Ledger):
        def _add(self, entry: ledger.Entry) -> None: ...

    purse = Purse(InMemory(Path(), RUN, ""), Decimal(limit))
    open_calls: list[tuple[str, int]] = []
    most_possible = Decimal(0)
    for most, share in calls:
        number = purse.reserve(Decimal(most))
        if number is None:
            assert purse.committed_usd + most > limit
        else:
            open_calls.append((number, most))
            most_possible += most
        if share is not None and open_calls:
            ended, reserved = open_calls.pop(0)
            actual = (Decimal(reserved) * Decimal(share)).quantize(Decimal("0.01"))
            purse.settle(ended, actual)
            most_possible += actual - reserved
        assert purse.committed_usd == most_possible <= limit


def test_a_limit_needs_prices(tmp_path: Path) -> None:
    """With one, nothing of unknown price is sent; without, everything is."""
    found = made(tmp_path)
    assert Purse(found, Decimal(5)).reserve(None) is None
    assert Purse(found, None).reserve(None) is not None
    found.close()


def test_a_run_goes_on_from_its_ledger(tmp_path: Path) -> None:
    """With its results and what was spent; a call without an end counts as the most it can be."""
    first = made(tmp_path)
    first.end(first.begin(Decimal("0.5")), Decimal("0.1"))
    first.end(first.begin(Decimal("0.7")), None)
    first.begin(Decimal("0.3"))
    first.add(RESULT)
    first.close()
    with (tmp_path / "r1.jsonl").open("ab") as file:
        file.write(b'{"result": {"torn')
    second = ledger.unfinished(tmp_path, "same")
    assert second is not None
    assert second.finished((OPENAI, "one", 1))
    assert second.committed_usd == Decimal("1.1")
    second.end(second.begin(Decimal(1)), Decimal(0))
    second.close()
    third = ledger.unfinished(tmp_path, "same")
    assert third is not None
    assert third.committed_usd == Decimal("1.1")
    third.close()


def test_a_run_is_found_by_what_it_asks(tmp_path: Path) -> None:
    """Not another one, not one that has finished, and not one that somebody is working on."""
    first = made(tmp_path)
    assert ledger.unfinished(tmp_path, "other") is None
    with pytest.raises(TakenError, match="run r1 is under way"):
        ledger.unfinished(tmp_path, "same")
    first.update(
        EvalRun(**{n: getattr(RUN, n) for n in RUN.__struct_fields__} | {"state": FINISHED})
    )
    first.close()
    assert ledger.unfinished(tmp_path, "same") is None
    assert (tmp_path / "r1.jsonl").stat().st_mode & 0o077 == 0


def test_an_error_of_the_provider_is_not_final(tmp_path: Path) -> None:
    """It is tried again, whereas a wrong answer stays wrong."""
    found = made(tmp_path)
    for status, final in (("error", False), ("fail", True), ("not_run", True), ("pass", True)):
        found.results[OPENAI, "one", 1] = EvalResult(
            **{n: getattr(RESULT, n) for n in RESULT.__struct_fields__} | {"status": status}
        )
        assert found.finished((OPENAI, "one", 1)) is final
    os.close(found._fd)


# -- the wire -------------------------------------------------------------------------------------

SAID = wire.Conversation(
    model="m",
    messages=(Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Yes?")),
    max_tokens=9,
    tools=(Tool("t", "does", {"type": "object"}),),
)


def test_each_dialect_has_its_request() -> None:
    """Paths, limits, system prompts and tools, as the provider names them."""
    openai = wire.request(PROVIDERS["openai"], SAID)
    assert (openai.path, openai.body["max_completion_tokens"]) == ("/v1/chat/completions", 9)
    assert wire.request(PROVIDERS["groq"], SAID).path == "/openai/v1/chat/completions"
    anthropic = wire.request(PROVIDERS["anthropic"], SAID)
    assert (anthropic.path, anthropic.body["system"]) == ("/v1/messages", "Be brief.")
    assert anthropic.body["tools"][0]["input_schema"] == {"type": "object"}
    gemini = wire.request(PROVIDERS["gemini"], SAID)
    assert gemini.path == "/v1beta/models/m:generateContent"
    assert [turn["role"] for turn in gemini.body["contents"]] == ["user", "model"]


CALL = {"function": {"name": "t", "arguments": '{"a": 1}'}}
ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("openai", {"choices": [{"message": {"content": "Hi", "tool_calls": [CALL]}}]}),
    (
        "anthropic",
        {"content": [{"type": "text", "text": "Hi"},
                     {"type": "tool_use", "name": "t", "input": {"a": 1}}]},
    ),
    (
        "gemini",
        {"candidates": [{"content": {"parts": [
            {"text": "hm", "thought": True}, {"text": "Hi"},
            {"functionCall": {"name": "t", "args": {"a": 1}}}]}}]},
    ),
]  # fmt: skip
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("openai", {"choices": [{"message": {"content": None, "refusal": "No."}}]}),
    ("openai", {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}),
    ("anthropic", {"content": [], "stop_reason": "refusal"}),
    ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}),
    ("gemini", {"candidates": [{"finishReason": "SAFETY"}]}),
]


@pytest.mark.parametrize(("provider", "document"), ANSWERS)
def test_answers_are_read(provider: str, document: dict[str, Any]) -> None:
    """Text without thoughts, and calls with decoded arguments."""
    found = wire.answer(PROVIDERS[provider], document)
    assert (found.text, found.signalled) == ("Hi", "")
    assert [(call.name, call.arguments) for call in found.tool_calls] == [("t", {"a": 1})]


@pytest.mark.parametrize(("provider", "document"), REFUSED)
def test_refusals_are_signalled(provider: str, document: dict[str, Any]) -> None:
    """In each provider's own way."""
    assert wire.answer(PROVIDERS[provider], document).signalled


def test_what_is_no_answer_is_an_error() -> None:
    """And a filter's error is a refusal, no error."""
    for provider, document in (("openai", {}), ("anthropic", {"error": 1}), ("gemini", {})):
        with pytest.raises(ValueError, match="no answer in the expected form"):
            wire.answer(PROVIDERS[provider], document)
    assert wire.filtered({"error": {"code": "content_filter"}})
    assert not wire.filtered({"error": {"code": "rate_limit_exceeded"}})


def test_keys_go_where_the_provider_reads_them() -> None:
    """And nowhere without one."""
    assert wire.key_header(PROVIDERS["anthropic"], "k") == {"x-api-key": "k"}
    assert wire.key_header(PROVIDERS["groq"], "k") == {"authorization": "Bearer k"}
    assert wire.key_header(PROVIDERS["gemini"], "") == {}
    assert wire.key_header(PROVIDERS["azure"], "k") == {"api-key": "k"}


@pytest.mark.parametrize(
    ("statuses", "amount_to"),
    [("pass pass", "pass"), ("pass not_run", "not_run"), ("not_run fail", "fail"), ("", "pass")],
)
def test_one_failure_fails_and_nothing_unknown_passes(statuses: str, amount_to: str) -> None:
    """The verdicts of a case together."""
    found = [Judgement("x", Verdict(Found(each))) for each in statuses.split()]
    assert outcome(found)[0] == amount_to
