"""Answers between the APIs: whole, streamed however the bytes are cut, broken, and failed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gateway.answers import decoded
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
from proxy.gateway.translation.gathering import Answer, gathered
from proxy.gateway.translation.neutral import (
    Signature,
    Target,
    Text,
    Thought,
    Use,
)
from support.answered import answered, cut, heard, said_by

DIALECTS = ("openai", "anthropic", "gemini")
PAIRS = [(a, b) for a in (*DIALECTS, "responses") for b in DIALECTS if a != b]


def meaning(answer: Answer) -> tuple[Any, ...]:
    """What of an answer all three can say; text and calls each in their own order."""
    parts = answer.parts
    return (
        "".join(p.text for p in parts if isinstance(p, Text)),
        "".join(p.text for p in parts if isinstance(p, Thought)),
        [(p.id, p.name, json.loads(p.arguments or "{}")) for p in parts if isinstance(p, Use)],
        answer.finish,
        answer.used,
    )


@given(answered(), st.sampled_from(PAIRS), st.lists(st.integers(0, 5000), max_size=12))
def test_streams_keep_their_meaning_however_they_are_cut(
    events: list[Event], pair: tuple[str, str], places: list[int]
) -> None:
    """The same bytes for any cut, and the same answer as the provider gave."""
    provider, caller = pair
    body = said_by(provider, events)
    between = Between(caller=caller, provider=provider, at=9)
    whole, pieces = Stream(between), Stream(between)
    once = whole.feed(body) + whole.close()
    assert b"".join([*map(pieces.feed, cut(body, places)), pieces.close()]) == once
    assert meaning(heard(caller, once)) == meaning(heard(provider, body))


@given(answered(), st.sampled_from(PAIRS))
def test_whole_answers_keep_their_meaning(events: list[Event], pair: tuple[str, str]) -> None:
    """Text, thoughts, calls, how it ended, and the tokens."""
    provider, caller = pair
    says = answers._says(Between(caller=provider, provider=""))
    body = json.dumps(says.whole(gathered(events))).encode()
    made, lost = answers.whole(body, Between(caller=caller, provider=provider))
    assert lost == ()
    before = gathered(answers._reads(provider).events(decoded(body)))
    after = gathered(answers._reads(caller).events(decoded(made)))
    assert meaning(after) == meaning(before)


@pytest.mark.parametrize(("provider", "caller"), PAIRS)
def test_a_broken_stream_gets_no_end(provider: str, caller: str) -> None:
    """Nor does one that ends before its provider said how."""
    events: list[Event] = [Begin(id="a", model="m"), Said("Bon"), Ends(finish=Finish.STOP)]
    ends = {"openai": b"[DONE]", "anthropic": b"message_stop", "gemini": b"finishReason"}
    whole = said_by(provider, events)
    stream = Stream(Between(caller=caller, provider=provider))
    at = whole.index(b"Bon")
    at = whole.index(b"\n\n", at) + 2
    said = stream.feed(whole[:at]) + stream.close()
    assert b"Bon" in said
    assert ends[caller] not in said


@pytest.mark.parametrize(("provider", "caller"), PAIRS)
def test_an_error_in_a_stream_is_the_callers(provider: str, caller: str) -> None:
    """And nothing follows it."""
    errors = {
        "openai": b'data: {"error":{"message":"Full","type":"server_error","code":null}}\n\n',
        "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
        b'"message":"Full"}}\n\n',
        "gemini": b'data: {"error":{"code":503,"message":"Full","status":"UNAVAILABLE"}}\n\n',
        "responses": b'data: {"type":"response.failed","response":{"status":"failed","error":'
        b'{"code":"server_error","message":"Full"}}}\n\n',
    }
    more = said_by(provider, [Begin(id="a", model="m"), Said("no")])
    stream = Stream(Between(caller=caller, provider=provider))
    said = stream.feed(errors[provider] + more) + stream.close()
    assert said.count(b"data: ") == 1
    document = decoded(said.partition(b"data: ")[2])
    error: Any = document["error"]
    assert error["message"] == "Full"
    assert (document.get("type") == "error") == (caller == "anthropic")
    assert ("status" in error) == (caller == "gemini")


def test_calls_that_are_streamed_at_once_come_one_after_another() -> None:
    """OpenAI may mix the pieces of parallel calls; Anthropic's blocks have an end each."""
    events: list[Event] = [
        Begin(id="a", model="m"),
        Calls(index=0, id="c0", name="f"),
        Calls(index=1, id="c1", name="g"),
        Argues(0, '{"a"'),
        Argues(1, '{"b"'),
        Said("by the way"),
        Argues(0, ":1}"),
        Argues(1, ":2}"),
        Ends(finish=Finish.TOOLS),
    ]
    stream = Stream(Between(caller="anthropic", provider="openai"))
    body = stream.feed(said_by("openai", events)) + stream.close()
    opened: list[int] = []
    for one in Events().feed(body):
        document: Any = json.loads(one)
        if document["type"] == "content_block_start":
            assert not opened
            opened.append(document["index"])
        elif document["type"] == "content_block_delta":
            assert opened == [document["index"]]
        elif document["type"] == "content_block_stop":
            opened.remove(document["index"])
    found = heard("anthropic", body)
    uses = [one for one in found.parts if isinstance(one, Use)]
    assert [(one.name, one.arguments) for one in uses] == [("f", '{"a":1}'), ("g", '{"b":2}')]
    assert [one.text for one in found.parts if isinstance(one, Text)] == ["by the way"]


