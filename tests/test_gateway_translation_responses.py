"""Callers of OpenAI's Responses at providers of other APIs: what is asked, and what they get."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.gateway.translation import answers, requests
from proxy.gateway.translation.answers import Between, Stream
from proxy.gateway.translation.events import (
    Argues,
    Begin,
    Calls,
    Ends,
    Event,
    Finish,
    Said,
    Signed,
    Thinks,
)
from proxy.gateway.translation.framing import Events
from proxy.gateway.translation.gathering import gathered
from proxy.gateway.translation.losses import Malformed, Refused
from proxy.gateway.translation.neutral import Signature
from support.answered import answered, cut, said_by
from support.media import CLOSED, PDF, PNG
from support.translation import read, target, translated

DIALECTS = ("openai", "anthropic", "gemini")
HI = {"role": "user", "content": "hi"}


def between(provider: str, **asked: Any) -> Between:
    return Between(caller="responses", provider=provider, stream=True, at=9, asked=asked)


def documents(body: bytes) -> list[Any]:
    return [json.loads(one) for one in Events().feed(body)]


def streamed(provider: str, events: list[Event]) -> list[Any]:
    """The events that a caller gets of a provider's stream."""
    stream = Stream(between(provider))
    return documents(stream.feed(said_by(provider, events)) + stream.close())


def whole(provider: str, events: list[Event], **asked: Any) -> Any:
    said: Any = answers._says(Between(caller=provider, provider="")).whole(gathered(events))
    made, lost = answers.whole(json.dumps(said).encode(), between(provider, **asked))
    assert lost == ()
    return json.loads(made)


