"""Every wire format says the same few things: what a prompt is made of, wherever it is written."""

from typing import Any

import pytest

from pricing.reason import Reason
from proxy.tokens.prompts import Prompt, read


def said(prompt: Prompt) -> list[tuple[str, list[str]]]:
    """Role and texts of each turn."""
    return [(turn.role, turn.texts) for turn in prompt.turns]


HELLO = [("user", ["Hello."])]


@pytest.mark.parametrize(
    ("request_", "turns"),
    [
        ({"messages": [{"role": "user", "content": "Hello."}]}, HELLO),
        ({"messages": ["Hello."]}, HELLO),
        ({"messages": ["Hello.", 7]}, HELLO),
        ({"input": "Hello."}, HELLO),  # of the Responses API; embeddings count the texts of turns
        ({"input": ["Hello.", {"role": "user", "content": "Hello."}]}, HELLO * 2),
        ({"contents": "Hello."}, HELLO),
        ({"contents": {"parts": [{"text": "Hello."}]}}, HELLO),
        ({"requests": [{"content": {"parts": [{"text": "Hello."}]}}]}, HELLO),
        (
            {
                "message": "And you?",
                "chat_history": [{"role": "USER", "message": "Hello."}],
                "preamble": "Be brief.",
            },
            [("system", ["Be brief."]), ("USER", ["Hello."]), ("user", ["And you?"])],
        ),
    ],
)
def test_turns(request_: dict[str, object], turns: list[tuple[str, list[str]]]) -> None:
    """A message is a turn, whether it is a text, a part, a list of parts or a history."""
    assert said(read(request_)) == turns


CALL = {"name": "find", "arguments": '{"id": 1}'}
FOUND = ["find", '{"id": 1}']


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        ({"role": "assistant", "tool_calls": [{"function": CALL}]}, FOUND),
        ({"role": "assistant", "tool_calls": [CALL]}, FOUND),
        ({"role": "assistant", "function_call": CALL}, FOUND),
        ({"type": "function_call", **CALL}, FOUND),
        ({"role": "assistant", "content": [{"type": "tool_use", **CALL}]}, FOUND),
        (
            {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {}}}]},
            ["find", "{}"],
        ),
        ({"role": "user", "content": [{"toolResult": {"content": [{"text": "ok"}]}}]}, ["ok"]),
        ({"type": "function_call_output", "output": "ok"}, ["ok"]),
        ({"role": "user", "content": [{"type": "tool_result", "content": "ok"}]}, ["ok"]),
        ({"role": "tool", "content": "ok"}, ["ok"]),
    ],
)
def test_tool_calls_and_results(message: dict[str, object], texts: list[str]) -> None:
    """They are text that the model reads, and cost what a turn with calls costs."""
    (turn,) = read({"messages": [message]}).turns
    assert (turn.texts, turn.calls) == (texts, True)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "input_audio", "input_audio": {}}, Reason.AUDIO_NOT_COUNTED),
        ({"inlineData": {"mimeType": "audio/wav"}}, Reason.AUDIO_NOT_COUNTED),
        ({"type": "video_url", "video_url": {}}, Reason.VIDEO_NOT_COUNTED),
        ({"file_data": {"mime_type": "video/mp4"}}, Reason.VIDEO_NOT_COUNTED),
        ({"type": "input_file", "file_id": "f"}, Reason.DOCUMENT_NOT_COUNTED),
        ({"document": {"name": "d"}}, Reason.DOCUMENT_NOT_COUNTED),
        ({"fileData": {"mimeType": "application/pdf"}}, Reason.DOCUMENT_NOT_COUNTED),
    ],
)
def test_what_cannot_be_counted(part: dict[str, object], reason: Reason) -> None:
    """Audio, video and files in any format give their reason, and leave the text beside them."""
    prompt = read({"messages": [{"role": "user", "content": [part, {"text": "Hello."}]}]})
    assert prompt.reasons == {reason}
    assert said(prompt) == HELLO


