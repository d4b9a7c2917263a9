"""Fees beside the tokens are counted wherever a response shows that a tool of the provider ran."""

import pytest

from pricing.cause import texts
from support.readings import quantities, read

USAGE = {"prompt_tokens": 40, "completion_tokens": 8, "total_tokens": 48}
TOKENS = {"inputTokens": 40, "outputTokens": 8, "totalTokens": 48}


def chat(**body: object) -> dict[str, int]:
    return quantities(read({"usage": USAGE, **body}, family="openai", path="/v1/chat/completions"))


def tool(name: str, index: int) -> dict[str, object]:
    return {"index": index, "function": {"name": name, "arguments": "{}"}}


@pytest.mark.parametrize(
    ("body", "fees"),
    [
        ({"web_search": [{"link": "a"}, {"link": "b"}]}, {"calls.web_search": 1}),
        ({"search_info": {"search_results": [{"url": "a"}]}}, {"calls.web_search": 1}),
        (
            {"choices": [{"message": {"tool_calls": [tool("$web_search", n) for n in range(3)]}}]},
            {"calls.web_search": 3},
        ),
        (
            {"choices": [{"message": {"tool_calls": [tool("web_search", 0)]}}]},
            {"calls.function": 1},
        ),
        ({"web_search": []}, {}),
    ],
)
def test_searches_in_chat_completions(body: dict[str, object], fees: dict[str, int]) -> None:
    """Z.ai and Qwen show the results, Kimi the calls; a function of that name is the caller's."""
    assert chat(**body) == {"input": 40, "output": 8, **fees}


def test_connector_tokens_stand_inside_the_prompt_or_beside_it() -> None:
    """The total tells; either way they are read once."""
    usage = {"prompt_tokens": 50, "completion_tokens": 5, "connector_tokens": 30}
    fees = {"web_search": 1, "code_interpreter": 2}
    expected = {"calls.web_search": 1, "calls.code_execution": 2, "output": 5}
    for total, inputs in ((55, {"input": 50}), (85, {"input": 50, "input.tool_use": 30})):
        body = {"usage": {**usage, "total_tokens": total, "connectors": fees}}
        reading = read(body, family="openai", path="/v1/conversations")
        assert quantities(reading) == {**expected, **inputs}
        assert reading.reasons == ()


def test_an_unknown_connector_is_named() -> None:
    """Its fee is not known."""
    body = {"usage": {**USAGE, "connectors": {"library": 1}}}
    reading = read(body, family="openai", path="/v1/conversations")
    assert texts(reading.reasons) == ("unknown_tool:library",)


@pytest.mark.parametrize(
    ("path", "metadata", "count"),
    [
        ("/v1/projects/p/locations/l/publishers/google", {"retrievalQueries": ["q"]}, 1),
        (
            "/v1/projects/p/locations/l/publishers/google",
            {"groundingChunks": [{"retrievedContext": {}}]},
            1,
        ),
        ("/v1beta", {"groundingChunks": [{"retrievedContext": {"fileSearchStore": "s"}}]}, 0),
    ],
)
def test_grounding_with_own_data(path: str, metadata: dict[str, object], count: int) -> None:
    """Vertex bills a prompt that draws on the caller's data store; file search has no such fee."""
    body = {
        "candidates": [{"groundingMetadata": metadata, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6},
    }
    reading = read(body, family="gemini", path=f"{path}/models/gemini-3-pro:generateContent")
    assert quantities(reading).get("grounding.own_data", 0) == count


def assessment(units: int) -> dict[str, object]:
    return {"g1": {"invocationMetrics": {"usage": {"contentPolicyUnits": units}}}}


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("amazon.nova-pro-v1:0", {"usage": TOKENS}),
        (
            "anthropic.claude-haiku-4-5",
            {"type": "message", "content": [], "usage": {"input_tokens": 40, "output_tokens": 8}},
        ),
    ],
)
def test_guardrail_units_in_the_trace_of_invoke_model(model: str, body: dict[str, object]) -> None:
    """Those of the input and of every output are counted, whatever the model's own body."""
    trace = {"guardrail": {"input": assessment(2), "outputs": [assessment(3), assessment(1)]}}
    body = {**body, "amazon-bedrock-trace": trace}
    reading = read(body, family="bedrock", path=f"/model/{model}/invoke")
    assert quantities(reading) == {"input": 40, "output": 8, "guardrail.content_units": 6}


@pytest.mark.parametrize(
    ("item", "sessions"),
    [
        ({"type": "shell_call", "environment": {"container_id": "c1"}}, 1),
        ({"type": "shell_call", "environment": {"type": "local"}}, 0),
        ({"type": "code_interpreter_call", "container_id": "c1"}, 1),
    ],
)
def test_a_hosted_shell_runs_in_a_container(item: dict[str, object], sessions: int) -> None:
    """It is billed as one of the code interpreter; a shell on the caller's machine is not."""
    body = {"status": "completed", "output": [item, item], "usage": USAGE}
    reading = read(body, family="openai", path="/v1/responses")
    assert quantities(reading).get("sessions.code_interpreter", 0) == sessions
    assert reading.reasons == ()


def test_video_output_has_a_meter_of_its_own() -> None:
    """In OpenAI's form as in Gemini's; pixels are no tokens, and speech has its seconds."""
    usage = {**USAGE, "completion_tokens_details": {"video_tokens": 6}, "prompt_audio_seconds": 3}
    assert chat(usage=usage) == {"input": 40, "output": 2, "output.video": 6, "audio_seconds": 3}
    pixels = {"text_tokens": 5, "image_pixels": 1000, "video_pixels": 500, "total_tokens": 9}
    body = {"data": [], "usage": pixels}
    reading = read(body, family="openai", path="/v1/multimodalembeddings")
    assert quantities(reading) == {"input": 5, "pixels": 1500}
