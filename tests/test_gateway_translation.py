"""Requests between the APIs: what arrives is what was meant, and what cannot is refused."""

import json
import re
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.gateway.translation import requests
from proxy.gateway.translation.losses import Losses, Malformed, Refused
from proxy.gateway.translation.neutral import Target
from proxy.gateway.translation.values import as_object
from support.media import CLOSED, PDF, PNG

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)
NAMES = st.text("abcXYZ_09", min_size=1, max_size=9)
JSONS = st.dictionaries(NAMES, st.integers(-9, 9) | WORDS | st.booleans() | st.none(), max_size=2)
IMAGES = st.sampled_from([f"data:image/png;base64,{PNG}", "https://example.org/a.png"])


def target(dialect: str, model: str = "m") -> Target:
    """The provider that the dialect is named after."""
    return Target(dialect=dialect, provider=dialect, model=model)


def translated(dialect: str, body: Any, to: str, *drop: str, model: str = "m") -> Any:
    made = requests.translate(dialect, body, target(to, model), drop, stream=False)
    return json.loads(made.body)


def meaning(value: Any) -> Any:
    """A request without the names that its API has for things."""
    if is_dataclass(value):
        names = [f.name for f in fields(value) if not f.name.endswith("field")]
        return {name: meaning(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: meaning(one) for key, one in value.items()}
    if isinstance(value, str) and value.startswith("{"):  # arguments, whose spaces mean nothing
        return as_object(value) or value
    return [meaning(one) for one in value] if isinstance(value, list | tuple) else value


def read(dialect: str, body: Any) -> Any:
    losses = Losses()
    ask = requests.READS[dialect](body, losses)
    losses.check()
    return meaning(ask)


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
    assert _nameless(after) == _nameless(before)


def _nameless(value: Any) -> Any:
    if isinstance(value, dict):
        media = "mime" in value
        return {k: _nameless(v) for k, v in value.items() if not (media and k == "name")}
    return [_nameless(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("body", "to", "refused"),
    [
        ({"temperature": 1.5}, "anthropic", "temperature"),
        ({"response_format": {"type": "json_object"}}, "anthropic", "response_format"),
        ({"reasoning_effort": "minimal"}, "anthropic", "reasoning_effort"),
        ({"reasoning_effort": "max"}, "gemini", "reasoning_effort"),
        ({"n": 3}, "gemini", "n"),
        ({"logprobs": True}, "gemini", "logprobs"),
        ({"store": True}, "anthropic", "store"),
        ({"functions": [{"name": "f"}]}, "anthropic", "functions"),
    ],
)
def test_a_value_that_the_other_lacks_is_refused(body: Any, to: str, refused: str) -> None:
    """A field is carried as far as its values go."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(Refused) as caught:
        translated("openai", asked | body, to)
    assert set(caught.value.fields) == {refused}


@pytest.mark.parametrize(
    "nothing",
    [
        {"n": 1},
        {"logprobs": False},
        {"store": False},
        {"seed": None},
        {"modalities": ["text"]},
        {"service_tier": "auto"},
        {"presence_penalty": 0},
        {"parallel_tool_calls": True},
        {"tool_choice": "auto"},
        {"response_format": {"type": "text"}},
    ],
)
def test_what_asks_for_nothing_is_no_loss(nothing: Any) -> None:
    """A default that is written out does not keep a request from anybody."""
    plain = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    for to in ("anthropic", "gemini"):
        assert translated("openai", plain | nothing, to) == translated("openai", plain, to)


def test_schemas_are_closed_for_those_who_want_it_said() -> None:
    """Gemini's objects have no other properties anyhow; what may be missing is no strict schema."""
    inner = {"type": "OBJECT", "properties": {"b": {"type": "INTEGER"}}, "required": ["b"]}
    shape: Any = {
        "type": "OBJECT",
        "properties": {"a": {"type": "ARRAY", "items": inner}},
        "required": ["a"],
    }
    config = {"responseMimeType": "application/json", "responseSchema": shape}
    body = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": config}
    form = translated("gemini", body, "openai")["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["additionalProperties"] is False
    assert form["schema"]["properties"]["a"]["items"] == {
        "type": "object",
        "properties": {"b": {"type": "integer"}},
        "required": ["b"],
        "additionalProperties": False,
    }
    assert (
        translated("gemini", body, "anthropic")["output_config"]["format"]["schema"]
        == (form["schema"])
    )
    shape["required"] = []
    with pytest.raises(Refused, match="a strict schema requires every property"):
        translated("gemini", body, "openai")


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[].type"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[].custom"),
        ({"tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"tool_choice": "sometimes"}, None),
    ],
)
def test_tools_that_others_have_not_are_named(asked: Any, refused: str | None) -> None:
    """A provider's own tools are run by it; a word that no API has is malformed."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | asked
    kind = Malformed if refused is None else Refused
    with pytest.raises(kind) as caught:
        translated("openai", body, "gemini")
    if isinstance(caught.value, Refused):
        assert refused in caught.value.fields


def test_urls_are_never_fetched() -> None:
    """Gemini reads files of Google's alone; a URL of anybody else is refused by its name."""
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    body = {"model": "m", "messages": [{"role": "user", "content": [image]}]}
    with pytest.raises(Refused, match=r"messages\[\].content\[\].image_url.url .no URLs"):
        translated("openai", body, "gemini")
    uri = "https://generativelanguage.googleapis.com/v1beta/files/a"
    own = {"contents": [{"parts": [{"fileData": {"fileUri": uri, "mimeType": "image/png"}}]}]}
    with pytest.raises(Refused, match=r"contents\[\].parts\[\].fileData.fileUri"):
        translated("gemini", own, "anthropic")


def test_results_of_parallel_tools_are_one_turn() -> None:
    """Anthropic's API and Gemini's want all of them at once, before anything else is said."""
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call | {"id": "a"}, call | {"id": "b"}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "user", "content": "go on"},
    ]
    body = {"model": "m", "messages": messages}
    claude = translated("openai", body, "anthropic")["messages"]
    assert [one["role"] for one in claude] == ["user", "assistant", "user"]
    kinds = [block["type"] for block in claude[2]["content"]]
    assert kinds == ["tool_result", "tool_result", "text"]
    gemini = translated("openai", body, "gemini", model="gemini-3-pro")["contents"]
    assert [one["role"] for one in gemini] == ["user", "model", "user"]
    assert [next(iter(part)) for part in gemini[2]["parts"]] == [
        "functionResponse",
        "functionResponse",
        "text",
    ]
    signs = [part.get("thoughtSignature") for part in gemini[1]["parts"]]
    assert signs == ["skip_thought_signature_validator", None]


