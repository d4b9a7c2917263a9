"""Providers that speak OpenAI's Responses alone: what they are asked, and what they answer."""

import json
from typing import Any

import pytest

from proxy.gateway.translation import answers
from proxy.gateway.translation.answers import Between, Failed, Stream
from proxy.gateway.translation.events import Begin, Ends, Event, Finish, Said, Signed, Thinks, Used
from proxy.gateway.translation.framing import data_event
from proxy.gateway.translation.gathering import gathered
from proxy.gateway.translation.losses import Refused
from proxy.gateway.translation.neutral import Signature, Text, Thought, Use
from support.answered import heard
from support.media import CLOSED, PDF, PNG
from support.translation import translated

HI = {"role": "user", "content": "hi"}
ENCRYPTED = ["reasoning.encrypted_content"]


FORM = {"name": "shape", "schema": CLOSED, "strict": True}
CHAT = [
    {"role": "system", "content": "be brief"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what"},
            {"type": "image_url", "image_url": {"url": "https://e.org/a.png", "detail": "low"}},
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}},
        ],
    },
    {
        "role": "assistant",
        "content": "Hm.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "one"},
    {"role": "developer", "content": "now in French"},
    {"role": "assistant", "content": None, "refusal": "No."},
    {"role": "user", "content": "go on"},
]
FILE = {
    "type": "input_file",
    "filename": "document.pdf",
    "file_data": f"data:application/pdf;base64,{PDF}",
}


def answered_with(part: dict[str, str]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [part]}


ITEMS = [
    {"role": "system", "content": "be brief"},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "what"},
            {"type": "input_image", "image_url": "https://e.org/a.png", "detail": "low"},
            FILE,
        ],
    },
    answered_with({"type": "output_text", "text": "Hm."}),
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
    {"type": "function_call_output", "call_id": "c1", "output": "one"},
    {"role": "system", "content": "now in French"},
    answered_with({"type": "refusal", "refusal": "No."}),
    {"role": "user", "content": "go on"},
]