def pieced(events: list[Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """What the pieces of each part come to, by its place."""
    found: dict[tuple[Any, ...], str] = {}
    for one in events:
        if one["type"].endswith(".delta"):
            part = one.get("content_index", one.get("summary_index"))
            place = (one["output_index"], part)
            found[place] = found.get(place, "") + one["delta"]
    yield from found.items()


def written(response: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The same of a whole response."""
    for at, item in enumerate(response["output"]):
        if item["type"] == "function_call":
            yield (at, None), item["arguments"]
        for part, one in enumerate(item.get("content", ()) or item.get("summary", ())):
            yield (at, part), one.get("text", one.get("refusal"))


def _spaceless(response: Any) -> Any:
    """Arguments are text, which a provider may send in other spacing."""
    output = [
        one | ({"arguments": json.loads(one["arguments"])} if "arguments" in one else {})
        for one in response["output"]
    ]
    return response | {"output": output}


@settings(max_examples=40)
@given(answered(), st.sampled_from(DIALECTS), st.lists(st.integers(0, 5000), max_size=9))
def test_a_stream_is_the_whole_answer_event_by_event(
    events: list[Event], provider: str, places: list[int]
) -> None:
    """However it is cut: numbered, each item begun and ended once, its pieces the whole, the last
    event the response that is not streamed."""
    body = said_by(provider, events)
    stream = Stream(between(provider))
    said = b"".join([*map(stream.feed, cut(body, places)), stream.close()])
    found = documents(said)
    assert [one["sequence_number"] for one in found] == list(range(len(found)))
    assert [one["type"] for one in found[:2]] == ["response.created", "response.in_progress"]
    response = found[-1]["response"]
    assert found[-1]["type"] == f"response.{response['status']}"
    assert _spaceless(response) == _spaceless(whole(provider, events))
    places_of = {
        kind: [one["output_index"] for one in found if one["type"] == f"response.{kind}"]
        for kind in ("output_item.added", "output_item.done")
    }
    count = len(response["output"])
    assert places_of["output_item.added"] == list(range(count))
    assert sorted(places_of["output_item.done"]) == list(range(count))
    done = {one["output_index"]: one["item"] for one in found if one["type"].endswith("item.done")}
    assert [done[at] for at in range(count)] == response["output"]
    assert dict(pieced(found)) == dict(written(response))


@settings(max_examples=40)
@given(answered(), st.sampled_from(DIALECTS))
def test_a_whole_answer_keeps_its_meaning(events: list[Event], provider: str) -> None:
    """Text, thoughts, calls, how it ended, and the tokens."""
    answer, response = gathered(events), whole(provider, events)
    items = response["output"]
    parts = [part for one in items if one["type"] == "message" for part in one["content"]]
    texts = [one.text for one in events if isinstance(one, Said)]
    assert "".join(part["text"] for part in parts) == "".join(texts)
    thoughts = [part["text"] for one in items for part in one.get("summary", ())]
    assert "".join(thoughts) == "".join(one.text for one in events if isinstance(one, Thinks))
    calls = [one for one in items if one["type"] == "function_call"]
    asked = [one for one in events if isinstance(one, Calls)]
    assert [(one["call_id"], one["name"]) for one in calls] == [(one.id, one.name) for one in asked]
    assert all(json.loads(one["arguments"]) is not None for one in calls)
    incomplete = {Finish.LENGTH: "max_output_tokens", Finish.REFUSAL: "content_filter"}
    details = response["incomplete_details"] or {"reason": None}
    assert details["reason"] == incomplete.get(answer.finish)
    used, usage = answer.used, response["usage"]
    assert usage["input_tokens"] == used.input + used.cache_read
    assert usage["input_tokens_details"] == {"cached_tokens": used.cache_read}
    assert usage["output_tokens"] == used.output + used.reasoning
    assert usage["output_tokens_details"] == {"reasoning_tokens": used.reasoning}


def test_a_response_repeats_what_was_asked() -> None:
    """As OpenAI does, and says that nothing is stored."""
    events: list[Event] = [Begin(id="a", model="m"), Said("yes"), Ends(finish=Finish.STOP)]
    response = whole("anthropic", events, instructions="brief", temperature=0.5)
    assert (response["instructions"], response["temperature"]) == ("brief", 0.5)
    assert (response["store"], response["tools"]) == (False, [])


@pytest.mark.parametrize("provider", DIALECTS)
def test_an_error_in_a_stream_ends_it(provider: str) -> None:
    """As SDKs raise it, and as a response that failed; nothing follows."""
    errors = {
        "openai": {"error": {"message": "Full", "type": "server_error", "code": None}},
        "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "Full"}},
        "gemini": {"error": {"code": 503, "message": "Full", "status": "UNAVAILABLE"}},
    }
    events: list[Event] = [Begin(id="a", model="m"), Said("no")]
    failure = b"data: " + json.dumps(errors[provider]).encode() + b"\n\n"
    stream = Stream(between(provider))
    body = stream.feed(said_by(provider, events) + failure) + stream.feed(failure) + stream.close()
    *_, error, failed = documents(body)
    assert (error["type"], failed["type"]) == ("error", "response.failed")
    assert error["error"]["message"] == error["message"] == "Full"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["message"] == "Full"
    assert body.count(b"Full") == 3


@pytest.mark.parametrize("provider", DIALECTS)
def test_a_broken_stream_gets_no_end(provider: str) -> None:
    """What has no end is not completed."""
    body = said_by(provider, [Begin(id="a", model="m"), Said("Bon"), Ends(finish=Finish.STOP)])
    at = body.index(b"\n\n", body.index(b"Bon")) + 2
    stream = Stream(between(provider))
    found = documents(stream.feed(body[:at]) + stream.close())
    assert found[-1]["type"] == "response.output_text.delta"


def test_calls_that_are_streamed_at_once_stay_apart() -> None:
    """Several items may be open, each with its own place."""
    found = streamed(
        "openai",
        [
            Begin(id="a", model="m"),
            Calls(index=0, id="c0", name="f"),
            Calls(index=1, id="c1", name="g"),
            Argues(0, '{"a"'),
            Argues(1, '{"b"'),
            Argues(0, ":1}"),
            Argues(1, ":2}"),
            Ends(finish=Finish.TOOLS),
        ],
    )
    output = found[-1]["response"]["output"]
    assert [(one["call_id"], one["arguments"]) for one in output] == [
        ("c0", '{"a":1}'),
        ("c1", '{"b":2}'),
    ]
    assert len({one["id"] for one in output}) == 2


def test_a_refusal_is_a_part_of_its_own() -> None:
    """And no filter's."""
    events: list[Event] = [
        Begin(id="a", model="m"),
        Said("Well, "),
        Said("no.", refusal=True),
        Ends(finish=Finish.REFUSAL),
    ]
    response = streamed("openai", events)[-1]["response"]
    assert response["status"] == "completed"
    (message,) = response["output"]
    assert [one["type"] for one in message["content"]] == ["output_text", "refusal"]


@pytest.mark.parametrize("stream", [False, True])
def test_signed_thoughts_come_back_as_they_were(stream: bool) -> None:
    """Anthropic's thoughts pass through a caller of Responses and back, byte for byte; no other
    provider gets them."""
    events: list[Event] = [
        Begin(id="a", model="m"),
        Thinks("h"),
        Thinks("m"),
        Signed(Signature("anthropic", "EqQB+/=")),
        Signed(Signature("anthropic", "redacted=="), hidden=True),
        Said("yes"),
        Ends(finish=Finish.STOP),
    ]
    response = streamed("anthropic", events)[-1]["response"]
    output = response["output"] if stream else whole("anthropic", events)["output"]
    body = {"model": "m", "input": [HI, *output, HI]}
    assert translated("responses", body, "anthropic")["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "EqQB+/="},
        {"type": "redacted_thinking", "data": "redacted=="},
        {"type": "text", "text": "yes"},
    ]
    with pytest.raises(Refused, match="encrypted_content"):
        translated("responses", body, "gemini")


def test_geminis_signatures_come_back_to_their_calls() -> None:
    """As an item before the call, since a call has no place for one."""
    events: list[Event] = [
        Begin(id="a", model="gemini-3-pro"),
        Calls(index=0, id="c0", name="f", signature=Signature("gemini", "c2ln")),
        Argues(0, "{}"),
        Ends(finish=Finish.TOOLS),
    ]
    stream = Stream(between("openai"))  # Google's own endpoint of OpenAI's dialect says it so
    output = documents(stream.feed(said_by("openai", events)) + stream.close())[-1]["response"]
    told = {"type": "function_call_output", "call_id": "c0", "output": "sunny"}
    body = {"model": "m", "input": [HI, *output["output"], told]}
    made = translated("responses", body, "gemini", model="gemini-3-pro")
    (call,) = made["contents"][1]["parts"]
    assert (call["functionCall"]["name"], call["thoughtSignature"]) == ("f", "c2ln")


CHAT = [
    {"role": "system", "content": "be brief"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}},
        ],
    },
    {
        "role": "assistant",
        "content": "Hm.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "one"},
    {"role": "tool", "tool_call_id": "c2", "content": "two"},
    {"role": "developer", "content": "now in French"},
    {"role": "user", "content": "go on"},
]
ITEMS = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "what"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
            {"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}"},
        ],
    },
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hm."}]},
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
    {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "one"},
    {
        "type": "function_call_output",
        "call_id": "c2",
        "output": [{"type": "input_text", "text": "two"}],
    },
    {"type": "message", "role": "developer", "content": "now in French"},
    {"role": "user", "content": "go on"},
]


