"""What a call may cost at most is found in its request, by every dialect's own fields."""

import gzip
import json
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import Meter, Subcall, TariffBook, Usage, price
from proxy.gate.layout import decimal
from proxy.gate.rates import Rates
from proxy.gate.request import (
    CONTEXT_TOKENS_MAX,
    MEDIA_TOKENS,
    OUTPUT_TOKENS_MAX,
    TOOLS_TOKENS,
    Request,
    is_free,
    read,
    unpacked,
)

CHAT = "/v1/chat/completions"
NOW_NS = int(datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture(scope="module")
def rates() -> Rates:
    return Rates(TariffBook.load())


def asked(path: str, **body: Any) -> Request:
    return read(path, json.dumps(body).encode(), whole=True)


@pytest.mark.parametrize(
    ("path", "body", "model", "output"),
    [
        (CHAT, {"model": "gpt-4.1", "max_tokens": 7}, "gpt-4.1", 7),
        (CHAT, {"model": "gpt-5", "max_completion_tokens": 7, "n": 3}, "gpt-5", 21),
        (CHAT, {"model": "gpt-4.1"}, "gpt-4.1", 32_768),
        (CHAT, {"model": "gpt-4.1-mini", "max_tokens": "7"}, "gpt-4.1-mini", 32_768),
        (CHAT, {"model": "brand-new"}, "brand-new", OUTPUT_TOKENS_MAX),
        ("/v1/responses", {"model": "gpt-5", "max_output_tokens": 9}, "gpt-5", 9),
        ("/v1/messages", {"model": "claude-sonnet-4-5", "max_tokens": 5}, "claude-sonnet-4-5", 5),
        ("/v1/embeddings", {"model": "text-embedding-3-small"}, "text-embedding-3-small", 0),
        (
            "/v1beta/models/gemini-2.5-pro:generateContent",
            {"generationConfig": {"maxOutputTokens": 8, "candidateCount": 2}},
            "gemini-2.5-pro",
            16,
        ),
        (
            "/model/anthropic.claude-sonnet-4-5-v1%3A0/converse",
            {"inferenceConfig": {"maxTokens": 4}},
            "anthropic.claude-sonnet-4-5-v1:0",
            4,
        ),
        ("/api/chat", {"model": "qwen3", "options": {"num_predict": 6}}, "qwen3", 6),
        (
            "/api/v1/services/aigc/text-generation/generation",
            {"model": "qwen-plus", "parameters": {"max_tokens": 3}},
            "qwen-plus",
            3,
        ),
    ],
)
def test_models_and_answers(path: str, body: dict[str, Any], model: str, output: int) -> None:
    """Each dialect says in its own way which model, and how much it may write."""
    found = asked(path, **body)
    assert (found.model, found.output_tokens) == (model, output)
    assert found.input_tokens == len(json.dumps(body))


def test_what_is_not_in_the_body() -> None:
    """An earlier response counts as a full context, tools bring instructions."""
    size = asked("/v1/responses", model="m", previous_response_id="r").input_tokens
    assert size > CONTEXT_TOKENS_MAX
    plain, tools = asked(CHAT, model="m"), asked(CHAT, model="m", tools=[])
    assert tools.input_tokens - plain.input_tokens == TOOLS_TOKENS + len(', "tools": []')


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,{}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "{}"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "{}"}},
        {"type": "input_audio", "input_audio": {"format": "wav", "data": "{}"}},
        {"image": {"format": "png", "source": {"bytes": "{}"}}},
    ],
)
def test_media(part: dict[str, Any]) -> None:
    """Base64 is no text: an item counts a few thousand tokens, and little for its size."""
    coded = json.dumps(part).replace("{}", "A" * 1_000_000)
    body = f'{{"model": "m", "messages": [{{"role": "user", "content": [{coded}]}}]}}'.encode()
    found = read(CHAT, body, whole=True)
    assert MEDIA_TOKENS < found.input_tokens < 1_000_000 // 16 + 3 * MEDIA_TOKENS
    assert found.modes & {"image", "audio"}


def test_a_link_is_media_too() -> None:
    """Its size is unknown, its item counts."""
    found = asked(CHAT, model="m", image_url="https://example.org/a.png")
    assert found.input_tokens > MEDIA_TOKENS


@given(st.binary(max_size=300), st.booleans(), st.one_of(st.none(), st.integers(0, 10**9)))
def test_any_body(data: bytes, whole: bool, announced: int | None) -> None:
    """Whatever comes is read, and counts no less than its text may have."""
    found = read(CHAT, data, whole=whole, announced=announced)
    if whole and found.modes == frozenset():
        assert found.input_tokens >= len(data)


def test_a_beginning() -> None:
    """The model is found in it; its length is the announced one, or as long as may be."""
    data = b'{"stream": true, "model": "gpt-4.1", "messages": [{"ro'
    found = read(CHAT, data, whole=False, announced=5000)
    assert (found.model, found.input_tokens) == ("gpt-4.1", 5000)
    assert read(CHAT, data, whole=False).input_tokens == CONTEXT_TOKENS_MAX
    form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--x--'
    assert read("/v1/audio/transcriptions", form, whole=True).model == "whisper-1"