def test_a_conversation_of_chat_as_items() -> None:
    """Tools with their results, a picture and a file, a schema and the settings; nothing is
    stored, and no function is strict that was not."""
    same = {"parallel_tool_calls": False, "temperature": 0.5, "prompt_cache_key": "k"}
    body = same | {
        "model": "r",
        "messages": CHAT,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": FORM},
        "max_completion_tokens": 99,
        "verbosity": "low",
    }
    schema = CLOSED | {"title": "shape"}
    nothing = {"type": "object", "properties": {}}
    assert translated("openai", body, "responses") == same | {
        "model": "m",
        "store": False,
        "input": ITEMS,
        "tools": [{"type": "function", "name": "f", "parameters": nothing, "strict": False}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {
            "format": {"type": "json_schema", **FORM, "schema": schema},
            "verbosity": "low",
        },
        "max_output_tokens": 99,
    }


def test_what_claudes_tools_show_is_carried() -> None:
    """Pictures in a tool's result, and where the cached prompt ends."""
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    cache = {"cache_control": {"type": "ephemeral"}}
    used = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
    told = {"type": "tool_result", "tool_use_id": "t1", "content": "seen", **cache}
    shown = told | {"content": [{"type": "image", "source": source}]}
    for result, last in (
        (told, {"type": "input_text", "text": "seen"}),
        (shown, {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}),
    ):
        messages = [
            HI,
            {"role": "assistant", "content": [used]},
            {"role": "user", "content": [result]},
        ]
        made = translated("anthropic", {"max_tokens": 9, "messages": messages}, "responses")
        point = {"prompt_cache_breakpoint": {"mode": "explicit"}}
        assert made["input"][-1]["output"] == [last | point]


@pytest.mark.parametrize(
    ("api", "body", "reasoning"),
    [
        ("openai", {"messages": [HI]}, None),
        ("openai", {"messages": [HI], "reasoning_effort": "none"}, {"effort": "none"}),
        ("openai", {"messages": [HI], "reasoning_effort": "low"}, {"effort": "low"}),
        (
            "anthropic",
            {
                "max_tokens": 9,
                "messages": [HI],
                "thinking": {"type": "adaptive", "display": "summarized"},
            },
            {"summary": "auto"},
        ),
        (
            "anthropic",
            {"max_tokens": 9, "messages": [HI], "thinking": {"type": "disabled"}},
            {"effort": "none"},
        ),
        (
            "gemini",
            {
                "contents": [{"parts": [{"text": "hi"}]}],
                "generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}},
            },
            {"effort": "high"},
        ),
    ],
)
def test_thoughts_are_asked_for_where_there_are_some(
    api: str, body: Any, reasoning: dict[str, str] | None
) -> None:
    """Encrypted, so that the next turn can have them; models that do not reason refuse that."""
    made = translated(api, {"model": "r", **body}, "responses")
    assert made.get("reasoning") == reasoning
    wanted = reasoning not in (None, {"effort": "none"})
    assert made.get("include") == (ENCRYPTED if wanted else None)


@pytest.mark.parametrize("caller", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("summary", ["hm", ""])
def test_thoughts_come_back_to_their_signer(caller: str, summary: str) -> None:
    """Through a caller of any API, and to nobody else."""
    thought = Signature("responses", "gAAAA+/=")
    events: list[Event] = [Begin(id="a", model="m")]
    events += [Thinks(summary)] if summary else []
    events += [Signed(thought, hidden=not summary), Said("yes"), Ends(finish=Finish.STOP)]
    answer = gathered(events)
    says: Any = answers._says(Between(caller=caller, provider="responses")).whole(answer)
    if caller == "gemini":
        asked = {"role": "user", "parts": [{"text": "hi"}]}
        body: Any = {"contents": [asked, says["candidates"][0]["content"], asked]}
    else:
        message = says["choices"][0]["message"] if caller == "openai" else says
        turn = {k: v for k, v in message.items() if v is not None and k != "id"}
        turn = {k: turn[k] for k in ("role", "content", "reasoning_details") if k in turn}
        body = {"model": "r", "max_tokens": 9, "messages": [HI, turn, HI]}
    made = translated(caller, body, "responses")
    said = [{"type": "summary_text", "text": summary}] if summary else []
    assert made["input"][1] == {
        "type": "reasoning",
        "summary": said,
        "encrypted_content": "gAAAA+/=",
    }
    assert made["include"] == ENCRYPTED
    others = {"openai", "anthropic", "gemini"} - {caller}
    for other in others:
        with pytest.raises(Refused):
            translated(caller, body, other)


@pytest.mark.parametrize(
    ("more", "name"),
    [({"stop": "x"}, "stop"), ({"seed": 1}, "seed"), ({"n": 2}, "n"), ({"logprobs": True}, "log")],
)
def test_what_responses_lack_is_refused(more: dict[str, Any], name: str) -> None:
    """By its name; and left out where the route drops it."""
    body = {"model": "r", "messages": [HI], **more}
    with pytest.raises(Refused, match=name):
        translated("openai", body, "responses")
    assert "stop" not in translated("openai", body, "responses", *more)


# -- answers ----------------------------------------------------------------------------------

USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 5},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 8},
    "total_tokens": 42,
}
THOUGHT = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
    "encrypted_content": "gAAAA",
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Bonjour", "annotations": [], "logprobs": []}],
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "f",
    "arguments": '{"a":1}',
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "status": "completed",
    "model": "gpt-x",
    "error": None,
    "incomplete_details": None,
    "output": [THOUGHT, MESSAGE, CALL],
    "usage": USAGE,
}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "sequence_number": 0, **fields}


def pieces() -> list[dict[str, Any]]:
    """As OpenAI streams it."""
    begun = RESPONSE | {"status": "in_progress", "output": [], "usage": None}
    summary = [
        event(kind, output_index=0, item_id="rs_1", summary_index=at, **more)
        for at, text in enumerate(("one", "two"))
        for kind, more in (
            ("reasoning_summary_part.added", {"part": {"type": "summary_text", "text": ""}}),
            ("reasoning_summary_text.delta", {"delta": text[:1]}),
            ("reasoning_summary_text.delta", {"delta": text[1:]}),
            ("reasoning_summary_text.done", {"text": text}),
        )
    ]
    said = {"output_index": 1, "content_index": 0, "item_id": "msg_1"}
    called = {"output_index": 2, "item_id": "fc_1"}
    return [
        event("created", response=begun),
        event("in_progress", response=begun),
        event("output_item.added", output_index=0, item=THOUGHT | {"encrypted_content": ""}),
        *summary,
        event("output_item.done", output_index=0, item=THOUGHT),
        event("output_item.added", output_index=1, item=MESSAGE | {"content": []}),
        event("output_text.delta", delta="Bon", **said),
        event("output_text.delta", delta="jour", **said),
        event("output_text.done", text="Bonjour", **said),
        event("output_item.done", output_index=1, item=MESSAGE),
        event("output_item.added", output_index=2, item=CALL | {"arguments": ""}),
        event("function_call_arguments.delta", delta='{"a"', **called),
        event("function_call_arguments.delta", delta=":1}", **called),
        event("function_call_arguments.done", arguments='{"a":1}', **called),
        event("output_item.done", output_index=2, item=CALL),
        event("completed", response=RESPONSE),
    ]