def test_signatures_go_to_nobody_but_their_signer() -> None:
    """Another provider would refuse them; with `drop` the thought goes without."""
    block = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
    said = {"role": "assistant", "content": [block, {"type": "text", "text": "yes"}]}
    hi = {"role": "user", "content": "hi"}
    body = {"model": "m", "max_tokens": 9, "messages": [hi, said, hi]}
    with pytest.raises(Refused, match=r"signature .not signed by Gemini"):
        translated("anthropic", body, "gemini")
    made = translated("anthropic", body, "gemini", "signature")
    assert made["contents"][1]["parts"] == [{"text": "hm", "thought": True}, {"text": "yes"}]
    openai = translated("anthropic", body, "openai", "thinking", "signature")
    assert openai["messages"][1] == {"role": "assistant", "content": "yes"}


def test_an_answer_that_is_begun_is_refused() -> None:
    """One API goes on with it, another takes it for history: it is not left to chance."""
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]
    body = {"model": "m", "max_tokens": 9, "messages": turns}
    with pytest.raises(Refused, match="the last turn is the model's"):
        translated("anthropic", body, "openai")
    made = translated("anthropic", body, "openai", "messages[].role")
    assert made["messages"] == [turns[0]]


def test_names_of_unknown_fields_are_safe_in_headers() -> None:
    """They are a caller's text: cut, in plain ASCII, and not too many."""
    body: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    strange = {f"{n}\r\nx-evil: é, {'y' * 500}": 1 for n in range(99)}
    made = requests.translate("openai", body | strange, target("gemini"), ["*"], stream=False)
    assert len(made.losses) == 25
    assert made.losses[-1] == "and 75 more"
    assert all(len(one) <= 120 and one.isascii() and one.isprintable() for one in made.losses)