def test_codings() -> None:
    """What the standard library unpacks is read, within the limit; the rest is not."""
    data = b'{"model": "m"}' * 100
    assert unpacked(data, "", 10) == data
    assert unpacked(gzip.compress(data), "gzip", 10_000) == data
    assert unpacked(zlib.compress(data), "deflate", 10_000) == data
    assert unpacked(gzip.compress(data), "gzip", 10) is None
    assert unpacked(data, "gzip", 10_000) is None
    assert unpacked(data, "zstd", 10_000) is None


@pytest.mark.parametrize(
    ("method", "path", "free"),
    [
        ("GET", "/v1/models", True),
        ("POST", "/v1/messages/count_tokens", True),
        ("POST", "/v1beta/models/gemini-2.5-pro:countTokens", True),
        ("POST", "/v1/files", True),
        ("POST", "/v1/messages", False),
        ("POST", "/v1/batches", False),
    ],
)
def test_free_routes(method: str, path: str, free: bool) -> None:
    """They hold nothing back."""
    assert is_free(method, path) is free


def usd(rates: Rates, provider: str, request: Request, **terms: Any) -> Decimal:
    rate = rates.find(provider, request, terms, NOW_NS)
    assert rate is not None
    return decimal(rate.of(request))


def billed(provider: str, model: str, usage: dict[Meter, int], **terms: Any) -> Decimal:
    at = datetime.fromtimestamp(NOW_NS / 1e9, UTC)
    call = Subcall(provider=provider, model=model, at=at, usage=Usage(usage), terms=terms)
    found = price([call], TariffBook.load()).usd
    assert found is not None
    return found


def test_the_rate_of_plain_text(rates: Rates) -> None:
    """Where nothing is dearer, it is what the call is billed."""
    request = Request(model="gpt-4.1", input_tokens=1000, output_tokens=200)
    exact = billed("openai", "gpt-4.1", {Meter.INPUT: 1000, Meter.OUTPUT: 200})
    assert usd(rates, "openai", request) == exact


@pytest.mark.parametrize("tokens", [1_000, 199_999, 200_001, 900_000])
@pytest.mark.parametrize(
    ("provider", "model", "meter"),
    [
        ("gemini", "gemini-2.5-pro", Meter.INPUT),
        ("anthropic", "claude-sonnet-4-5", Meter.CACHE_WRITE_1H),
        ("openai", "gpt-5.4", Meter.INPUT),
    ],
)
def test_no_call_costs_more(
    rates: Rates, provider: str, model: str, meter: Meter, tokens: int
) -> None:
    """Tiers by length, and writes to a cache, are in the rate."""
    request = Request(model=model, input_tokens=tokens, output_tokens=500)
    exact = billed(provider, model, {meter: tokens, Meter.OUTPUT: 500})
    assert usd(rates, provider, request) >= exact


def test_priority_and_regions_cost_more(rates: Rates) -> None:
    """As they do in the bill."""
    plain = Request(model="gpt-5.4", input_tokens=1000, output_tokens=100)
    fast = Request(model="gpt-5.4", input_tokens=1000, output_tokens=100, tier="priority")
    usage = {Meter.INPUT: 1000, Meter.OUTPUT: 100}
    assert usd(rates, "openai", fast) > usd(rates, "openai", plain)
    assert usd(rates, "openai", fast) >= billed("openai", "gpt-5.4", usage, service_tier="priority")
    in_eu = usd(rates, "openai", plain, region="eu")
    assert in_eu >= billed("openai", "gpt-5.4", usage, region="eu")


def test_unknown_models(rates: Rates) -> None:
    """They have no rate, and the dearest of their provider is above all others."""
    unknown = Request(model="brand-new", input_tokens=1000, output_tokens=100)
    with pytest.raises(KeyError):
        rates.known("gemini", unknown, {}, NOW_NS)
    assert rates.find("gemini", unknown, {}, NOW_NS) is None
    ceiling = rates.ceiling("gemini", NOW_NS)
    assert ceiling is not None
    assert rates.known("gemini", unknown, {}, NOW_NS) is None
    known = Request(model="gemini-2.5-pro", input_tokens=1000, output_tokens=100)
    assert decimal(ceiling.of(unknown)) >= usd(rates, "gemini", known)
    assert rates.ceiling("nobody", NOW_NS) is None


def test_plans(rates: Rates) -> None:
    """One that pays for all its calls is known by its credential; one that may bill some is not."""
    kimi = ("api.kimi.com", "/coding/v1/chat/completions")
    assert rates.is_paid_for("moonshot", "kimi_plan_key", *kimi)
    claude = ("api.anthropic.com", "/v1/messages")
    assert not rates.is_paid_for("anthropic", "claude_oauth", *claude)
    assert not rates.is_paid_for("anthropic", "anthropic_api_key", *claude)
