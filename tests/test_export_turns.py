"""Whatever dialect a call spoke, its turns have the shape of OpenAI's chat."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exports.turns import conversation

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
FUNCTION = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}
SYSTEM, USER = {"role": "system", "content": "S"}, {"role": "user", "content": "U"}
ASSISTANT = {"role": "assistant", "content": "A"}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOOL = {"role": "tool", "tool_call_id": "c", "content": "R"}

DIALECTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "openai chat": (
        {"messages": [SYSTEM, USER, CALLING, TOOL], "tools": [FUNCTION]},
        {"choices": [{"index": 0, "message": ASSISTANT}]},
    ),
    "openai responses": (
        {
            "instructions": "S",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "U"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"x":1}'},
                {"type": "function_call_output", "call_id": "c", "output": "R"},
            ],
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {}}],
        },
        {
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "A"}],
                }
            ]
        },
    ),
    "anthropic": (
        {
            "system": [{"type": "text", "text": "S"}],
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {"x": 1}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "c", "content": "R"}],
                },
            ],
            "tools": [{"name": "f", "description": "d", "input_schema": {}}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "A"}]},
    ),
    "gemini": (
        {
            "systemInstruction": {"parts": [{"text": "S"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "U"}]},
                {
                    "role": "model",
                    "parts": [{"functionCall": {"id": "c", "name": "f", "args": {"x": 1}}}],
                },
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"id": "c", "name": "f", "response": "R"}}],
                },
            ],
            "tools": [
                {"functionDeclarations": [{"name": "f", "description": "d", "parameters": {}}]}
            ],
        },
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "A"}]}}]},
    ),
    "bedrock": (
        {
            "system": [{"text": "S"}],
            "messages": [
                {"role": "user", "content": [{"text": "U"}]},
                {
                    "role": "assistant",
                    "content": [{"toolUse": {"toolUseId": "c", "name": "f", "input": {"x": 1}}}],
                },
                {
                    "role": "user",
                    "content": [{"toolResult": {"toolUseId": "c", "content": [{"text": "R"}]}}],
                },
            ],
            "toolConfig": {
                "tools": [
                    {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {}}}}
                ]
            },
        },
        {"output": {"message": {"role": "assistant", "content": [{"text": "A"}]}}},
    ),
    "ollama": (
        {"messages": [SYSTEM, USER, CALLING, TOOL], "tools": [FUNCTION]},
        {"message": ASSISTANT},
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects_become_one(dialect: str) -> None:
    """System prompt, question, call of a tool, its result and the answer, in this order."""
    request, response = DIALECTS[dialect]
    found = conversation(json.dumps(request), json.dumps(response), "streamed text is not needed")
    assert found.messages == [SYSTEM, USER, CALLING, TOOL, ASSISTANT]
    assert found.tools == [FUNCTION]


@pytest.mark.parametrize(
    ("request_body", "said"),
    [
        ({"prompt": "U"}, "U"),
        ({"input": "U"}, "U"),
        ({"message": "U", "preamble": ""}, "U"),
        ({"content": {"parts": [{"text": "U"}]}}, "U"),
        ({"input": ["U", "V"]}, ["U", "V"]),
    ],
)
def test_what_is_no_chat_is_one_question(request_body: dict[str, Any], said: object) -> None:
    """Completions and embeddings ask once; a stream's answer is its text."""
    found = conversation(json.dumps(request_body), "", "A")
    assert found.messages == [{"role": "user", "content": said}, ASSISTANT]


def test_what_capture_left_out_is_said() -> None:
    """Its note is no turn."""
    body = {"messages": ["[72 earlier left out]", USER]}
    found = conversation(json.dumps(body), "", "")
    assert (found.messages, found.left_out) == ([USER], ["[72 earlier left out]"])


def test_parts_that_are_not_known_are_kept() -> None:
    """Thoughts, images and items of a kind that is new stay as they are."""
    odd = {"type": "hologram", "data": [1]}
    found = conversation(json.dumps({"messages": [{"role": "user", "content": [odd]}]}), "", "")
    assert found.messages == [{"role": "user", "content": [odd]}]
    found = conversation("", json.dumps({"output": [odd]}), "")
    assert found.messages == [{"role": "assistant", "content": [odd]}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "messages",
                    "input",
                    "content",
                    "parts",
                    "role",
                    "type",
                    "tools",
                    "output",
                    "choices",
                )
            )
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
)


@given(JSON, JSON)
def test_no_document_is_refused(request_body: object, response: object) -> None:
    """Whatever was captured has turns, and every turn a role."""
    found = conversation(json.dumps(request_body), json.dumps(response), "text")
    assert all(isinstance(turn["role"], str) for turn in found.messages)
