"""Requests between the APIs: what arrives is what was meant, and what cannot is refused."""

import json
import re
from typing import Any

import pytest

from proxy.gateway.translation import requests
from proxy.gateway.translation.losses import Malformed, Refused
from proxy.gateway.translation.neutral import Target
from support.media import CLOSED
from support.translation import target, translated


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


SAID = ["brief", "hi", "now in French", "yes", "now in Greek", "go on"]


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_what_is_said_to_the_model_in_between_stays_there(api: str) -> None:
    """OpenAI's and Anthropic's conversations have system messages; Gemini has one place for them,
    which comes before all that the model says."""
    roles = ["system", "user", "system", "assistant", "system", "user"]
    messages = [{"role": a, "content": b} for a, b in zip(roles, SAID, strict=True)]
    body: Any = {"model": "m", "max_tokens": 9, "messages": messages}
    if api == "anthropic":
        body |= {"system": SAID[0], "messages": messages[1:]}
    to = "anthropic" if api == "openai" else "openai"
    found = translated(api, body, to)["messages"]
    assert [(one["role"], one["content"]) for one in found][-5:] == [
        *zip(roles[1:], SAID[1:], strict=True)
    ]
    with pytest.raises(Refused, match=r"messages\[\]\.role"):
        translated(api, body, "gemini")
    made = translated(api, body | {"messages": body["messages"][:-3] + messages[-1:]}, "gemini")
    told = [part["text"] for part in made["systemInstruction"]["parts"]]
    assert told == ["brief", "now in French"]


@pytest.mark.parametrize(
    ("strict", "choice", "mode"),
    [
        (True, None, "VALIDATED"),
        (True, "auto", "VALIDATED"),
        (True, "required", "ANY"),
        (True, "none", "NONE"),
        (False, "auto", "AUTO"),
        (False, None, ""),
    ],
)
def test_strict_tools_are_validated_by_gemini(strict: bool, choice: str | None, mode: str) -> None:
    """Where a call must be made, its arguments fit anyhow."""
    function = {"name": "f", "parameters": CLOSED, "strict": strict}
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    asked |= {"tools": [{"type": "function", "function": function}]}
    made = translated("openai", asked | ({"tool_choice": choice} if choice else {}), "gemini")
    config = made.get("toolConfig", {}).get("functionCallingConfig", {})
    assert config.get("mode", "") == mode


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
            Target(api=dialect, provider=provider, model="m"),
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
