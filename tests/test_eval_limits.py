"""Whom a run pays with, and what it waits for: keys of the gateway, its pools, budgets."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from evaluation.checks.case import Message
from evaluation.runs import keys, ledger, sender, wire
from evaluation.runs.keys import Key
from evaluation.runs.limits import Closed, Limits, Stopped
from evaluation.runs.plan import Candidate, PlanError, Prices
from evaluation.runs.purse import Purse
from evaluation.runs.sender import Bill, ProviderError, Sender
from exporters.evaluation import EvalRun
from pricing import TariffBook
from proxy.door.shared_pools import SharedPools
from proxy.gateway.failures import What
from proxy.gateway.options import GatewayOptions, KeyOptions
from proxy.settings.config import Config, Provider

OPENAI = Provider(name="openai", base_url="https://api.openai.com")
MINI = Candidate(OPENAI, "gpt-5.4-mini")
FIRST, SPARE = Key("main", "sk-main"), Key("spare", "sk-spare")
HELLO = wire.Conversation(
    model="gpt-5.4-mini", messages=(Message("user", "Say hello"),), max_tokens=50
)
WELL = {
    "model": "gpt-5.4-mini", "object": "chat.completion", "id": "c1",
    "choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}  # fmt: skip
QUOTA = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}


def config(path: Path, **values: str) -> Config:
    """With keys of OpenAI's, in this order."""
    made = {
        name: KeyOptions(name=name, provider="openai", value=value)
        for name, value in values.items()
    }
    return Config(
        data=path,
        providers={"openai": OPENAI},
        gateway=GatewayOptions(keys=MappingProxyType(made)),
    )


# -- keys -----------------------------------------------------------------------------------------


def test_configured_keys_come_first(tmp_path: Path) -> None:
    """In their order, from wherever the configuration says; no representation has one."""
    (tmp_path / "key").write_text("sk-file\n")
    configured = config(tmp_path, main="env:MAIN", spare=f"file:{tmp_path / 'key'}")
    environ = {"MAIN": "sk-main", "OPENAI_API_KEY": "sk-other"}
    found = keys.found(configured, [OPENAI], environ)
    assert found == {"openai": (Key("main", "sk-main"), Key("spare", "sk-file"))}
    assert "sk-" not in repr(found)


def test_the_environment_is_asked_where_no_key_is_configured(tmp_path: Path) -> None:
    """By the variable of the provider's SDK."""
    found = keys.found(Config(data=tmp_path), [OPENAI], {"OPENAI_API_KEY": "sk-env"})
    assert found == {"openai": (Key("", "sk-env"),)}


def test_a_key_that_cannot_be_read_is_not_replaced_by_another_account_s(tmp_path: Path) -> None:
    """It is named, and what is wrong with it; so is every provider without a key."""
    configured = config(tmp_path, main="env:MAIN")
    groq = Provider(name="groq", base_url="https://api.groq.com/openai")
    with pytest.raises(PlanError) as caught:
        keys.found(configured, [OPENAI, groq], {"OPENAI_API_KEY": "sk-env"})
    assert str(caught.value).split("\n") == [
        "gateway.keys.main: environment variable MAIN is not set",
        "groq: set its key in GROQ_API_KEY, or add one to [gateway.keys]",
    ]


@pytest.mark.parametrize(
    "provider",
    [
        Provider(name="local", base_url="http://127.0.0.1:8000"),
        Provider(name="mine", base_url="http://box.lan", billing="local"),
    ],
)
def test_who_runs_here_needs_no_key(tmp_path: Path, provider: Provider) -> None:
    """On this machine, or on another one of the user's."""
    found = keys.found(Config(data=tmp_path), [provider], {})
    assert found == {provider.name: (Key("", ""),)}


# -- pools ----------------------------------------------------------------------------------------


async def test_a_limit_closes_the_pool_of_the_gateway(tmp_path: Path) -> None:
    """Under the name that the relays use; a second key is used while it is closed."""
    shared = SharedPools(tmp_path / "pools")
    limits = Limits({"openai": (FIRST, SPARE)}, shared)
    assert await limits.take(MINI) == FIRST
    limits.ended(MINI, FIRST, What.LIMITED, {"retry-after": "30"}, {})
    relay = SharedPools(tmp_path / "pools")
    assert relay.opens_at("openai/main/gpt-5.4-mini", 0.0) == pytest.approx(30, abs=5)
    assert [await limits.take(MINI) for _ in range(3)] == [SPARE] * 3
    assert await limits.take(Candidate(OPENAI, "gpt-5.4-nano")) == FIRST  # limits of its own


async def test_one_call_probes_a_pool_that_opens(tmp_path: Path) -> None:
    """The others wait for what it brings."""
    limits = Limits({"openai": (FIRST,)}, SharedPools(tmp_path / "pools"))
    await limits.take(MINI)
    limits.ended(MINI, FIRST, What.LIMITED, {"retry-after-ms": "20"}, {})
    waiting = [asyncio.create_task(limits.take(MINI)) for _ in range(5)]
    done, pending = await asyncio.wait(waiting, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(pending)) == (1, 4)
    limits.ended(MINI, FIRST, What.ANSWERED, {}, {})
    assert await asyncio.gather(*waiting) == [FIRST] * 5


