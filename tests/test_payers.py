"""Who pays for a call: its caller, a flat plan, or nobody; and what it would cost at list price."""

import io
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pricing import TariffBook, TariffError
from pricing.book import SHIPPED
from pricing.plan import CredentialKind
from proxy.commands.cli import main
from proxy.metering.documents import price_document
from proxy.secrecy.fingerprint import credential
from proxy.secrecy.patterns import CREDENTIAL_KINDS, credential_kind
from proxy.settings.config import Provider
from proxy.settings.sources import load

Document = dict[str, Any]

CONFIG = load(None, {})
BOOK = TariffBook.load()
OAT = "Bearer sk-ant-oat01-AAAAAAAAAAAAAAAA"
UNIFIED = "anthropic-ratelimit-unified-"
AT = "2026-11-20T12:00:00Z"
MESSAGE = {
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "x"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1_000, "output_tokens": 100},
}
CHAT = {
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100},
}


def claude(key: str = OAT, **headers: str) -> Document:
    """A call of 0.0045 USD at list price; `headers` are the unified ones of its response."""
    return {
        "provider": "anthropic",
        "path": "/v1/messages",
        "at": AT,
        "request_headers": {"Authorization": key},
        "response_headers": {
            UNIFIED + name.replace("_", "-"): value for name, value in headers.items()
        },
        "request": {"model": "claude-sonnet-4-5"},
        "response": MESSAGE,
    }


def chat(provider: str, path: str, model: str, **more: object) -> Document:
    """A chat completion of 1,000 and 100 tokens."""
    return {
        "provider": provider,
        "path": path,
        "at": AT,
        "request": {"model": model},
        "response": CHAT | {"model": model},
        **more,
    }


def priced(document: Document, book: TariffBook = BOOK) -> Mapping[str, Any]:
    return price_document(document, book, CONFIG)


PLANS = {
    "claude, without a header": (claude(), "claude"),
    "claude, within the five hours": (
        claude(status="allowed", representative_claim="five_hour", overage_status="rejected"),
        "claude",
    ),
    "claude, overage allowed and not in use": (
        claude(overage_in_use="false", representative_claim="seven_day", overage_status="allowed"),
        "claude",
    ),
    "claude, as an API key header": (
        claude() | {"request_headers": {"x-api-key": "sk-ant-oat02-BBBB"}},
        "claude",
    ),
    "z.ai, by path": (chat("zai", "/api/coding/paas/v4/chat/completions", "glm-4.6"), "zai"),
    "z.ai, by host": (
        chat(
            "mine",
            "/api/coding/paas/v4/chat/completions",
            "glm-4.6",
            upstream={"base_url": "https://open.bigmodel.cn"},
        ),
        "zai",
    ),
    "kimi, by host and path": (
        chat(
            "kimi",
            "/v1/chat/completions",
            "kimi-for-coding",
            upstream={"base_url": "https://api.kimi.com/coding"},
        ),
        "kimi",
    ),
    "kimi, by key": (
        chat("moonshot", "/v1/chat/completions", "kimi-k2.5", credential_kind="kimi_plan_key"),
        "kimi",
    ),
    "qwen, by host": (
        chat(
            "qwen",
            "/v1/chat/completions",
            "qwen3-coder-plus",
            upstream={"base_url": "https://coding-intl.dashscope.aliyuncs.com"},
        ),
        "qwen",
    ),
    "minimax, by key": (
        chat(
            "minimax",
            "/v1/chat/completions",
            "MiniMax-M2.5",
            request_headers={"authorization": "Bearer sk-cp-CCCCCCCC"},
        ),
        "minimax",
    ),
    "chatgpt": (
        chat(
            "openai",
            "/responses",
            "gpt-5.1-codex",
            upstream={"base_url": "https://chatgpt.com/backend-api/codex"},
        ),
        "chatgpt",
    ),
}


