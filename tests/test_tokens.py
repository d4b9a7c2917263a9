"""Token counts where none were reported: exact where the method is published, else flagged."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.cause import texts
from pricing.reason import Reason
from pricing.usage import Meter, Origin
from proxy.exchange import CountRequest
from proxy.tokens import prompts
from proxy.tokens.tokens import Count, count
from proxy.tokens.toolspecs import namespace
from trials.bench.tokens import estimate, main, table

BYTES_MAX = 4 * 1024 * 1024
CASES = Path(__file__).parents[1].parent / "shared" / "data" / "responses" / "token_cases.jsonl"

# The worked example of https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken
# (section 6): the API billed 129 tokens for gpt-3.5-turbo and gpt-4, 124 for gpt-4o.
JARGON = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate "
        "jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities "
        "for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client "
        "deliverable.",
    },
]
WEATHER = {
    "name": "get_weather",
    "description": "Get the weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of the city"},
            "unit": {"enum": ["C", "F"]},
            "days": {"type": "array", "items": {"type": "integer"}},
            "at": {"type": "object", "properties": {"lat": {"type": "number"}}},
        },
        "required": ["city"],
    },
}


def counted(model: str, request: dict[str, object], output: str = "", family: str = "") -> Count:
    return count(family, model, CountRequest(request=request, output=output), BYTES_MAX)


@pytest.mark.parametrize(
    ("model", "expected"), [("gpt-3.5-turbo", 129), ("gpt-4-0613", 129), ("gpt-4o", 124)]
)
def test_published_example(model: str, expected: int) -> None:
    """OpenAI's own worked example gives the number that its API billed."""
    result = counted(model, {"messages": JARGON}, "Sure.")
    assert result.usage.input_tokens == expected
    assert result.usage.origin is Origin.COUNTED
    assert texts(result.reasons)[0] == (
        "counted:o200k_base" if model == "gpt-4o" else "counted:cl100k_base"
    )


@pytest.mark.parametrize("model", ["openai/gpt-4o", "gpt-4o-2024-08-06", "ft:gpt-4o:acme::1"])
def test_names_of_a_model(model: str) -> None:
    """Hosts, dates and fine-tunes around a model's name do not change its vocabulary."""
    assert counted(model, {"messages": JARGON}).usage.input_tokens == 124


def test_special_tokens_are_text() -> None:
    """What looks like a special token in a prompt is counted as the text that it is."""
    usage = counted("gpt-4o", {"prompt": "<|endoftext|>"}).usage
    assert usage.input_tokens > 1


def test_same_request_in_every_format() -> None:
    """The same words cost the same, whichever format carries them."""
    text = "Where is the Eiffel Tower?"
    requests: list[dict[str, object]] = [
        {"messages": [{"role": "user", "content": text}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        {"messages": [{"role": "user", "content": [{"text": text}]}]},  # Bedrock
        {"contents": [{"role": "user", "parts": [{"text": text}]}]},  # Gemini
        {"contents": text},
        {"input": text},  # Responses
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]},
        {"input": {"messages": [{"role": "user", "content": text}]}},  # DashScope
        {"message": text},  # Cohere v1
    ]
    found = {counted("gpt-4o", request).usage.input_tokens for request in requests}
    assert found == {13}


@pytest.mark.parametrize(
    "request_",
    [
        {"system": "Be brief.", "messages": []},
        {"system": [{"type": "text", "text": "Be brief."}], "messages": []},
        {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": []},
        {"instructions": "Be brief."},
        {"messages": [{"role": "system", "content": "Be brief."}]},
    ],
)
def test_system_prompts(request_: dict[str, object]) -> None:
    """A system prompt counts wherever the format puts it."""
    assert counted("gpt-4o", request_).usage.input_tokens == 10


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"input": "hello world"}, 2),
        ({"input": ["hello world", "hello"]}, 3),
        ({"input": [9906, 1917, 0]}, 3),
        ({"input": [[9906, 1917], [0]]}, 3),
        ({"texts": ["hello world"]}, 2),
        ({"requests": [{"content": {"parts": [{"text": "hello world"}]}}]}, 2),
    ],
)
def test_embeddings(request_: dict[str, object], expected: int) -> None:
    """Embeddings cost their text, or the token numbers sent, and nothing around them."""
    result = counted("text-embedding-3-small", request_, family="openai.embeddings")
    assert result.usage.input_tokens == expected
    assert result.usage.origin is Origin.COUNTED


def test_output() -> None:
    """Output is counted as text, with the end token that o200k models bill."""
    usage = counted("gpt-4o", {"messages": JARGON}, "Hello! How can I assist you today?").usage
    assert usage.quantities == {Meter.INPUT: 124, Meter.OUTPUT: 10}


def test_incomplete_output() -> None:
    """An answer that did not pass through us whole is a lower bound and says so."""
    wanted = CountRequest(request={"messages": JARGON}, output="Hello!", output_known=False)
    result = count("openai", "gpt-4o", wanted, BYTES_MAX)
    assert result.usage.origin is Origin.ESTIMATED
    assert Reason.OUTPUT_INCOMPLETE in result.reasons
    assert result.usage.output_tokens == 2


