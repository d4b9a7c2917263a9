"""Requests of every shape between the APIs: they come back as they were, and nothing is lost."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.gateway.translation import requests
from proxy.gateway.translation.losses import Malformed, Refused
from support.media import CLOSED, PDF, PNG
from support.translation import nameless, read, target, translated

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)


NAMES = st.text("abcXYZ_09", min_size=1, max_size=9)


JSONS = st.dictionaries(NAMES, st.integers(-9, 9) | WORDS | st.booleans() | st.none(), max_size=2)


IMAGES = st.sampled_from([f"data:image/png;base64,{PNG}", "https://example.org/a.png"])


@st.composite
def users(draw: st.DrawFn, images: st.SearchStrategy[str]) -> dict[str, Any]:
    texts = WORDS.map(lambda text: {"type": "text", "text": text})
    pictures = images.map(lambda url: {"type": "image_url", "image_url": {"url": url}})
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
    files = st.just({"type": "file", "file": file})
    parts = st.lists(texts | pictures | files, min_size=1, max_size=3)
    return {"role": "user", "content": draw(WORDS | parts)}


@st.composite
def rounds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The model calls tools at once, each gives its result, and the model goes on."""
    calls = draw(st.lists(st.tuples(NAMES, JSONS, WORDS), min_size=1, max_size=3))
    made = [
        {
            "id": f"call_{n}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(given)},
        }
        for n, (name, given, _) in enumerate(calls)
    ]
    results = [
        {"role": "tool", "tool_call_id": f"call_{n}", "content": said}
        for n, (_, _, said) in enumerate(calls)
    ]
    called = {"role": "assistant", "content": draw(st.none() | WORDS), "tool_calls": made}
    return [called, *results, {"role": "assistant", "content": draw(WORDS)}]


@st.composite
def asked(draw: st.DrawFn, images: st.SearchStrategy[str] = IMAGES) -> dict[str, Any]:
    """What all three APIs can be asked, in OpenAI's words."""
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(WORDS)})
    for _ in range(draw(st.integers(1, 3))):
        messages.append(draw(users(images)))
        messages += draw(st.just([]) | rounds())
    messages.append(draw(users(images)))
    body: dict[str, Any] = {"model": "m", "messages": messages}
    body["max_completion_tokens"] = draw(st.integers(1, 9000))
    choices: dict[str, st.SearchStrategy[Any]] = {
        "temperature": st.sampled_from([0, 0.5, 1]),
        "top_p": st.sampled_from([0.1, 1]),
        "stop": st.lists(WORDS, min_size=1, max_size=2),
        "reasoning_effort": st.sampled_from(["low", "medium", "high", "xhigh"]),
        "response_format": NAMES.map(
            lambda name: {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": CLOSED, "strict": True},
            }
        ),
    }
    for name, values in choices.items():
        if draw(st.booleans()):
            body[name] = draw(values)
    names = draw(st.lists(NAMES, max_size=2, unique=True))
    if names:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": n, "description": draw(WORDS), "parameters": CLOSED},
            }
            for n in names
        ]
        one = {"type": "function", "function": {"name": names[0]}}
        body["tool_choice"] = draw(st.sampled_from(["auto", "required", "none", one]))
    return body


@settings(max_examples=30)
@given(asked())
def test_a_request_comes_back_from_anthropic_as_it_was(body: dict[str, Any]) -> None:
    """OpenAI → Anthropic → OpenAI keeps the meaning of all that is supported."""
    back = translated("anthropic", translated("openai", body, "anthropic"), "openai")
    assert read("openai", back) == read("openai", body)


@settings(max_examples=30)
@given(asked(st.just(f"data:image/png;base64,{PNG}")))
def test_a_request_comes_back_from_gemini_as_it_was(body: dict[str, Any]) -> None:
    """Likewise through Gemini, whose files have no names."""
    back = translated("gemini", translated("openai", body, "gemini"), "openai")
    before, after = read("openai", body), read("openai", back)
    assert nameless(after) == nameless(before)


def unstrict(asked: Any) -> Any:
    """Without what only Responses must have said: that a function is not strict."""
    for tool in asked["tools"]:
        tool["strict"] = tool["strict"] or None
    return asked


@settings(max_examples=30)
@given(asked())
def test_a_request_comes_back_from_responses_as_it_was(body: dict[str, Any]) -> None:
    """Likewise through OpenAI's Responses, which have no stop sequences."""
    body.pop("stop", None)
    back = translated("responses", translated("openai", body, "responses"), "openai")
    assert unstrict(read("openai", back)) == read("openai", body)