@pytest.mark.parametrize(("document", "plan"), PLANS.values(), ids=PLANS)
def test_a_plan_pays(document: Document, plan: str) -> None:
    """What a plan pays for is not billed, and the row names the plan."""
    found = priced(document)
    assert (found["usd"], found["status"]) == ("0", "not_billed")
    assert f"plan:{plan}" in found["reasons"]
    assert found["list_status"] != "not_billed"


def test_the_list_price_of_a_call_by_plan() -> None:
    """It is what the call would cost without the plan, and stands beside the cost."""
    found = priced(claude())
    assert (found["usd"], found["list_usd"], found["list_status"]) == ("0", "0.0045", "exact")


BILLED = {
    "an API key": claude("Bearer sk-ant-api03-DDDDDDDD"),
    "no credential noted": claude() | {"request_headers": {}},
    "overage in use": claude(overage_in_use="true", representative_claim="five_hour"),
    "overage as the claim": claude(status="allowed", representative_claim="overage"),
    "rejected, and let through": claude(status="rejected", overage_status="allowed_warning"),
}


@pytest.mark.parametrize("document", BILLED.values(), ids=BILLED)
def test_what_no_plan_pays_for_is_billed(document: Document) -> None:
    """A key of the API, and extra usage beyond a subscription, cost what they cost."""
    found = priced(document)
    assert (found["usd"], found["status"]) == ("0.0045", "exact")
    assert (found["list_usd"], found["list_status"]) == ("0.0045", "exact")


@pytest.mark.parametrize(
    "headers",
    [
        {"representative_claim": "eight_day"},
        {"status": "rejected", "overage_status": "rejected"},
        {"overage_in_use": "maybe"},
        {"overage_in_use": "false", "representative_claim": "overage"},
    ],
)
def test_headers_that_say_something_else_are_not_a_free_call(headers: dict[str, str]) -> None:
    """Where the response says what no rule knows, the full price is an estimate."""
    found = priced(claude(**headers))
    assert (found["usd"], found["status"]) == ("0.0045", "estimated")
    assert found["reasons"] == ["plan_unclear:claude"]


@pytest.mark.parametrize(
    "document",
    [
        chat("zai", "/api/paas/v4/chat/completions", "glm-4.6"),
        chat("openai", "/v1/chat/completions", "gpt-5.4-mini", credential_kind="qwen_plan_key"),
        chat("qwen", "/compatible-mode/v1/chat/completions", "qwen-plus"),
        chat("openai", "/v1/chat/completions", "gpt-5.4-mini", credential_kind="jwt"),
    ],
)
def test_a_likeness_is_no_plan(document: Document) -> None:
    """Another path of the host, another provider's key, or any token proves nothing."""
    found = priced(document)
    assert found["status"] != "not_billed"
    assert found["usd"] != "0"


def test_a_cost_that_the_response_states_is_billed() -> None:
    """A plan that charges says so."""
    document = chat("zai", "/api/coding/paas/v4/chat/completions", "glm-4.6")
    document["response"]["usage"] = document["response"]["usage"] | {"cost": 0.25}
    assert priced(document)["status"] != "not_billed"


def test_the_configuration_can_say_that_tokens_are_billed() -> None:
    """As for a subscription that is charged by use."""
    by_use = replace(CONFIG.providers["anthropic"], billing="tokens")
    config = replace(CONFIG, providers={**CONFIG.providers, "anthropic": by_use})
    assert price_document(claude(), BOOK, config)["usd"] == "0.0045"


LOCAL = {
    "ollama": chat("ollama", "/v1/chat/completions", "llama3.3"),
    "vllm": chat("vllm", "/v1/chat/completions", "Qwen/Qwen3-8B"),
    "lmstudio": chat("lmstudio", "/v1/chat/completions", "gpt-oss-20b"),
    "elsewhere": chat(
        "vllm", "/v1/chat/completions", "m", upstream={"base_url": "http://10.0.0.7:8000"}
    ),
}


@pytest.mark.parametrize("document", LOCAL.values(), ids=LOCAL)
def test_nobody_bills_a_local_model(document: Document) -> None:
    """By the provider's name, wherever it runs; neither figure is unknown."""
    found = priced(document)
    assert (found["usd"], found["status"], found["reasons"]) == ("0", "not_billed", ["local"])
    assert (found["list_usd"], found["list_status"]) == ("0", "not_billed")


