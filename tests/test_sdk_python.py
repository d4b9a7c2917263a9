"""Real Python SDKs through the whole product: nothing changes on the way, every row is right."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import roundtrip
from support.product import Product
from support.sdks import anthropic, genai, openai

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionFunctionToolParam

Call = Callable[[str, Mapping[str, str]], object]
KEY = "sk-standin-sdk"
PROMPT = "time people year"
TOOL: "ChatCompletionFunctionToolParam" = {
    "type": "function",
    "function": {"name": "find_order", "parameters": {"type": "object", "properties": {}}},
}
CACHED = {"x-standin-input-tokens": "3000", "x-standin-cache-read-tokens": "2048"}


def chat(base_url: str, headers: Mapping[str, str]) -> object:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as client:
        return client.chat.completions.create(
            model="gpt-5.4-mini",
            messages=[{"role": "user", "content": PROMPT}],
            tools=[TOOL],
            service_tier="flex",
            extra_headers=CACHED,
        ).to_dict()


def chat_stream(base_url: str, headers: Mapping[str, str]) -> object:
    with (
        openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as client,
        client.chat.completions.create(
            model="gpt-5.4",
            messages=[{"role": "user", "content": PROMPT}],
            reasoning_effort="low",
            stream=True,
            stream_options={"include_usage": True},
        ) as stream,
    ):
        return [chunk.to_dict() for chunk in stream]


def responses(base_url: str, headers: Mapping[str, str]) -> object:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as client:
        return client.responses.create(
            model="gpt-5.4", input=PROMPT, reasoning={"effort": "low"}
        ).to_dict()


def responses_stream(base_url: str, headers: Mapping[str, str]) -> object:
    with (
        openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as client,
        client.responses.stream(model="gpt-5.4-mini", input=PROMPT) as stream,
    ):
        return [event.to_dict(warnings=False) for event in stream]  # the SDK warns of its own types


def embeddings(base_url: str, headers: Mapping[str, str]) -> object:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as client:
        return client.embeddings.create(
            model="text-embedding-3-small", input=[PROMPT, "life"]
        ).to_dict()


def openai_async(base_url: str, headers: Mapping[str, str]) -> object:
    async def calls() -> list[object]:
        async with openai.AsyncOpenAI(
            base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers
        ) as client:
            whole = await client.chat.completions.create(
                model="gpt-4.1", messages=[{"role": "user", "content": PROMPT}]
            )
            stream = await client.chat.completions.create(
                model="gpt-4.1",
                messages=[{"role": "user", "content": PROMPT}],
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk.to_dict() async for chunk in stream]
            response = await client.responses.create(model="gpt-4.1", input=PROMPT)
            return [whole.to_dict(), chunks, response.to_dict()]

    return asyncio.run(calls())


def openai_retries(base_url: str, headers: Mapping[str, str]) -> object:
    """The SDK tries again by itself after a 429; a body of its own makes it fail each way."""
    model = f"gpt-4.1@status=429,times=1,retry-after-s=0.01,head-s=0.00{len(headers)}"
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": PROMPT}]
        )
        return answer.model


def messages(base_url: str, headers: Mapping[str, str]) -> object:
    with anthropic.Anthropic(base_url=base_url, api_key=KEY, default_headers=headers) as client:
        return client.messages.create(
            model="claude-sonnet-5-5",
            max_tokens=500,
            system=[{"type": "text", "text": PROMPT, "cache_control": {"type": "ephemeral"}}],
            messages=[{"role": "user", "content": PROMPT}],
            extra_headers=CACHED
            | {"x-standin-cache-write-tokens": "100", "x-standin-cache-write-1h-tokens": "50"},
        ).to_dict()


def messages_stream(base_url: str, headers: Mapping[str, str]) -> object:
    with (
        anthropic.Anthropic(base_url=base_url, api_key=KEY, default_headers=headers) as client,
        client.messages.stream(
            model="claude-opus-5-5",
            max_tokens=2_048,
            thinking={"type": "enabled", "budget_tokens": 1_024},
            tools=[{"name": "find_order", "input_schema": {"type": "object"}}],
            messages=[{"role": "user", "content": PROMPT}],
            extra_headers=CACHED,
        ) as stream,
    ):
        return stream.get_final_message().to_dict()


def anthropic_async(base_url: str, headers: Mapping[str, str]) -> object:
    async def calls() -> list[object]:
        async with anthropic.AsyncAnthropic(
            base_url=base_url, api_key=KEY, default_headers=headers
        ) as client:
            asked: Any = {
                "model": "claude-haiku-5-5",
                "max_tokens": 100,
                "messages": [{"role": "user", "content": PROMPT}],
            }
            whole = await client.messages.create(**asked)
            async with client.messages.stream(**asked) as stream:
                return [whole.to_dict(), (await stream.get_final_message()).to_dict()]

    return asyncio.run(calls())


def count_tokens(base_url: str, headers: Mapping[str, str]) -> object:
    with anthropic.Anthropic(base_url=base_url, api_key=KEY, default_headers=headers) as client:
        return client.messages.count_tokens(
            model="claude-sonnet-5-5", messages=[{"role": "user", "content": PROMPT}]
        ).to_dict()


def gemini(base_url: str, headers: Mapping[str, str]) -> object:
    options = genai.types.HttpOptions(base_url=base_url, headers=dict(headers))
    with genai.Client(api_key=KEY, http_options=options) as client:
        config = genai.types.GenerateContentConfig(
            thinking_config=genai.types.ThinkingConfig(include_thoughts=True)
        )
        whole = client.models.generate_content(
            model="gemini-2.5-pro", contents=PROMPT, config=config
        )
        stream = client.models.generate_content_stream(model="gemini-2.5-flash", contents=PROMPT)
        return [_said(whole), *map(_said, stream)]


def gemini_async(base_url: str, headers: Mapping[str, str]) -> object:
    async def calls() -> list[object]:
        options = genai.types.HttpOptions(base_url=base_url, headers=dict(headers))
        client = genai.Client(api_key=KEY, http_options=options).aio
        async with client:
            stream = await client.models.generate_content_stream(
                model="gemini-2.5-flash", contents=PROMPT
            )
            return [_said(chunk) async for chunk in stream]

    return asyncio.run(calls())


def _said(answer: "genai.types.GenerateContentResponse") -> object:
    """The answer without the SDK's copy of the HTTP head, which holds the date."""
    return answer.model_dump(exclude={"sdk_http_response"}, mode="json")