async def test_nobody_waits_for_a_limit_of_a_day(tmp_path: Path) -> None:
    """The model is left out and the run ends unfinished; the same command goes on later."""
    limits = Limits({"openai": (FIRST,)}, SharedPools(tmp_path / "pools"))
    limits.ended(MINI, FIRST, What.LIMITED, {"retry-after": "7200"}, {})
    with pytest.raises(Closed, match="its rate limit opens in 120 minutes"):
        await limits.take(MINI)


async def test_a_stop_ends_all_waiting(tmp_path: Path) -> None:
    """Ctrl-C does not take as long as a rate limit."""
    limits = Limits({"openai": (FIRST,)}, SharedPools(tmp_path / "pools"))
    limits.ended(MINI, FIRST, What.LIMITED, {"retry-after": "500"}, {})
    waiting = asyncio.create_task(limits.take(MINI))
    await asyncio.sleep(0.01)
    limits.stopped.set()
    with pytest.raises(Stopped):
        await waiting


# -- what the sender does -------------------------------------------------------------------------


Answers = dict[str, tuple[int, Mapping[str, str], Any]]


async def asked(path: Path, answers: Answers) -> tuple[list[str], Bill, object]:
    """The keys that a provider saw, the bill, and the answer or error; `answers` are by key."""
    seen = []

    async def provider(request: web.Request) -> web.Response:
        seen.append(request.headers["authorization"].removeprefix("Bearer "))
        status, headers, document = answers[seen[-1]]
        return web.json_response(document, status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/openai/v1/chat/completions", provider)
    run = EvalRun(
        ts_us=1, run_id="r", updated_us=1, state="running", suite="s", suite_version="v",
        models=[MINI.name], samples=1, cases=1,
    )  # fmt: skip
    bill, book = Bill(), TariffBook.load()
    found: object
    async with TestServer(app) as server, ClientSession() as session:
        prices = Prices(book, datetime.now(UTC))
        kept = ledger.create(path, run, "same")
        url = str(server.make_url("")).rstrip("/")
        limits = Limits({"openai": (FIRST, SPARE)}, SharedPools(path / "pools"))
        purse = Purse(kept, Decimal(1))
        sending = Sender(config(path), book, prices, purse, url, limits, session)
        try:
            found = await sending.ask(MINI, HELLO, {}, bill)
        except ProviderError as error:
            found = error
        kept.close()
    return seen, bill, found


@pytest.mark.parametrize(
    ("status", "document"), [(401, {"error": {"message": "no such key"}}), (429, QUOTA)]
)
async def test_a_refused_key_makes_room_for_the_next(
    tmp_path: Path, status: int, document: Any
) -> None:
    """Wrong, or without money: it is not asked with again, and costs nothing."""
    answers: Answers = {"sk-main": (status, {}, document), "sk-spare": (200, {}, WELL)}
    seen, bill, found = await asked(tmp_path, answers)
    assert seen == ["sk-main", "sk-spare"]
    assert bill.attempts == 2
    assert bill.usd is not None
    assert getattr(found, "text", "") == "hello"


async def test_a_model_ends_when_every_key_is_refused(tmp_path: Path) -> None:
    """With the provider's words, and no key among them."""
    answers: Answers = {name: (429, {}, QUOTA) for name in ("sk-main", "sk-spare")}
    seen, _, found = await asked(tmp_path, answers)
    assert seen == ["sk-main", "sk-spare"]
    assert isinstance(found, ProviderError)
    assert found.broken
    assert str(found) == "http_429: You exceeded your quota"


async def test_a_spent_budget_ends_a_model(tmp_path: Path) -> None:
    """The refusal is Taximeter's own: no other key, no second try, and its pool stays open."""
    headers = {"x-taximeter-error": "budget", "x-should-retry": "false", "retry-after": "9999"}
    answers: Answers = {
        "sk-main": (429, headers, {"error": {"message": "refused by the budget monthly"}})
    }
    seen, _, found = await asked(tmp_path, answers)
    assert seen == ["sk-main"]
    assert isinstance(found, ProviderError)
    assert found.broken
    assert str(found) == "budget: refused by the budget monthly"
    relay = SharedPools(tmp_path / "pools")
    assert relay.opens_at("openai/main/gpt-5.4-mini", 0.0) == 0.0


async def test_what_open_calls_hold_back_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget's refusal that is over in seconds is tried again."""
    monkeypatch.setattr(sender, "BACKOFF_S", 0.001)
    headers = {"x-taximeter-error": "budget", "retry-after": "0"}
    answers: Answers = {"sk-main": (429, headers, {"error": {"message": "held back"}})}
    seen, _, found = await asked(tmp_path, answers)
    assert seen == ["sk-main"] * sender.TRIES_MAX
    assert isinstance(found, ProviderError)
    assert not found.broken