NOT_LOCAL = {
    "a cloud model": chat("ollama", "/v1/chat/completions", "gpt-oss:120b-cloud"),
    "a cloud tag": chat("ollama", "/v1/chat/completions", "glm-4.6:cloud"),
    "the cloud's host": chat(
        "ollama", "/v1/chat/completions", "llama3.3", upstream={"base_url": "https://ollama.com"}
    ),
    "passed on to the cloud": {
        "provider": "ollama",
        "path": "/api/chat",
        "at": AT,
        "request": {"model": "mine", "stream": False},
        "response": {
            "model": "mine",
            "remote_host": "https://ollama.com:443",
            "message": {"role": "assistant", "content": "x"},
            "done": True,
            "prompt_eval_count": 5,
            "eval_count": 6,
        },
    },
    "an address alone": chat(
        "mine", "/v1/chat/completions", "m", upstream={"base_url": "http://127.0.0.1:8000"}
    ),
}


@pytest.mark.parametrize("document", NOT_LOCAL.values(), ids=NOT_LOCAL)
def test_what_may_be_billed_is_not_local(document: Document) -> None:
    """Ollama's cloud, or a proxy that happens to run here, has no known price."""
    found = priced(document)
    assert (found["usd"], found["status"]) == (None, "unpriced")


def test_a_local_server_that_states_a_cost() -> None:
    """Such as one that passes calls on to a provider: the cost is charged."""
    document = chat("vllm", "/v1/chat/completions", "m")
    document["response"]["usage"] = document["response"]["usage"] | {"cost": 0.25}
    found = priced(document)
    assert (found["usd"], found["status"]) == ("0.25", "estimated")


OWN = """
provider = "{provider}"
source = "our machine"
checked = 2026-11-20
[[tariff]]
names = ["{model}"]
{prices}
"""


def own(provider: str, model: str, prices: str) -> TariffBook:
    """The shipped tariffs with one of the user's laid over them."""
    files = {path.name: path.read_text() for path in SHIPPED.glob("*.toml")}
    text = OWN.format(provider=provider, model=model, prices=prices)
    return TariffBook.parse(files, {"own.toml": text})


@pytest.mark.parametrize(
    ("prices", "duration_s", "usd", "status"),
    [
        ("usd_per_mtok = { input = 1, output = 2 }", 0, "0.0012", "exact"),
        ("usd_per_mtok = { input = 0, output = 0 }\nusd_per_hour = { machine_seconds = 3.6 }", 2.5,
         "0.0025", "exact"),
        ("usd_per_mtok = { input = 1, output = 0 }\nusd_per_hour = { machine_seconds = 3.6 }", 0,
         "0.001", "partial"),
    ],
)  # fmt: skip
def test_a_rate_of_ones_own_for_a_local_model(
    prices: str, duration_s: float, usd: str, status: str
) -> None:
    """By the token, or by the time that the call took; a time that is unknown costs something."""
    text = json.dumps(LOCAL["vllm"] | {"duration_s": duration_s})
    document = json.loads(text, parse_float=Decimal)
    found = priced(document, own("vllm", "Qwen/Qwen3-8B", prices))
    assert (found["usd"], found["status"]) == (usd, status)
    assert (found["list_usd"], found["list_status"]) == ("0", "not_billed")


