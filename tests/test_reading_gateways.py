"""Answers of other gateways, in the form in which they come: cost, cache, provider, attempts."""

import json
from decimal import Decimal
from typing import Any

import pytest

from pricing import TariffBook
from pricing.cause import texts
from pricing.usage import Meter
from proxy.exchange import Begun, Reading, ResponseHead
from proxy.metering.documents import price_document
from proxy.reading.reading import CallReader
from proxy.settings.config import MeteringOptions
from proxy.settings.sources import load

CONFIG = load(None, {})
BOOK = TariffBook.load()
USAGE = {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26}
CHOICE = {
    "index": 0,
    "message": {"role": "assistant", "content": "Bonjour"},
    "finish_reason": "stop",
}
OPENROUTER = {
    "id": "gen-1790000000-abc",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "openai/gpt-5.4-mini",
    "provider": "Azure",
    "choices": [CHOICE | {"native_finish_reason": "completed"}],
    "usage": USAGE
    | {
        "cost": 0.000042,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 0},
        "cost_details": {"upstream_inference_cost": None},
    },
}
PLAIN = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-5.4-mini",
    "choices": [CHOICE],
    "usage": USAGE,
}


def reading(provider: str, document: object, headers: dict[str, str]) -> Reading:
    """What is read of an answer of this provider."""
    begun = Begun(
        call_id="call",
        wall_ns=0,
        method="POST",
        target="/v1/chat/completions",
        provider=provider,
        upstream="https://gateway.example",
        headers=(),
    )
    reader = CallReader(begun, CONFIG.providers[provider], MeteringOptions())
    reader.request(b'{"model": "gpt-5.4-mini", "messages": []}', 0)
    reader.head(ResponseHead(status=200, headers=tuple(headers.items())), 0)
    reader.response(json.dumps(document).encode(), 0)
    return reader.close()


def test_openrouter() -> None:
    """Its cost stands in the body, and whom it asked; the cache that it keeps, in the head."""
    headers = {
        "Content-Type": "application/json",
        "X-Generation-Id": "gen-1790000000-abc",
        "X-OpenRouter-Cache-Status": "MISS",
        "X-OpenRouter-Cache-TTL": "300",
    }
    found = reading("openrouter", OPENROUTER, headers)
    assert found.reported_usd == Decimal("0.000042")
    assert found.parts[0].usage.quantities[Meter.CACHE_READ] == 12
    assert found.attributes["response.provider"] == "Azure"
    assert found.attributes["gateway.cache_status"] == "MISS"
    assert found.attributes["provider_request_id"] == "gen-1790000000-abc"
    assert found.billable


def test_litellm() -> None:
    """Its cost, deployment and attempts stand in the head."""
    headers = {
        "Content-Type": "application/json",
        "x-litellm-call-id": "3a1c",
        "x-litellm-model-id": "9f6b1c",
        "x-litellm-model-api-base": "https://api.openai.com",
        "x-litellm-response-cost": "4.2e-05",
        "x-litellm-attempted-retries": "1",
        "x-litellm-attempted-fallbacks": "2",
        "x-litellm-key-spend": "12.5",
    }
    found = reading("litellm", PLAIN, headers)
    assert found.reported_usd == Decimal("0.000042")
    assert found.attributes["gateway.deployment"] == "9f6b1c"
    assert found.attributes["gateway.upstream"] == "https://api.openai.com"
    assert (found.attributes["gateway.retries"], found.attributes["gateway.fallbacks"]) == (1, 2)
    assert found.attributes["provider_request_id"] == "3a1c"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-litellm-cache-key": "9c0f", "x-litellm-response-cost": "4.2e-05"},
        {"x-litellm-cache-key": "9c0f"},
        {"x-litellm-response-cost": "0.0"},  # a model whose price it does not know
    ],
)
def test_what_does_not_say_that_litellms_cache_had_it(headers: dict[str, str]) -> None:
    """Both the key and a cost of nothing do; either alone does not."""
    found = reading("litellm", PLAIN, {"Content-Type": "application/json", **headers})
    assert found.billable
    assert "gateway.cache_status" not in found.attributes


def test_portkey() -> None:
    """Whom it asked, which target of its config, and how often."""
    headers = {
        "Content-Type": "application/json",
        "x-portkey-provider": "openai",
        "x-portkey-cache-status": "DISABLED",
        "x-portkey-retry-attempt-count": "0",
        "x-portkey-last-used-option-index": "config.targets[1]",
        "x-portkey-trace-id": "trace-1",
    }
    found = reading("portkey", PLAIN, headers)
    assert found.attributes["gateway.provider"] == "openai"
    assert found.attributes["gateway.option"] == "config.targets[1]"
    assert found.attributes["gateway.retries"] == 0
    assert found.billable


def test_tokenmix() -> None:
    """It answers as OpenAI does, with no header of its own."""
    headers = {"Content-Type": "application/json", "x-request-id": "req-1"}
    found = reading("tokenmix", PLAIN, headers)
    assert found.parts[0].usage.quantities[Meter.INPUT] == 20
    assert found.attributes["provider_request_id"] == "req-1"
    assert found.reported_usd is None


@pytest.mark.parametrize(
    ("provider", "headers"),
    [
        ("portkey", {"x-portkey-cache-status": "HIT"}),
        ("portkey", {"x-portkey-cache-status": "SEMANTIC HIT"}),
        ("openrouter", {"X-OpenRouter-Cache-Status": "HIT", "X-OpenRouter-Cache-Age": "12"}),
        ("litellm", {"x-litellm-cache-key": "9c0f", "x-litellm-response-cost": "0.0"}),
    ],
)
def test_an_answer_from_a_gateways_cache_is_not_billed(
    provider: str, headers: dict[str, str]
) -> None:
    """Though it repeats the usage of the first: no provider was called."""
    found = reading(provider, PLAIN, {"Content-Type": "application/json", **headers})
    assert not found.billable
    assert "gateway_cache" in texts(found.reasons)
    assert str(found.attributes["gateway.cache_status"]).endswith("HIT")
    document: dict[str, Any] = {
        "at": "2026-11-20T00:00:00Z",
        "provider": provider,
        "path": "/v1/chat/completions",
        "request": {"model": "gpt-5.4-mini"},
        "response": PLAIN,
        "response_headers": headers,
    }
    assert price_document(document, BOOK, CONFIG)["status"] == "not_billed"