CALLS: tuple[tuple[str, Call], ...] = (
    ("openai", chat),
    ("openai", chat_stream),
    ("openai", responses),
    ("openai", responses_stream),
    ("openai", embeddings),
    ("openai", openai_async),
    ("anthropic", messages),
    ("anthropic", messages_stream),
    ("anthropic", anthropic_async),
    ("gemini", gemini),
    ("gemini", gemini_async),
)


@pytest.mark.filterwarnings(  # google-genai's own way with aiohttp
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)
@pytest.mark.parametrize(("provider", "call"), CALLS, ids=[call.__name__ for _, call in CALLS])
def test_an_sdk_call_arrives_unchanged_and_its_row_is_right(
    product: Product, provider: str, call: Call
) -> None:
    """Path, headers, bodies and result are the same without us, and usage is as reported."""
    trip = product.trip(call, provider, f"sdk-{call.__name__}")
    assert roundtrip.changes(trip) == []
    assert roundtrip.mismeasured(trip) == []
    assert {row["provider"] for row in trip.rows} == {provider}
    assert {row["cost_status"] for row in trip.rows} == {"exact"}


def test_a_stream_without_usage_is_counted_exactly(product: Product) -> None:
    """The SDK does not ask for usage; what we count is what the provider would have billed."""

    def call(base_url: str, headers: Mapping[str, str]) -> object:
        with (
            openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as c,
            c.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": PROMPT}], stream=True
            ) as stream,
        ):
            return [chunk.to_dict() for chunk in stream]

    trip = product.trip(call, "openai", "no-usage")
    assert roundtrip.changes(trip) == []
    (row,), usage = trip.rows, trip.behind[0]["answered"]["usage"]
    assert (row["outcome"], row["usage_origin"]) == ("ok", "counted")
    assert row["input_tokens_total"] == usage["input_total"]
    assert row["output_tokens_total"] == usage["output_total"]
    assert row["cost_usd"] is not None


def test_counting_tokens_is_not_billed(product: Product) -> None:
    """`count_tokens` has a row whose cost is known to be nothing."""
    trip = product.trip(count_tokens, "anthropic", "count")
    assert roundtrip.changes(trip) == []
    (row,) = trip.rows
    assert (row["operation"], row["cost_status"]) == ("count_tokens", "not_billed")
    assert row["outcome"] == "ok"


def test_an_sdks_retry_is_a_row_of_its_own(product: Product) -> None:
    """The SDK sees one answer; the 429 before it is an attempt with its own row."""
    trip = product.trip(openai_retries, "openai", "retries")
    assert [row["http_status"] for row in trip.rows] == [429, 200]
    assert [row["attempt"] for row in trip.rows] == [1, 2]
    assert [row["outcome"] for row in trip.rows] == ["http_error", "ok"]
    assert roundtrip.mismeasured(trip) == []


def test_no_key_is_kept(product: Product) -> None:
    """Callers' keys are in no file that the product writes."""
    walk = os.walk(product.served.data)  # does not mind files that go meanwhile
    files = [Path(folder, name) for folder, _, names in walk for name in names]
    assert len(files) > 1
    assert [str(path) for path in files if KEY.encode() in _content(path)] == []


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a segment that was finished, a part that was merged
        return b""