@pytest.mark.parametrize(
    ("dialect", "provider", "form"),
    [
        ("openai", "mistral", r"[a-zA-Z0-9]{9}"),
        ("openai", "openai", r"[ -~]{1,40}"),
        ("anthropic", "anthropic", r"[a-zA-Z0-9_-]{1,64}"),
    ],
)
def test_ids_of_calls_fit_and_still_meet(dialect: str, provider: str, form: str) -> None:
    """Whatever a provider before called them."""
    for called in ("functions.weather:0", "toolu_01" + "x" * 60, "é", "abc123XYZ"):
        call = {"functionCall": {"id": called, "name": "f", "args": {}}}
        told = {"functionResponse": {"id": called, "name": "f", "response": {"output": "1"}}}
        turns = [{"role": "model", "parts": [call]}, {"role": "user", "parts": [told]}]
        made = requests.translate(
            "gemini",
            {"contents": [{"parts": [{"text": "hi"}]}, *turns]},
            Target(dialect=dialect, provider=provider, model="m"),
            stream=False,
        )
        messages = json.loads(made.body)["messages"]
        if dialect == "openai":
            used, met = messages[1]["tool_calls"][0]["id"], messages[2]["tool_call_id"]
        else:
            used = messages[1]["content"][0]["id"]
            met = messages[2]["content"][0]["tool_use_id"]
        assert used == met
        assert re.fullmatch(form, used)
        assert (used == called) == bool(re.fullmatch(form, called))


def test_thinking_clashes_are_named() -> None:
    """While Claude thinks, it takes no temperature and no forced tool, and its budget must fit."""
    body = {
        "contents": [{"parts": [{"text": "hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {
            "temperature": 0.2,
            "maxOutputTokens": 900,
            "thinkingConfig": {"thinkingBudget": 1024},
        },
    }
    with pytest.raises(Refused) as caught:
        translated("gemini", body, "anthropic")
    assert set(caught.value.fields) == {
        "generationConfig.temperature",
        "generationConfig.maxOutputTokens",
        "toolConfig.functionCallingConfig.mode",
    }


def test_a_limit_is_there_even_if_nobody_set_one() -> None:
    """Anthropic's API demands it; the caller's own goes before."""
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert translated("openai", body, "anthropic")["max_tokens"] == 32_000
    assert translated("openai", body | {"max_tokens": 900}, "anthropic")["max_tokens"] == 900


@pytest.mark.parametrize(
    ("dropped", "carried"),
    [
        ("cache_control", True),
        ("messages[].content[].cache_control", True),
        ("messages.content.*", True),
        ("*", True),
        ("cache", False),
        ("content.cache_control.ttl", False),
    ],
)
def test_what_a_name_in_drop_stands_for(dropped: str, carried: bool) -> None:
    """All that is below it, wherever it begins; `*` is any text."""
    text = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [text]}]}
    if carried:
        made = requests.translate("anthropic", body, target("gemini"), [dropped], stream=False)
        assert made.losses == ("messages[].content[].cache_control",)
    else:
        with pytest.raises(Refused):
            translated("anthropic", body, "gemini", dropped)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": "hi"},
        {"messages": ["hi"]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [], "temperature": "hot"},
        {"messages": [], "stop": [1]},
        {"messages": [], "response_format": {"type": "xml"}},
    ],
)
def test_what_no_api_takes_is_malformed(body: Any) -> None:
    """The caller's mistake is told by its place, not guessed around."""
    with pytest.raises(Malformed, match=r"expected|missing"):
        translated("openai", {"model": "m"} | body, "anthropic")


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
    body = value if isinstance(value, dict) else {"messages": value, "contents": value}
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
    dialect = draw(st.sampled_from(["openai", "anthropic", "gemini"]))
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
@given(anywhere(), st.sampled_from(["openai", "anthropic", "gemini"]), st.booleans())
def test_nothing_is_lost_in_silence(asked: tuple[str, dict[str, Any]], to: str, own: bool) -> None:
    """Whatever was said arrives, or the request is refused, or the loss is listed."""
    dialect, body = asked
    if to == dialect:
        return
    provider = to if own else "other"
    goal = Target(dialect=to, provider=provider, model="m")
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
@given(claude_asked(), st.sampled_from(["openai", "gemini"]))
def test_a_request_of_claudes_comes_back_as_it_was(body: dict[str, Any], via: str) -> None:
    """Anthropic → another → Anthropic, but for names that files then have."""
    back = translated(via, translated("anthropic", body, via), "anthropic")
    assert _nameless(read("anthropic", back)) == _nameless(read("anthropic", body))