KEYS = st.sampled_from(
    [
        *("messages", "contents", "role", "parts", "content", "type", "text", "tools", "system"),
        *("function", "name", "tool_calls", "tool_choice", "functionCall", "functionResponse"),
        *("response", "generationConfig", "image_url", "url", "source", "thinking", "stop"),
        *("response_format", "json_schema", "schema", "tool_use_id", "input", "output_config"),
    ]
)


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    )
)
def test_no_body_breaks_the_reader(value: Any) -> None:
    """Whatever comes is read, refused or malformed."""
    places = ("messages", "contents", "input")
    body = value if isinstance(value, dict) else dict.fromkeys(places, value)
    for dialect in requests.READS:
        for to in requests.WRITES:
            try:
                translated(dialect, body, to)
            except (Refused, Malformed):
                continue


MARKS = st.integers(0, 10**9).map(lambda number: f"mark{number}x")


def _openai_parts() -> st.SearchStrategy[Any]:
    return st.one_of(
        MARKS.map(lambda m: {"type": "text", "text": m}),
        MARKS.map(lambda m: {"type": "refusal", "refusal": m}),
        MARKS.map(lambda m: {"type": "image_url", "image_url": {"url": f"https://e.org/{m}"}}),
        MARKS.map(lambda m: {"type": "file", "file": {"file_id": m}}),
        MARKS.map(lambda m: {"type": "video_url", "video_url": {"url": m}}),
    )


def _anthropic_parts(inner: bool = True) -> st.SearchStrategy[Any]:
    plain = st.one_of(
        MARKS.map(lambda m: {"type": "text", "text": m}),
        MARKS.map(lambda m: {"type": "image", "source": {"type": "url", "url": f"https://e/{m}"}}),
        MARKS.map(lambda m: {"type": "document", "source": {"type": "file", "file_id": m}}),
        MARKS.map(lambda m: {"type": "thinking", "thinking": m, "signature": ""}),
        MARKS.map(lambda m: {"type": "redacted_thinking", "data": m}),
        MARKS.map(lambda m: {"type": "tool_use", "id": "t", "name": "f", "input": {"a": m}}),
        MARKS.map(lambda m: {"type": "server_tool_use", "input": m}),
    )
    if not inner:
        return plain
    results = st.lists(_anthropic_parts(inner=False), max_size=2).map(
        lambda parts: {"type": "tool_result", "tool_use_id": "t", "content": parts}
    )
    return plain | results


def _responses_items() -> st.SearchStrategy[Any]:
    parts = st.one_of(
        MARKS.map(lambda m: {"type": "input_text", "text": m}),
        MARKS.map(lambda m: {"type": "output_text", "text": m}),
        MARKS.map(lambda m: {"type": "refusal", "refusal": m}),
        MARKS.map(lambda m: {"type": "input_image", "image_url": f"https://e.org/{m}"}),
        MARKS.map(lambda m: {"type": "input_file", "file_url": f"https://e.org/{m}"}),
        MARKS.map(lambda m: {"type": "input_file", "file_id": m}),
        MARKS.map(lambda m: {"type": "computer_screenshot", "image_url": m}),
    )
    content = st.lists(parts, min_size=1, max_size=3)
    roles = st.sampled_from(["user", "assistant", "system", "developer"])
    call = {"type": "function_call", "call_id": "c", "name": "f"}
    told = {"type": "function_call_output", "call_id": "c"}
    return st.one_of(
        st.builds(dict, role=roles, content=content),
        MARKS.map(lambda m: call | {"arguments": json.dumps({"a": m})}),
        content.map(lambda parts: told | {"output": parts}),
        MARKS.map(lambda m: {"type": "reasoning", "summary": [{"text": m}]}),
        MARKS.map(lambda m: {"type": "reasoning", "summary": [], "encrypted_content": m}),
        MARKS.map(lambda m: {"type": "web_search_call", "id": "w", "action": {"query": m}}),
    )


def _gemini_parts() -> st.SearchStrategy[Any]:
    return st.one_of(
        MARKS.map(lambda m: {"text": m}),
        MARKS.map(lambda m: {"text": m, "thought": True}),
        MARKS.map(lambda m: {"inlineData": {"mimeType": "image/png", "data": m}}),
        MARKS.map(lambda m: {"fileData": {"mimeType": "image/png", "fileUri": f"https://e/{m}"}}),
        MARKS.map(lambda m: {"functionCall": {"name": "f", "args": {"a": m}}}),
        MARKS.map(lambda m: {"functionResponse": {"name": "f", "response": {"output": m}}}),
        MARKS.map(lambda m: {"executableCode": {"code": m}}),
    )


