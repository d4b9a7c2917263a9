"""What a route may ask of a request, from bodies of each API."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.door.request import Sender, facts_of, input_tokens
from proxy.gateway.facts import OPERATIONS, Facts, read, session_of

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/v1/chat/completions": (
        {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE]}],
            "tools": [{"type": "function"}],
            "response_format": SCHEMA,
            "reasoning_effort": "high",
            "max_completion_tokens": 50,
            "stream": True,
            "user": "ann",
        },
        {"dialect": "openai", "operation": "chat", "modalities": {"text", "image"}, "user": "ann"},
    ),
    "/v1/responses": (
        {
            "input": [
                {"role": "user", "content": [{"type": "input_file", "file_id": "f"}]},
                {"type": "function_call_output", "output": [{"type": "input_image"}]},
            ],
            "tools": [{"type": "web_search"}],
            "text": {"format": SCHEMA},
            "reasoning": {"effort": "high"},
            "max_output_tokens": 50,
            "stream": True,
        },
        {"operation": "responses", "modalities": {"text", "document", "image"}},
    ),
    "/v1/messages": (
        {
            "system": "s",
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "content": [{"type": "image"}]}],
                }
            ],
            "tools": [{"name": "t"}],
            "output_config": {"effort": "high", "format": SCHEMA},
            "max_tokens": 50,
            "stream": True,
            "metadata": {"user_id": "ann"},
        },
        {"dialect": "anthropic", "operation": "messages", "modalities": {"text", "image"}},
    ),
    "/v1beta/models/gemini-3.1-pro:streamGenerateContent": (
        {
            "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "video/mp4"}}]}],
            "tools": [{"functionDeclarations": []}],
            "generationConfig": {
                "maxOutputTokens": 50,
                "responseSchema": {"type": "OBJECT"},
                "thinkingConfig": {"thinkingLevel": "HIGH"},
            },
        },
        {"dialect": "gemini", "operation": "generate_content", "modalities": {"text", "video"}},
    ),
}


@pytest.mark.parametrize("path", CASES)
def test_every_api_says_the_same_things(path: str) -> None:
    """Tools, schema, effort, the limit of the answer and whether it is streamed."""
    body, own = CASES[path]
    facts = read(path, body)
    assert (facts.tools, facts.schema, facts.effort) == (True, True, "high")
    assert (facts.max_tokens, facts.stream) == (50, True)
    for name, value in own.items():
        assert getattr(facts, name) == value, name


def test_a_plain_request_wants_nothing_special() -> None:
    """What is not said is absent, and a limit of 0 or a stream of "no" is not said."""
    body = {"messages": [], "tools": [], "max_tokens": True, "stream": "yes", "user": 3}
    assert read("/chat/completions", body) == Facts()
    assert read("/embeddings", {"input": "text"}).operation == "embeddings"


def test_other_paths_are_no_operation() -> None:
    """They are refused by name, before any body is read."""
    with pytest.raises(ValueError, match="no operation: /v1/files"):
        read("/v1/files", {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "messages", "input", "parts", "inlineData"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(OPERATIONS)), st.dictionaries(st.sampled_from(
    ["messages", "input", "contents", "system", "tools", "text", "reasoning", "metadata",
     "generationConfig", "response_format", "max_tokens", "output_config", "stream", "user"]
), JSON, max_size=3))  # fmt: skip
def test_odd_bodies_raise_nothing(path: str, body: dict[str, object]) -> None:
    """What is odd is absent: whether it is valid is the provider's to say."""
    facts = read(path, body)
    assert "text" in facts.modalities
    session_of("", "", body)


def test_a_session_is_the_first_of_what_names_it() -> None:
    """Our tag, a header or the metadata, the cache key, else how the conversation begins."""
    said = {"role": "user", "content": "Hello"}
    turns = [{"role": "system", "content": "s"}, said]
    body = {"messages": turns, "prompt_cache_key": "k"}
    assert session_of("tag", "header", body) == "tag"
    assert session_of("", "header", body) == "header"
    assert session_of("", "", body) == "k"
    begins = session_of("", "", {"messages": turns})
    later = [*turns, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "More"}]
    assert session_of("", "", {"messages": later}) == begins != ""
    assert session_of("", "", {"messages": [said]}) != begins
    assert session_of("", "", {"system": "s", "messages": [said]}).startswith("begins:")
    assert session_of("", "", {"input": "Hello"}) != session_of("", "", {"input": "Bye"})
    assert session_of("", "", {}) == ""


def test_what_the_sender_adds() -> None:
    """Headers name the session, and the hour is UTC."""
    sender = Sender(headers={"session_id": "abc"}, tags={"team": "t"}, caller="ci")
    at = datetime.fromisoformat("2026-11-29T01:30:00+02:00")
    facts = facts_of("/chat/completions", {"messages": []}, sender, at)
    assert (facts.session, facts.caller, facts.hour) == ("abc", "ci", 23)
    assert facts.tags == {"team": "t"}
    tagged = Sender(headers={"session_id": "abc"}, tags={"session": "mine"})
    assert facts_of("/messages", {}, tagged, datetime.now(UTC)).session == "mine"


def test_tokens_are_counted_as_they_are_billed_elsewhere() -> None:
    """By the vocabulary of OpenAI's newest models: more text, more tokens."""
    few, many = (
        input_tokens("chat", {"messages": [{"role": "user", "content": "word " * n}]}, 1_000_000)
        for n in (10, 1000)
    )
    assert 10 <= few < 30
    assert 1000 <= many < 1300
