"""A quantity that no reader knows is named, and leaves no charge exact."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.book import TariffBook
from pricing.cause import texts
from proxy.dialects.fields import HARMLESS, READ, Fields, unknown
from proxy.metering.book import tariff_book
from proxy.metering.documents import priced_document
from proxy.settings.sources import load

Document = dict[str, Any]

CONFIG = load(None, {})
BOOK: TariffBook = tariff_book(CONFIG)
AT = "2026-11-20T12:00:00Z"


def document(provider: str, path: str, model: str, response: Document) -> Document:
    request = {"model": model}
    return {"provider": provider, "path": path, "at": AT, "request": request, "response": response}


CHAT = document(
    "openai",
    "/v1/chat/completions",
    "gpt-5.6-sol",
    {
        "id": "c1",
        "model": "gpt-5.6-sol",
        "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 30,
            "completion_tokens": 9,
            "total_tokens": 39,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    },
)
RESPONSES = document(
    "openai",
    "/v1/responses",
    "gpt-5.6-sol",
    {
        "id": "r1",
        "model": "gpt-5.6-sol",
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
        "usage": {"input_tokens": 30, "output_tokens": 9, "total_tokens": 39},
    },
)
EMBEDDINGS = document(
    "openai",
    "/v1/embeddings",
    "text-embedding-3-small",
    {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}},
)
MESSAGES = document(
    "anthropic",
    "/v1/messages",
    "claude-opus-5",
    {
        "type": "message",
        "id": "m1",
        "model": "claude-opus-5",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 30,
            "output_tokens": 9,
            "cache_creation": {"ephemeral_5m_input_tokens": 2},
            "cache_creation_input_tokens": 2,
            "server_tool_use": {"web_search_requests": 1},
        },
    },
)
GENERATE = document(
    "gemini",
    "/v1beta/models/gemini-3.5-flash:generateContent",
    "",
    {
        "modelVersion": "gemini-3.5-flash",
        "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 30,
            "candidatesTokenCount": 9,
            "totalTokenCount": 39,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 30}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
        },
    },
)
INTERACTION = document(
    "gemini",
    "/v1beta/interactions",
    "gemini-3.5-flash",
    {
        "id": "i1",
        "model": "gemini-3.5-flash",
        "status": "completed",
        "outputs": [{"type": "text", "text": "Hi"}],
        "usage": {
            "total_input_tokens": 30,
            "total_output_tokens": 9,
            "total_tokens": 39,
            "input_tokens_by_modality": [{"modality": "text", "tokens": 30}],
        },
    },
)
CONVERSE = document(
    "bedrock",
    "/model/amazon.nova-pro-v1:0/converse",
    "",
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 30, "outputTokens": 9, "totalTokens": 39, "serverToolUsage": {}},
    },
)
COHERE = document(
    "cohere",
    "/v2/chat",
    "command-a-03-2025",
    {
        "id": "h1",
        "finish_reason": "COMPLETE",
        "message": {"content": [{"type": "text", "text": "Hi"}]},
        "usage": {
            "billed_units": {"input_tokens": 30, "output_tokens": 9},
            "tokens": {"input_tokens": 300, "output_tokens": 12},
        },
    },
)
DASHSCOPE = document(
    "qwen",
    "/api/v1/services/aigc/text-generation/generation",
    "qwen-max",
    {
        "request_id": "d1",
        "output": {"text": "Hi", "finish_reason": "stop"},
        "usage": {
            "input_tokens": 30,
            "output_tokens": 9,
            "total_tokens": 39,
            "output_tokens_details": {"text_tokens": 9},
        },
    },
)
DOCUMENTS: Mapping[str, Document] = {
    "chat": CHAT,
    "responses": RESPONSES,
    "embeddings": EMBEDDINGS,
    "messages": MESSAGES,
    "generateContent": GENERATE,
    "interactions": INTERACTION,
    "converse": CONVERSE,
    "cohere": COHERE,
    "dashscope": DASHSCOPE,
}
USAGE_NAMES = ("usage", "usageMetadata")


def charge(case: Document) -> tuple[str, tuple[str, ...]]:
    found = priced_document(case, BOOK, CONFIG).charge
    return found.status.value, texts(found.reasons)


def changed(case: Document, **response: object) -> Document:
    return {**case, "response": {**case["response"], **response}}


def with_usage(case: Document, *keys: str, **fields: object) -> Document:
    """The case with more fields in its usage block, or in an object below it."""
    new = copy.deepcopy(case)
    name = next(name for name in USAGE_NAMES if name in new["response"])
    block = new["response"][name]
    for key in keys:
        block = block.setdefault(key, {})
    block.update(fields)
    return new


def objects(value: object) -> Iterator[Document]:
    """Every object in `value`, itself included."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from objects(each)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_known_is_exact(name: str) -> None:
    """A body all of whose quantities are known is charged exactly."""
    assert charge(DOCUMENTS[name]) == ("exact", ())


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (with_usage(CHAT, fast_tokens=3), "unknown_usage_field:fast_tokens"),
        (
            with_usage(CHAT, "prompt_tokens_details", "cached_tokens_details", smell_tokens=3),
            "unknown_usage_field:prompt_tokens_details.cached_tokens_details.smell_tokens",
        ),
        (
            with_usage(RESPONSES, "server_side_tool_usage_details", maps_calls=1),
            "unknown_tool:maps_calls",
        ),
        (
            with_usage(RESPONSES, "server_tool_use", sandbox_requests=1),
            "unknown_tool:sandbox_requests",
        ),
        (with_usage(EMBEDDINGS, image_count=2), "unknown_usage_field:image_count"),
        (with_usage(MESSAGES, "server_tool_use", maps_requests=2), "unknown_tool:maps_requests"),
        (
            with_usage(MESSAGES, "cache_creation", ephemeral_24h_input_tokens=5),
            "unknown_usage_field:cache_creation.ephemeral_24h_input_tokens",
        ),
        (
            with_usage(MESSAGES, iterations=[{"type": "message", "input_tokens": 30, "gpu_ms": 1}]),
            "unknown_usage_field:iterations.gpu_ms",
        ),
        (with_usage(GENERATE, memoryTokenCount=5), "unknown_usage_field:memoryTokenCount"),
        (
            with_usage(GENERATE, promptTokensDetails=[{"modality": "TOUCH", "tokenCount": 5}]),
            "unknown_modality:TOUCH",
        ),
        (
            with_usage(GENERATE, candidatesTokensDetails=[{"modality": 9, "tokenCount": 5}]),
            "unknown_modality:MODALITY_9",
        ),
        (
            with_usage(INTERACTION, grounding_tool_count=[{"type": "retrieval", "count": 2}]),
            "unknown_tool:retrieval",
        ),
        (with_usage(CONVERSE, "serverToolUsage", groundingCalls=1), "unknown_tool:groundingCalls"),
        (
            with_usage(COHERE, "billed_units", classifications=1),
            "billed_unit_unknown:classifications",
        ),
        (with_usage(DASHSCOPE, "plugins", ocr={"count": 2}), "unknown_tool:ocr"),
    ],
)
def test_an_unknown_quantity_is_named(case: Document, reason: str) -> None:
    """A field, a modality or a tool that no reader knows makes the charge partial by its name."""
    status, reasons = charge(case)
    assert status == "partial"
    assert reason in reasons