@st.composite
def anywhere(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A body with marks in every kind of part, in places where they belong and where not."""
    dialect = draw(st.sampled_from(["openai", "responses", "anthropic", "gemini"]))
    if dialect == "responses":
        items = [*draw(st.lists(_responses_items(), max_size=4)), {"role": "user", "content": "hi"}]
        return dialect, {"model": "m", "instructions": draw(MARKS), "input": items}
    kinds = {"openai": _openai_parts(), "anthropic": _anthropic_parts(), "gemini": _gemini_parts()}
    parts = st.lists(kinds[dialect], min_size=1, max_size=3)
    if dialect == "gemini":
        turns: st.SearchStrategy[Any] = st.builds(
            dict, role=st.sampled_from(["user", "model"]), parts=parts
        )
        body: dict[str, Any] = {"contents": draw(st.lists(turns, max_size=3))}
        body["contents"].append({"role": "user", "parts": [{"text": "hi"}]})
        return dialect, body | {"systemInstruction": {"parts": draw(parts)}}
    roles = ["user", "assistant", *(["system", "developer"] if dialect == "openai" else [])]
    said: st.SearchStrategy[Any] = st.builds(dict, role=st.sampled_from(roles), content=parts)
    messages = [*draw(st.lists(said, max_size=3)), {"role": "user", "content": "hi"}]
    body = {"model": "m", "max_tokens": 9, "messages": messages}
    return dialect, body if dialect == "openai" else body | {"system": draw(parts)}


@settings(max_examples=60)
@given(anywhere(), st.sampled_from([*requests.WRITES]), st.booleans())
def test_nothing_is_lost_in_silence(asked: tuple[str, dict[str, Any]], to: str, own: bool) -> None:
    """Whatever was said arrives, or the request is refused, or the loss is listed."""
    dialect, body = asked
    if to == dialect:
        return
    goal = target(to) if own else replace(target(to), provider="other")
    made = requests.translate(dialect, body, goal, ["*"], stream=False)
    marks = set(re.findall(r"mark\d+x", json.dumps(body)))
    arrived = set(re.findall(r"mark\d+x", made.body.decode()))
    assert marks <= arrived or made.losses
    if made.losses:
        with pytest.raises(Refused):
            requests.translate(dialect, body, goal, stream=False)


@st.composite
def claude_asked(draw: st.DrawFn) -> dict[str, Any]:
    """What Claude can be asked and the others too, in Anthropic's words."""
    picture = {"type": "base64", "media_type": "image/png", "data": PNG}
    paper = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    texts = WORDS.map(lambda text: {"type": "text", "text": text})
    media = st.sampled_from(
        [{"type": "image", "source": picture}, {"type": "document", "source": paper}]
    )
    messages: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 2))):
        calls = draw(st.lists(st.tuples(NAMES, JSONS, WORDS), max_size=3))
        uses = [
            {"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": given}
            for n, (name, given, _) in enumerate(calls)
        ]
        results = [
            {"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": said}
            for n, (_, _, said) in enumerate(calls)
        ]
        messages += [
            {"role": "user", "content": draw(WORDS)},
            {
                "role": "assistant",
                "content": [*draw(st.lists(texts, min_size=1, max_size=1)), *uses],
            },
            {"role": "user", "content": [*results, draw(texts)]},
            {"role": "assistant", "content": draw(WORDS)},
        ]
    messages.append(
        {"role": "user", "content": draw(st.lists(texts | media, min_size=1, max_size=3))}
    )
    body: dict[str, Any] = {
        "model": "m",
        "max_tokens": draw(st.integers(1, 9)),
        "messages": messages,
    }
    body["system"] = draw(st.lists(texts, min_size=1, max_size=2))
    choice = st.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "f"}])
    if draw(st.booleans()):
        body["tools"] = [{"name": "f", "description": draw(WORDS), "input_schema": CLOSED}]
        body["tool_choice"] = draw(choice)
    if draw(st.booleans()):
        body["stop_sequences"] = draw(st.lists(WORDS, min_size=1, max_size=2))
    return body


@settings(max_examples=40)
@given(claude_asked(), st.sampled_from(["openai", "responses", "gemini"]))
def test_a_request_of_claudes_comes_back_as_it_was(body: dict[str, Any], via: str) -> None:
    """Anthropic → another → Anthropic, but for names that files then have."""
    if via == "responses":
        body.pop("stop_sequences", None)
    back = translated(via, translated("anthropic", body, via), "anthropic")
    assert nameless(unstrict(read("anthropic", back))) == nameless(read("anthropic", body))