def test_hidden_reasoning() -> None:
    """A model that reasons out of sight bills more than its answer: never called counted."""
    result = counted("gpt-5", {"messages": JARGON}, "Hi")
    assert result.usage.origin is Origin.ESTIMATED
    assert Reason.REASONING_NOT_COUNTED in result.reasons


def test_nothing_to_count() -> None:
    """No request and no output is no usage, not zero tokens."""
    result = counted("gpt-4o", {})
    assert result.usage.origin is Origin.NONE
    assert Reason.REQUEST_NOT_COUNTED in result.reasons


def test_unknown_form() -> None:
    """A request in which no prompt is found has unknown input: neither zero nor counted."""
    result = counted("gpt-4o", {"stream": True, "dialogue": ["hi"]}, "Hello!")
    assert Reason.REQUEST_NOT_COUNTED in result.reasons
    assert result.usage.origin is Origin.ESTIMATED


def test_unread_request() -> None:
    """With the request unknown the output still counts, and the missing input is named."""
    result = counted("gpt-4o", {}, "Hello!")
    assert result.usage.origin is Origin.ESTIMATED
    assert Reason.REQUEST_NOT_COUNTED in result.reasons
    assert Meter.INPUT not in result.usage.quantities


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gemini-2.0-flash", "qwen-plus", "acme-1"])
def test_stand_ins_are_estimates(model: str) -> None:
    """Another vocabulary than the model's own is never called counted."""
    result = counted(model, {"messages": JARGON}, "Hello!")
    assert result.usage.origin is Origin.ESTIMATED
    assert (Reason.MODEL_VOCABULARY_UNKNOWN in result.reasons) == (model == "acme-1")


def test_scripts() -> None:
    """A vocabulary that knows Chinese better than the stand-in gets fewer tokens for it."""
    text = "今天天气很好，我们去公园散步吧。" * 20
    request: dict[str, object] = {"messages": [{"role": "user", "content": text}]}
    qwen = counted("qwen3.6-plus", request).usage.input_tokens
    mistral = counted("mistral-large-latest", request).usage.input_tokens
    assert qwen < mistral * 0.7


def test_thoughts_of_earlier_turns() -> None:
    """Open models' templates drop earlier thoughts; OpenAI's models would read them as text."""
    messages = [{"role": "assistant", "content": "<think>" + "hmm " * 500 + "</think>Yes."}]
    assert counted("deepseek-r1", {"messages": messages}).usage.input_tokens < 20
    assert counted("gpt-4o", {"messages": messages}).usage.input_tokens > 500


def test_tools_as_typescript() -> None:
    """Tool definitions are read as declarations: names, types, optional marks, descriptions."""
    prompt = prompts.read({"tools": [{"type": "function", "function": WEATHER}]})
    assert namespace(prompt.tools).split("\n")[4:] == [
        "namespace functions {",
        "",
        "// Get the weather",
        "type get_weather = (_: {",
        "// Name of the city",
        "city: string,",
        'unit?: "C" | "F",',
        "days?: number[],",
        "at?: {",
        "  lat?: number,",
        "},",
        "}) => any;",
        "",
        "} // namespace functions",
    ]


def test_tools_in_every_format() -> None:
    """The same definition is found wherever the format nests it."""
    name, description, schema = WEATHER["name"], WEATHER["description"], WEATHER["parameters"]
    anthropic = {"name": name, "description": description, "input_schema": schema}
    bedrock = {"name": name, "description": description, "inputSchema": {"json": schema}}
    formats: list[dict[str, object]] = [
        {"tools": [{"type": "function", "function": WEATHER}]},
        {"tools": [{"type": "function", **WEATHER}]},
        {"functions": [WEATHER]},
        {"tools": [anthropic]},
        {"tools": [{"functionDeclarations": [WEATHER]}]},
        {"toolConfig": {"tools": [{"toolSpec": bedrock}]}},
        {"input": {"messages": []}, "parameters": {"tools": [{"function": WEATHER}]}},
    ]
    found = [prompts.read(request).tools for request in formats]
    assert all(tools == found[0] and len(tools) == 1 for tools in found)


def test_tools_are_estimates() -> None:
    """Tool definitions cost tokens, by a method that nobody published."""
    plain = counted("gpt-4o", {"messages": JARGON})
    tools = counted("gpt-4o", {"messages": JARGON, "tools": [{"function": WEATHER}]})
    assert 40 < tools.usage.input_tokens - plain.usage.input_tokens < 80
    assert tools.usage.origin is Origin.ESTIMATED


def test_hosted_tools() -> None:
    """A tool that runs at the provider has a definition that nobody sees: flagged."""
    request: dict[str, object] = {"input": "hi", "tools": [{"type": "web_search_preview"}]}
    assert Reason.HOSTED_TOOL_NOT_COUNTED in counted("gpt-4o", request).reasons


