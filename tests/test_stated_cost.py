"""A cost that is stated without token counts is a cost; what is beyond a limit is named."""

from decimal import Decimal

import pytest

from pricing import TariffBook
from proxy.metering.documents import price_document
from proxy.settings.sources import load

CONFIG = load(None, {})
BOOK = TariffBook.load()
HEADER = {"x-litellm-response-cost": "0.04"}


def priced(**document: object) -> dict[str, object]:
    whole = {"at": "2026-11-20T00:00:00Z", "request": {"model": "gpt-4o"}, **document}
    return price_document(whole, BOOK, CONFIG)


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (
            {
                "provider": "openai",
                "path": "/v1/chat/completions",
                "response": {"model": "gpt-4o", "choices": [], "usage": {"cost": 0.04}},
            },
            "estimated",
        ),
        (
            {
                "provider": "openrouter",
                "path": "/v1/chat/completions",
                "response": {"model": "x/y", "choices": [], "usage": {"cost": 0.04}},
            },
            "exact",
        ),
        (
            {
                "provider": "openai",
                "path": "/v1/images/generations",
                "request": {"model": "nobody", "prompt": "a cat"},
                "response": {"created": 1, "data": [{"b64_json": "aa"}]},
                "response_headers": HEADER,
            },
            "estimated",
        ),
        (
            {
                "provider": "openai",
                "path": "/v1/unknown/thing",
                "method": "GET",
                "request": None,
                "response": {"results": []},
                "response_headers": HEADER,
            },
            "estimated",
        ),
    ],
    ids=["body", "preferred", "header", "get"],
)
def test_a_stated_cost_is_the_charge_where_nothing_else_is(
    document: dict[str, object], status: str
) -> None:
    """In the body or in a gateway's header: an estimate, unless the tariff prefers it."""
    charge = priced(**document)
    assert (Decimal(str(charge["usd"])), charge["status"]) == (Decimal("0.04"), status)


def test_containers_beyond_the_limit_are_named() -> None:
    """Those that can be told apart are charged, and the rest makes the sum a lower bound."""
    items = [
        {"type": "code_interpreter_call", "status": "completed", "container_id": f"cntr_{number}"}
        for number in range(300)
    ]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    response = {"id": "r", "object": "response", "model": "gpt-4o", "status": "completed"}
    charge = priced(
        provider="openai",
        path="/v1/responses",
        response=response | {"output": items, "usage": usage},
    )
    assert charge["status"] == "partial"
    assert "limit_reached:containers: 44 more" in charge["reasons"]  # type: ignore[operator]


def test_searches_beyond_the_limit_are_named() -> None:
    """Gemini's queries are charged one by one, as far as they can be told apart."""
    metadata = {"webSearchQueries": [f"query {number}" for number in range(1_002)]}
    answer = {
        "candidates": [{"content": {"parts": [{"text": "x"}]}, "groundingMetadata": metadata}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        "modelVersion": "gemini-3.1-pro-preview",
    }
    charge = priced(
        provider="gemini",
        path="/v1beta/models/gemini-3.1-pro-preview:generateContent",
        request={"contents": []},
        response=answer,
    )
    assert charge["status"] == "partial"
    assert "limit_reached:searches: 2 more" in charge["reasons"]  # type: ignore[operator]