def test_content_inside_content_has_a_limit() -> None:
    """A result that holds itself over and over ends, and what is near the top is read."""
    part: dict[str, object] = {"text": "deep"}
    for _ in range(40):
        part = {"type": "tool_result", "content": [part]}
    prompt = read({"messages": [{"role": "user", "content": [{"text": "near"}, part]}]})
    assert said(prompt) == [("user", ["near"])]


@pytest.mark.parametrize(
    ("request_", "bare", "token_ids"),
    [
        ({"prompt": "a"}, ["a"], 0),
        ({"prompt": ["a", "b"], "suffix": "c"}, ["a", "b", "c"], 0),
        ({"query": "a", "documents": ["b", {"text": "c"}]}, ["a", "b", "c"], 0),
        ({"inputs": [{"content": [{"text": "a"}, {"text": "b"}]}]}, ["a", "b"], 0),
        ({"input": [1, 2, 3]}, [], 3),
        ({"input": [[1, 2], [3]]}, [], 3),
    ],
)
def test_bare_text(request_: dict[str, object], bare: list[str], token_ids: int) -> None:
    """Completions, embeddings and reranking have no chat format; token numbers are counted."""
    prompt = read(request_)
    assert (prompt.bare, prompt.token_ids) == (bare, token_ids)


def test_images_of_generate() -> None:
    """Ollama's generate and chat hold images beside the text."""
    assert len(read({"prompt": "a", "images": ["", ""]}).images) == 2
    assert len(read({"messages": [{"content": "a", "images": [""]}]}).images) == 1


SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}}


@pytest.mark.parametrize(
    "tools",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]},
        {"functions": [{"name": "f", "parameters": SCHEMA}]},
        {"tools": [{"name": "f", "input_schema": SCHEMA}]},
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": SCHEMA}]}]},
        {"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}]}},
        {"tools": [{"name": "f", "parameter_definitions": SCHEMA}]},
    ],
)
def test_tools(tools: dict[str, object]) -> None:
    """A function and its schema are found wherever a format nests them."""
    (tool,) = read({"messages": [], **tools}).tools
    assert (tool.name, tool.parameters) == ("f", SCHEMA)


def test_tools_that_are_not_counted() -> None:
    """A hosted tool gives a reason; one that is only loaded when searched for costs nothing."""
    hosted = read(
        {"messages": [], "tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    )
    assert (hosted.tools, hosted.reasons) == ([], {Reason.HOSTED_TOOL_NOT_COUNTED})
    deferred = read({"messages": [], "tools": [{"name": "f", "defer_loading": True}]})
    assert (deferred.tools, deferred.reasons) == ([], set())


@pytest.mark.parametrize(
    "request_",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"format": SCHEMA},
    ],
)
def test_structured_output(request_: dict[str, object]) -> None:
    """The schema of the answer is read by the model, under any of its names."""
    assert read({"messages": [], **request_}).schema == SCHEMA


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"thinking": {"type": "enabled"}}, (True, False, False)),
        ({"thinking": {"type": "disabled"}}, (False, False, False)),
        ({"tool_choice": "required"}, (False, True, False)),
        ({"tool_choice": {"type": "any"}}, (False, True, False)),
        ({"tool_choice": "auto"}, (False, False, False)),
        ({"previous_response_id": "r"}, (False, False, True)),
        ({"cachedContent": "c"}, (False, False, True)),
        ({"prompt": {"id": "p"}}, (False, False, True)),
    ],
)
def test_settings(request_: dict[str, Any], expected: tuple[bool, bool, bool]) -> None:
    """Thinking, a forced tool, and context that the provider stores: each changes the count."""
    prompt = read({"messages": [], **request_})
    stored = Reason.STORED_CONTEXT_NOT_COUNTED in prompt.reasons
    assert (prompt.thinking, prompt.forced, stored) == expected