def test_hostile_schema() -> None:
    """A schema made to multiply at each level renders in time that is linear in its size."""
    schema: object = {"type": "string"}
    for _ in range(60):
        schema = {"type": ["object", "array"] * 50, "properties": {"a": schema}}
    started = process_time()
    counted("gpt-4o", {"tools": [{"name": "f", "parameters": schema}]})
    assert process_time() - started < 5


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "input_audio", "input_audio": {"data": ""}}, Reason.AUDIO_NOT_COUNTED),
        ({"inlineData": {"mimeType": "audio/wav", "data": ""}}, Reason.AUDIO_NOT_COUNTED),
        ({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://a"}}, Reason.VIDEO_NOT_COUNTED),
        ({"type": "document", "source": {"data": ""}}, Reason.DOCUMENT_NOT_COUNTED),
        ({"inlineData": {"mimeType": "application/pdf", "data": ""}}, Reason.DOCUMENT_NOT_COUNTED),
        ({"type": "image_url", "image_url": {"url": "https://a/b.png"}}, Reason.IMAGE_SIZE_UNKNOWN),
    ],
)
def test_what_is_not_counted(part: dict[str, object], reason: Reason) -> None:
    """Sound, video, files and images of unknown size leave a reason, never a silent gap."""
    result = counted("gpt-4o", {"messages": [{"role": "user", "content": [part]}]})
    assert reason in result.reasons
    assert result.usage.origin is Origin.ESTIMATED


def test_stored_context() -> None:
    """A conversation that the provider keeps is input that the request does not show."""
    result = counted("gpt-4o", {"input": "go on", "conversation": "c1"})
    assert Reason.STORED_CONTEXT_NOT_COUNTED in result.reasons


def test_limit() -> None:
    """Text beyond the limit is extrapolated, close to the truth, and says so."""
    text = "The quick brown fox jumps over the lazy dog. " * 2_000
    whole = counted("gpt-4o", {"prompt": text}).usage.input_tokens
    part = count("openai", "gpt-4o", CountRequest(request={"prompt": text}), 9_000)
    assert part.usage.input_tokens == pytest.approx(whole, rel=0.01)
    assert Reason.COUNT_TRUNCATED in part.reasons
    assert part.usage.origin is Origin.ESTIMATED


def test_one_letter_does_not_stall() -> None:
    """A megabyte of one letter, slow for the tokenizer if taken whole, takes under two seconds."""
    counted("gpt-4o", {"prompt": "warm"})
    started = process_time()
    found = counted("gpt-4o", {"prompt": "a" * 1_000_000}).usage.input_tokens
    assert process_time() - started < 2
    assert found == pytest.approx(125_000, rel=0.01)


def test_first_use_from_many_threads() -> None:
    """Threads that count at the same time agree."""
    with ThreadPoolExecutor(4) as threads:
        found = set(
            threads.map(
                lambda _: counted("gpt-4", {"messages": JARGON}).usage.input_tokens, range(8)
            )
        )
    assert found == {129}


KEYS = [
    *("messages", "content", "text", "type", "input", "tools", "contents", "parts", "role", "name"),
    *("function", "parameters", "properties", "image", "prompt", "source", "tool_calls", "enum"),
    *("anyOf", "response_format", "toolResult"),
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(("messages", "input", "contents", "tools")), json_values))
def test_odd_documents(request_: dict[str, object]) -> None:
    """Whatever JSON a caller sends, counting neither raises nor goes below zero."""
    assert counted("gpt-4o", request_, "x").usage.input_tokens >= 0
    assert counted("claude-sonnet-4-5", request_, "x").usage.input_tokens >= 0


def test_lone_surrogates() -> None:
    """Half a character, which JSON can carry and UTF-8 cannot, is counted as something."""
    assert counted("gpt-4o", {"prompt": "a\ud83d"}).usage.input_tokens > 0


@pytest.mark.skipif(not CASES.exists(), reason="the shared token cases are not beside the checkout")
@pytest.mark.parametrize(
    ("provider", "kind", "p90_max"),
    [
        ("openai", "chat_text", 0.01),
        ("openai", "chat_tools", 0.06),
        ("dashscope", "chat_text", 0.03),
        ("google", "gemini_text", 0.06),
        ("openai", "image_thirdparty", 0.01),
    ],
)
def test_against_bills(provider: str, kind: str, p90_max: float) -> None:
    """Nine in ten counts are as near to what the provider billed as docs/tokens.md says."""
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    lines = table(case for case in cases if (case["provider"], case["kind"]) == (provider, kind))
    assert lines[0].p90 <= p90_max


def test_evaluation_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table says how many cases were exact; a file that is no such file is exit code 2."""
    case = {"kind": "chat_text", "provider": "openai", "model": "gpt-4o", "input_tokens": 124}
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(case | {"request": {"messages": JARGON}}) + "\n")
    assert estimate(json.loads(path.read_text())) == (124, 124)
    assert main([str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["exact"] == 1
    assert main([str(path)]) == 0
    assert "chat_text" in capsys.readouterr().out
    assert main([str(tmp_path / "absent")]) == 2