def items() -> list[dict[str, Any]]:
    """Without pieces, as some servers do."""
    done = [
        event("output_item.done", output_index=at, item=item)
        for at, item in enumerate((THOUGHT, MESSAGE, CALL))
    ]
    return [*done, event("completed", response=RESPONSE)]


@pytest.mark.parametrize(
    "stream", [pieces(), items(), [event("completed", response=RESPONSE)], [RESPONSE]]
)
def test_an_answer_is_the_same_however_it_is_streamed(stream: list[dict[str, Any]]) -> None:
    """In pieces, by items, at its end, or not streamed at all: each thing once, in its order."""
    found = heard("responses", b"".join(map(data_event, stream)))
    assert found.parts == [
        Thought(field="", text="one\n\ntwo", signature=Signature("responses", "gAAAA")),
        Text(field="", text="Bonjour"),
        Use(field="", id="call_1", name="f", arguments='{"a":1}'),
    ]
    assert found.finish is Finish.TOOLS
    assert found.used == Used(input=15, cache_read=10, cache_write=5, output=4, reasoning=8)
    body = b"".join(map(data_event, stream))
    made, lost = answers.whole(body, Between(caller="openai", provider="responses"))
    (choice,) = json.loads(made)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Bonjour", "tool_calls")
    assert lost == ()


@pytest.mark.parametrize(
    ("change", "finish"),
    [
        ({"output": [MESSAGE]}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
        ),
        (
            {"output": [MESSAGE | {"content": [{"type": "refusal", "refusal": "No."}]}]},
            "content_filter",
        ),
    ],
)
def test_how_it_ended(change: dict[str, Any], finish: str) -> None:
    """In the caller's word for it."""
    made, _ = answers.whole(
        json.dumps(RESPONSE | change).encode(), Between(caller="openai", provider="responses")
    )
    assert json.loads(made)["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (RESPONSE | {"status": "in_progress", "output": []}, ValueError),
        (RESPONSE | {"status": "queued", "output": []}, ValueError),
        (RESPONSE | {"status": "cancelled"}, Failed),
        (
            RESPONSE | {"status": "failed", "error": {"code": "server_error", "message": "x"}},
            Failed,
        ),
        ({"object": "list"}, ValueError),
    ],
)
def test_what_is_no_answer(document: Any, error: type[Exception]) -> None:
    """What has not ended, or has failed, is never told as an answer."""
    with pytest.raises(error):
        answers.whole(json.dumps(document).encode(), Between(caller="openai", provider="responses"))


def test_what_nobody_else_can_be_told_is_listed() -> None:
    """Items of OpenAI's own tools, citations and probabilities."""
    part = MESSAGE["content"][0] | {"annotations": [{"type": "url_citation"}], "logprobs": [{}]}
    output = [{"type": "web_search_call", "id": "ws_1"}, MESSAGE | {"content": [part]}]
    body = json.dumps(RESPONSE | {"output": output}).encode()
    made, lost = answers.whole(body, Between(caller="anthropic", provider="responses"))
    assert json.loads(made)["content"] == [{"type": "text", "text": "Bonjour"}]
    assert lost == (
        "output[].type=web_search_call",
        "output[].content[].annotations",
        "output[].content[].logprobs",
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [("rate_limit_exceeded", "rate_limit_error"), ("server_error", "api_error")],
)
def test_an_error_after_content_ends_the_stream(code: str, kind: str) -> None:
    """As the caller's SDK raises it."""
    stream = Stream(Between(caller="anthropic", provider="responses"))
    begun = b"".join(map(data_event, pieces()[:12]))
    failed = {"type": "error", "code": code, "message": "Full", "param": None}
    said = stream.feed(begun) + stream.feed(data_event(failed)) + stream.close()
    assert stream.failed
    last = json.loads(said.rpartition(b"data: ")[2])
    assert last == {"type": "error", "error": {"type": kind, "message": "Full"}}