@pytest.mark.parametrize(
    "case",
    [
        with_usage(CHAT, fast_tokens=0),
        with_usage(CHAT, fast_tokens=None, note="fast", fast=True),
        with_usage(CHAT, queue_time=0.02, cost_details={"upstream_inference_cost": 1}),
        changed(CHAT, metadata={"invoice": 12}, created=1_790_000_000),
        changed(RESPONSES, tools=[{"type": "function", "strict": 3}], max_output_tokens=99),
        changed(MESSAGES, context_management={"applied_edits": [{"cleared_input_tokens": 7}]}),
        changed(GENERATE, responseId="x", promptFeedback={"safetyRatings": [{"score": 3}]}),
    ],
)
def test_numbers_elsewhere_change_nothing(case: Document) -> None:
    """Zeros, texts, harmless fields, and numbers outside the usage block leave a charge exact."""
    assert charge(case) == ("exact", ())


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (
            changed(RESPONSES, output=[{"type": "browser_session_call", "id": "b"}]),
            "unknown_output_item:browser_session_call",
        ),
        (
            changed(MESSAGES, content=[{"type": "image_made", "id": "b"}]),
            "unknown_output_item:image_made",
        ),
        (
            changed(MESSAGES, content=[{"type": "server_tool_use", "name": "render"}]),
            "unknown_tool:render",
        ),
        (changed(INTERACTION, outputs=[{"type": "hologram"}]), "unknown_output_item:hologram"),
        (
            changed(CHAT, choices=[{"message": {"executed_tools": [{"type": "wolfram"}]}}]),
            "unknown_tool:wolfram",
        ),
    ],
)
def test_an_unknown_item_is_named(case: Document, reason: str) -> None:
    """An output item that may bear a fee makes the charge partial by its type."""
    status, reasons = charge(case)
    assert status == "partial"
    assert reason in reasons


NAMES = st.from_regex(r"zz_[a-z]{1,12}(_tokens|_requests|Count)?", fullmatch=True)
QUANTITIES = st.integers(1, 10**9) | st.decimals("0.01", 1000, places=2)


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=15)
@given(data=st.data())
def test_no_unknown_quantity_leaves_a_charge_exact(name: str, data: st.DataObject) -> None:
    """Wherever in a usage block a provider adds a quantity, the charge is no longer exact."""
    case = copy.deepcopy(DOCUMENTS[name])
    response = case["response"]
    block = next(response[name] for name in USAGE_NAMES if name in response)
    places = [place for place in objects(block) if place is not block.get("tokens")]
    added: object = data.draw(QUANTITIES)
    for _ in range(data.draw(st.integers(0, 2))):
        added = {data.draw(NAMES): added} if data.draw(st.booleans()) else [added]
    data.draw(st.sampled_from(places))[data.draw(NAMES)] = added
    assert charge(case)[0] in ("partial", "unpriced")


def test_fields() -> None:
    """A known field may hold its number only; what stands below a harmless one is harmless."""
    known: Fields = {"read": READ, "below": {"read": READ}, "other": HARMLESS}
    usage = {"read": 1, "below": {"read": 2, "more": 3}, "other": {"any": 4}, "new": [5, True]}
    assert [*unknown(usage, known)] == ["below.more", "new"]
    assert [*unknown({"read": "7", "new": "0.0", "other": "3", "below": {"x": "1.5"}}, known)] == [
        "read",
        "below.x",
    ]
    assert [*unknown({"read": {"inner": 1}, "below": 2}, known)] == ["read.inner", "below"]


def test_a_number_below_zero_is_a_quantity() -> None:
    """Whatever it means, a bill may depend on it."""
    assert list(unknown({"a": -5, "b": -0.5, "c": 0}, {})) == ["a", "b"]
