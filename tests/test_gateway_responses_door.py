"""The gateway's door before a provider that speaks OpenAI's Responses alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.gateway.options import ModelFacts
from support.gateway_bench import KEYS, Script, answer, asking, door, error, events, options, said

CHAT = "/gateway/v1/chat/completions"
MESSAGES = "/gateway/v1/messages"
GEMINI = "/gateway/v1beta/models/r:generateContent"
HI: Any = [{"role": "user", "content": "Hi"}]
ASKED: dict[str, Any] = {
    CHAT: {"model": "r", "messages": HI},
    MESSAGES: {"model": "r", "max_tokens": 9, "messages": HI},
    GEMINI: {"contents": [{"parts": [{"text": "Hi"}]}]},
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "status": "completed",
    "model": "gpt-x",
    "output": [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Bonjour", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12},
}
BEGUN = RESPONSE | {"status": "in_progress", "output": [], "usage": None}
CREATED = {"type": "response.created", "response": BEGUN}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0}
STREAM = events(
    CREATED,
    DELTA | {"delta": "Bon"},
    DELTA | {"delta": "jour"},
    {"type": "response.completed", "response": RESPONSE},
)
FULL = {"code": "server_error", "message": "Full"}
FAILED = {"type": "response.failed", "response": BEGUN | {"status": "failed", "error": FULL}}


@pytest.mark.parametrize("path", ASKED)
async def test_every_caller_is_served(tmp_path: Path, path: str) -> None:
    """Asked in Responses, answered in the caller's own words; the row says so."""
    script = Script({"x": [answer(200, RESPONSE)]})
    async with door(tmp_path, script, options(tmp_path, "lone/x")) as b:
        found = await b.send(asking(ASKED[path], path=path))
        (begun,) = b.journal.begun
    (seen,) = script.seen
    assert seen.line == b"POST /v1/responses HTTP/1.1"
    assert seen.header(b"authorization") == [b"Bearer " + KEYS["one"].encode()]
    asked = json.loads(seen.body)
    assert (asked["model"], asked["input"], asked["store"]) == ("x", HI, False)
    assert b"Bonjour" in found.body
    assert b"resp_1" in found.body
    assert not found.header(b"x-taximeter-losses")
    assert begun.gateway is not None
    assert begun.gateway.translated
    assert begun.target == "/v1/responses"


async def test_a_stream_is_translated_as_it_comes(tmp_path: Path) -> None:
    """With its end, and with the tokens that its last event states."""
    body = ASKED[CHAT] | {"stream": True, "stream_options": {"include_usage": True}}
    async with door(tmp_path, Script({"x": [STREAM]}), options(tmp_path, "lone/x")) as b:
        found = await b.send(asking(body))
    assert found.header(b"content-type") == [b"text/event-stream; charset=utf-8"]
    assert b'"content":"Bon"' in found.body
    assert b'"prompt_tokens":7,"completion_tokens":5' in found.body
    assert found.body.endswith(b"data: [DONE]\n\n")


async def test_its_own_callers_pass_as_they_are(tmp_path: Path) -> None:
    """Every byte but the model, state and all."""
    script = Script({"x": [answer(200, RESPONSE)]})
    body = {"model": "r", "input": "Hi", "previous_response_id": "resp_0"}
    async with door(tmp_path, script, options(tmp_path, "lone/x")) as b:
        found = await b.send(asking(body, path="/gateway/v1/responses"))
    assert json.loads(script.seen[0].body) == body | {"model": "x"}
    assert json.loads(found.body) == RESPONSE


async def test_embeddings_are_no_conversation(tmp_path: Path) -> None:
    """They pass as they are."""
    script = Script({"x": [answer(200, {"data": []})]})
    async with door(tmp_path, script, options(tmp_path, "lone/x")) as b:
        await b.send(asking({"model": "r", "input": "Hi"}, path="/gateway/v1/embeddings"))
    assert script.seen[0].line == b"POST /v1/embeddings HTTP/1.1"


async def test_one_model_of_a_provider(tmp_path: Path) -> None:
    """OpenAI has chat completions for most of its models, and Responses alone for some."""
    made = options(tmp_path, "pro", "mini")
    facts = ModelFacts(name="openai/pro", responses_only=True)
    made = replace(made, models={"openai/pro": facts})
    chat = answer(200, {"choices": [{"message": {"content": "hi"}}]})
    script = Script({"pro": [answer(503, error("server_error"))], "mini": [chat]})
    async with door(tmp_path, script, made) as b:
        await b.send(asking(ASKED[CHAT]))
        notes = [one.gateway for one in b.journal.begun]
    assert [one.line for one in script.seen] == [
        b"POST /v1/responses HTTP/1.1",
        b"POST /v1/chat/completions HTTP/1.1",
    ]
    assert [note.translated for note in notes if note] == [True, False]


async def test_a_failure_before_content_fails_over(tmp_path: Path) -> None:
    """Though the stream had begun well."""
    script = Script({"x": [events(CREATED, FAILED)], "a": [events(said("Bon"))]})
    async with door(tmp_path, script, options(tmp_path, "lone/x", "a")) as b:
        found = await b.send(asking(ASKED[CHAT] | {"stream": True}))
    assert script.models == ["x", "a"]
    assert b"Bon" in found.body


async def test_what_responses_lack_is_refused_or_listed(tmp_path: Path) -> None:
    """By its name, and in the row."""
    script = Script({"x": [answer(200, RESPONSE)]})
    body = ASKED[CHAT] | {"stop": "x"}
    async with door(tmp_path, script, options(tmp_path, "lone/x")) as b:
        found = await b.send(asking(body))
    assert found.line.split()[1] == b"400"
    assert b"it cannot carry stop;" in found.body
    async with door(tmp_path, script, options(tmp_path, "lone/x", drop=("stop",))) as b:
        found = await b.send(asking(body))
        (begun,) = b.journal.begun
    assert found.header(b"x-taximeter-losses") == [b"stop"]
    assert begun.gateway is not None
    assert begun.gateway.losses == ("stop",)