def test_the_list_price_ignores_a_contract() -> None:
    """A private price is the cost; the shipped one stays the list price."""
    book = own(
        "anthropic", "claude-sonnet-4-5-20250929", "usd_per_mtok = { input = 1, output = 1 }"
    )
    found = priced(claude("Bearer sk-ant-api03-DDDDDDDD"), book)
    assert (found["usd"], found["list_usd"]) == ("0.0011", "0.0045")


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "none"),
        ({"authorization": "Bearer sk-ant-oat01-x"}, "claude_oauth"),
        ({"x-api-key": "sk-ant-api03-x"}, "anthropic_api_key"),
        ({"x-api-key": "sk-ant-admin01-x"}, "admin_key"),
        ({"authorization": "Bearer sk-admin-x"}, "admin_key"),
        ({"authorization": "Bearer sk-proj-x"}, "api_key"),
        ({"authorization": "Bearer sk-kimi-x"}, "kimi_plan_key"),
        ({"authorization": "Bearer sk-sp-x"}, "qwen_plan_key"),
        ({"authorization": "Bearer sk-cp-x"}, "minimax_plan_key"),
        ({"authorization": "Bearer sk-spare-x"}, "api_key"),
        ({"x-goog-api-key": "AIzaSyX"}, "google_api_key"),
        ({"authorization": "Bearer ya29.x"}, "google_oauth"),
        ({"authorization": "Bearer eyJhbGciOi.eyJz.x"}, "jwt"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=AKIAX/1/us/s"}, "aws_signature"),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "other"),
    ],
)  # fmt: skip
def test_the_kind_of_a_credential(headers: dict[str, str], kind: str) -> None:
    """Told by its beginning, wherever the caller put it, and from a closed list."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert credential_kind(credential(raw, "/v1/x")) == kind
    assert {each for _, each in CREDENTIAL_KINDS} | {"none", "other"} == set(CredentialKind)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("", "a plan needs credentials, hosts or paths"),
        ('credentials = ["gold"]', "unknown kind 'gold'"),
        ('hosts = ["API.acme.example"]', "lower case"),
        ('paths = ["coding/"]', "the beginning of a path"),
        ('paths = ["/"]', "the beginning of a path"),
        ('hosts = ["a"]\nplan_when = [{}]', "an empty condition"),
        ('hosts = ["a"]\nplan_when = [{ X-Plan = ["a"] }]', "lower case"),
        ('hosts = ["a"]\nprice = 1', "unknown key 'price'"),
    ],
)
def test_a_plan_that_would_match_too_much_is_refused(keys: str, problem: str) -> None:
    """A mistake in a rule that makes calls free is not guessed around."""
    plan = f'[[plan]]\nname = "p"\nsource = "s"\nchecked = 2026-11-20\n{keys}\n'
    with pytest.raises(TariffError, match=problem):
        TariffBook.parse({"acme.toml": f'provider = "acme"\n{plan}'})


EXPLAINED = {
    "a plan": (claude(), "$0 (not_billed)", "plan:claude"),
    "a local model": (chat("ollama", "/v1/chat/completions", "m"), "$0 (not_billed)", "local"),
    "an old call": (
        claude("Bearer sk-ant-api03-DDDDDDDD") | {"at": "2025-09-28T12:00:00Z"},
        "≈ $0.0045 (estimated)",
        "before_price_known:2025-09-29",
    ),
}


@pytest.mark.parametrize(("document", "shown", "why"), EXPLAINED.values(), ids=EXPLAINED)
def test_price_explains_who_pays(
    document: Document,
    shown: str,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`taximeter price --explain -` says what is billed and why, and the list price beside it."""
    text = json.dumps(document).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert main(["price", "--explain", "-"]) == 0
    told = capsys.readouterr().out
    assert f"call: {shown}" in told
    assert f"because {why}\n" in told
    assert ("at list price: $0.0045 (exact)" in told) == (why == "plan:claude")


def test_a_provider_of_ones_own_can_be_local() -> None:
    """`billing = "local"` says it of any name."""
    config = replace(CONFIG, providers={"mine": Provider(name="mine", billing="local")})
    assert price_document(chat("mine", "/v1/chat/completions", "m"), BOOK, config)["usd"] == "0"


def test_billing_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another word is a mistake that names the choices."""
    file = tmp_path / "taximeter.toml"
    file.write_text('[providers.vllm]\nbilling = "free"\n')
    assert main(["check", "--config", str(file)]) == 2
    assert 'providers.vllm.billing: expected "" | local | tokens' in capsys.readouterr().err