def test_both_of_openais_apis_ask_the_same() -> None:
    """A conversation, its tools and its settings, in the words of either."""
    function = {"name": "f", "description": "does", "parameters": CLOSED, "strict": True}
    chat = {
        "model": "m",
        "messages": CHAT,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "shape", "schema": CLOSED, "strict": True},
        },
        "reasoning_effort": "low",
        "max_completion_tokens": 99,
        "temperature": 0.5,
        "user": "ann",
        "service_tier": "flex",
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
    }
    responses = {
        "model": "m",
        "instructions": "be brief",
        "input": ITEMS,
        "tools": [{"type": "function", **function}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {
            "format": {"type": "json_schema", "name": "shape", "schema": CLOSED, "strict": True}
        },
        "reasoning": {"effort": "low"},
        "max_output_tokens": 99,
        "temperature": 0.5,
        "user": "ann",
        "service_tier": "flex",
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
    }
    asked, same = read("responses", responses), read("openai", chat)
    asked.pop("shows_usage"), same.pop("shows_usage")
    assert asked == same


def test_functions_in_a_namespace() -> None:
    """One name elsewhere, and told apart in the answer and in what follows it."""
    function = {"type": "function", "name": "stop", "description": "Stops.", "parameters": CLOSED}
    group = {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [function]}
    body: Any = {"model": "m", "input": [HI], "tools": [group]}
    (tool,) = translated("responses", body, "anthropic")["tools"]
    assert (tool["name"], tool["description"]) == ("agents__stop", "Agents.\n\nStops.")
    events: list[Event] = [
        Begin(id="a", model="m"),
        Calls(index=0, id="c", name="agents__stop"),
        Argues(0, "{}"),
        Ends(finish=Finish.TOOLS),
    ]
    (call,) = whole("anthropic", events, tools=[group])["output"]
    assert (call["namespace"], call["name"]) == ("agents", "stop")
    told = {"type": "function_call_output", "call_id": "c", "output": "done"}
    made = translated("responses", body | {"input": [HI, call, told]}, "anthropic")
    assert made["messages"][1]["content"][0]["name"] == "agents__stop"
    long = group | {"name": "n" * 60}
    with pytest.raises(Refused, match="too long behind its namespace"):
        translated("responses", body | {"tools": [long]}, "anthropic")


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"store": True}, "store"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[].type"),
        ({"input": [{"id": "msg_1"}]}, "input[].role"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "encrypted_content"),
    ],
)
def test_what_needs_a_memory_is_refused(more: dict[str, Any], name: str) -> None:
    """Nothing is stored here; `store = false` says the same and is fine."""
    with pytest.raises(Refused) as caught:
        translated("responses", {"model": "m", "input": "hi"} | more, "anthropic")
    assert name in str(caught.value)
    assert translated("responses", {"model": "m", "input": "hi", "store": False}, "anthropic")


@pytest.mark.parametrize(
    "body", [{"input": 7}, {"input": [7]}, {"text": {"format": {"type": "x"}}}]
)
def test_what_the_api_itself_refuses(body: dict[str, Any]) -> None:
    """Malformed, by its place."""
    with pytest.raises(Malformed, match=next(iter(body))):
        requests.translate("responses", body, target("gemini"), stream=False)