def test_a_stream_as_a_list() -> None:
    """Gemini's callers without `alt=sse` read one growing JSON list."""
    events: list[Event] = [Begin(id="a", model="m"), Said("Bon"), Ends(finish=Finish.STOP)]
    stream = Stream(Between(caller="gemini", provider="openai", as_list=True))
    body = stream.feed(said_by("openai", events)) + stream.close()
    chunks = json.loads(body)
    assert chunks[0]["candidates"][0]["content"]["parts"] == [{"text": "Bon"}]
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("caller", ["openai", "gemini"])
def test_signed_thoughts_come_back_as_they_were(caller: str) -> None:
    """Anthropic's thoughts pass through a caller of another API, and back, byte for byte."""
    signature = Signature("anthropic", "EqQB+/=")
    events: list[Event] = [
        Begin(id="a", model="m"),
        Thinks("h"),
        Thinks("m"),
        Signed(signature),
        Signed(Signature("anthropic", "redacted=="), hidden=True),
        Said("yes"),
        Ends(finish=Finish.STOP),
    ]
    stream = Stream(Between(caller=caller, provider="anthropic"))
    body = stream.feed(said_by("anthropic", events)) + stream.close()
    whole, _ = answers.whole(
        json.dumps(
            answers._says(Between(caller="anthropic", provider="")).whole(gathered(events))
        ).encode(),
        Between(caller=caller, provider="anthropic"),
    )
    for turn in (_turn(caller, body, stream=True), _turn(caller, whole, stream=False)):
        assert _sent_on(caller, turn) == [
            {"type": "thinking", "thinking": "hm", "signature": "EqQB+/="},
            {"type": "redacted_thinking", "data": "redacted=="},
            {"type": "text", "text": "yes"},
        ]


def _turn(caller: str, body: bytes, *, stream: bool) -> dict[str, Any]:
    """The model's turn as a client keeps it."""
    documents: list[Any] = [json.loads(body)] if not stream else []
    if stream:
        found = (one for one in Events().feed(body) if one != b"[DONE]")
        documents = [json.loads(one) for one in found]
    if caller == "gemini":
        parts = [p for one in documents for p in one["candidates"][0]["content"]["parts"]]
        return {"role": "model", "parts": parts}
    if not stream:
        message: dict[str, Any] = documents[0]["choices"][0]["message"]
        return {key: value for key, value in message.items() if value is not None}
    deltas = [one["choices"][0]["delta"] for one in documents if one["choices"]]
    details = [d for delta in deltas for d in delta.get("reasoning_details", ())]
    text = "".join(delta.get("content") or "" for delta in deltas)
    return {"role": "assistant", "content": text, "reasoning_details": details}


def _sent_on(caller: str, turn: dict[str, Any]) -> Any:
    """The same turn as Anthropic gets it with the next question."""
    if caller == "gemini":
        asked = {"role": "user", "parts": [{"text": "hi"}]}
        body: dict[str, Any] = {"contents": [asked, turn, asked]}
    else:
        said = {"role": "user", "content": "hi"}
        body = {"model": "m", "messages": [said, turn, said]}
    target = Target(api="anthropic", provider="anthropic", model="m")
    made = requests.translate(caller, body, target, stream=False)
    return json.loads(made.body)["messages"][1]["content"]


GEMINI_TURN = [
    {"text": "hm", "thought": True},
    {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2lnbmVk"},
    {"functionCall": {"name": "g", "args": {}}},
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("caller", ["openai", "anthropic"])
def test_geminis_signatures_come_back_to_their_calls(caller: str, stream: bool) -> None:
    """Gemini refuses a call of a history whose signature is missing; others never see it."""
    candidate = {"content": {"parts": GEMINI_TURN}, "finishReason": "STOP"}
    document = {"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-3-pro"}
    between = Between(caller=caller, provider="gemini")
    if stream:
        one = Stream(between)
        body = one.feed(b"data: " + json.dumps(document).encode() + b"\n\n") + one.close()
        answer = heard(caller, body)
    else:
        body, _ = answers.whole(json.dumps(document).encode(), between)
        answer = gathered(answers._reads(caller).events(decoded(body)))
    says: Any = answers._says(Between(caller=caller, provider="")).whole(answer)
    hi = {"role": "user", "content": "hi"}
    asked: dict[str, Any] = {"model": "m", "max_tokens": 9}
    if caller == "openai":
        turn = {key: one for key, one in says["choices"][0]["message"].items() if one is not None}
    else:
        turn = {"role": "assistant", "content": says["content"]}
    target = Target(api="gemini", provider="gemini", model="gemini-3-pro")
    made = requests.translate(caller, asked | {"messages": [hi, turn, hi]}, target, stream=False)
    parts = json.loads(made.body)["contents"][1]["parts"]
    calls = [part for part in parts if "functionCall" in part]
    assert [one["functionCall"]["name"] for one in calls] == ["f", "g"]
    assert [one.get("thoughtSignature") for one in calls] == ["c2lnbmVk", None]
    assert [part for part in parts if part.get("thought")] == [{"text": "hm", "thought": True}]
