"""The gateway's door between dialects, byte by byte: what is sent, what comes back, who is next."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.exchange import Outcome
from support.gateway_bench import (
    KEYS,
    TOKEN,
    Script,
    answer,
    asking,
    door,
    error,
    events,
    options,
    said,
)

ASKED = {"model": "r", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-1",
    "content": [{"type": "text", "text": "Bonjour"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5},
}
START: Any = {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}}
BLOCK: Any = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "text", "text": ""},
}
END: Any = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 5},
}


def piece(text: str) -> Any:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


STREAM = events(START, BLOCK, piece("Bon"), piece("jour"), END, {"type": "message_stop"})


async def test_what_is_sent_is_the_providers(tmp_path: Path) -> None:
    """Path, credential, version and body; nothing of the caller's API is left."""
    script = Script({"c": [answer(200, MESSAGE, b"request-id: req_1\r\n")]})
    more = b"OpenAI-Organization: o\r\nAccept-Encoding: gzip\r\nX-Own: 1\r\n"
    async with door(tmp_path, script, options(tmp_path, "anthropic/c")) as b:
        found = await b.send(asking(ASKED, headers=more))
        (begun,) = b.journal.begun
    (seen,) = script.seen
    assert seen.line == b"POST /v1/messages HTTP/1.1"
    assert seen.header(b"x-api-key") == [KEYS["one"].encode()]
    assert seen.header(b"anthropic-version") == [b"2023-06-01"]
    assert seen.header(b"accept-encoding") == [b"identity"]
    assert seen.header(b"x-own") == [b"1"]
    assert not seen.header(b"openai-organization")
    assert not seen.header(b"authorization")
    assert json.loads(seen.body)["messages"] == [{"role": "user", "content": "Hi"}]
    document = json.loads(found.body)
    assert document["object"] == "chat.completion"
    assert document["choices"][0]["message"]["content"] == "Bonjour"
    assert (document["usage"]["prompt_tokens"], document["usage"]["completion_tokens"]) == (7, 5)
    assert found.header(b"request-id") == [b"req_1"]
    assert found.header(b"x-taximeter-candidate") == [b"anthropic/c"]
    assert begun.gateway is not None
    assert (begun.gateway.translated, begun.gateway.losses) == (True, ())
    assert begun.target == "/v1/messages"


async def test_gemini_has_the_model_in_its_path(tmp_path: Path) -> None:
    """To it and from it; the caller's query is not the provider's."""
    chunk = {"candidates": [{"content": {"parts": [{"text": "Bon"}]}, "finishReason": "STOP"}]}
    script = Script({"g": [events(chunk)], "c": [STREAM]})
    async with door(tmp_path, script, options(tmp_path, "gemini/g")) as b:
        found = await b.send(asking(stream=True))
    assert script.seen[0].line == b"POST /v1beta/models/g:streamGenerateContent?alt=sse HTTP/1.1"
    assert script.seen[0].header(b"x-goog-api-key") == [KEYS["one"].encode()]
    assert b'"content":"Bon"' in found.body
    body = {"contents": [{"parts": [{"text": "Hi"}]}]}
    path = "/gateway/v1beta/models/r:streamGenerateContent?alt=sse&key=secret"
    async with door(tmp_path, script, options(tmp_path, "anthropic/c")) as b:
        found = await b.send(asking(body, path=path))
    assert script.seen[1].line == b"POST /v1/messages HTTP/1.1"
    assert b'"text":"jour"' in found.body
    async with door(tmp_path, script, options(tmp_path, "gemini/g")) as b:
        await b.send(asking(body, path=path))
    assert script.seen[2].line == b"POST /v1beta/models/g:streamGenerateContent?alt=sse HTTP/1.1"
    assert json.loads(script.seen[2].body) == body


async def test_a_stream_is_translated_as_it_comes(tmp_path: Path) -> None:
    """With its end; a keep-alive connection lives on."""
    script = Script({"c": [STREAM]})
    async with door(tmp_path, script, options(tmp_path, "anthropic/c")) as b:
        for _ in range(2):
            found = await b.send(asking(stream=True))
            assert found.header(b"content-type") == [b"text/event-stream; charset=utf-8"]
            assert found.body.count(b'"content":"') == 3
            assert found.body.endswith(b"data: [DONE]\n\n")


async def test_a_broken_stream_stays_broken(tmp_path: Path) -> None:
    """The caller sees no clean end, nor does the row."""
    script = Script({"c": [events(START, BLOCK, piece("Bon"), end=False)]})
    async with door(tmp_path, script, options(tmp_path, "anthropic/c")) as b:
        reader, writer = await b.open()
        writer.write(asking(stream=True))
        data = await reader.read()
        assert (await b.ended()).outcome is Outcome.UPSTREAM_CUT
    assert b"Bon" in data
    assert b"[DONE]" not in data
    assert not data.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "first",
    [
        answer(529, {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}),
        events(START, {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}),
        answer(429, {"type": "error", "error": {"type": "rate_limit_error", "message": "no"}}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_failover_between_dialects(tmp_path: Path, first: bytes, stream: bool) -> None:
    """From a translated candidate to one that is not; each attempt's row says which it was."""
    chat = events(said("Bon")) if stream else answer(200, {"choices": [{"message": {}}]})
    script = Script({"c": [first], "a": [chat]})
    async with door(tmp_path, script, options(tmp_path, "anthropic/c", "a")) as b:
        found = await b.send(asking(stream=stream))
        notes = [one.gateway for one in b.journal.begun]
    assert found.line.split()[1] == b"200"
    assert script.models == ["c", "a"]
    assert [note.translated for note in notes if note] == [True, False]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/gateway/v1/chat/completions", ["error", "code"]),
        ("/gateway/v1beta/models/r:generateContent", ["error", "status"]),
    ],
)
async def test_errors_are_in_the_callers_dialect(
    tmp_path: Path, path: str, kind: list[str]
) -> None:
    """The provider's message and status, our headers."""
    mistake = {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}
    script = Script({"c": [answer(400, {"type": "error", "error": mistake})]})
    body = {"contents": [{"parts": [{"text": "Hi"}]}]} if "models" in path else ASKED
    async with door(tmp_path, script, options(tmp_path, "anthropic/c")) as b:
        found = await b.send(asking(body, path=path))
    assert found.line.split()[1] == b"400"
    document = json.loads(found.body)
    assert document["error"]["message"] == "prompt is too long: 9 > 8"
    expected = {"code": "context_length_exceeded", "status": "INVALID_ARGUMENT"}
    assert document["error"][kind[1]] == expected[kind[1]]
    assert found.header(b"x-should-retry") == [b"false"]


async def test_a_prompt_that_is_too_long_says_so_to_claude(tmp_path: Path) -> None:
    """Anthropic's clients know it by its text."""
    script = Script({"a": [answer(400, error("context_length_exceeded", "128000 tokens"))]})
    body = ASKED | {"max_tokens": 9}
    async with door(tmp_path, script, options(tmp_path, "a")) as b:
        found = await b.send(asking(body, path="/gateway/v1/messages"))
    assert json.loads(found.body)["error"]["message"] == "prompt is too long: 128000 tokens"


async def test_losses_are_listed_and_refusals_named(tmp_path: Path) -> None:
    """A candidate that can carry everything serves; with `drop`, the other one does too."""
    chat = answer(200, {"choices": [{"message": {"content": "hi"}}]})
    script = Script({"c": [answer(200, MESSAGE)], "a": [chat]})
    body = ASKED | {"seed": 7}
    async with door(tmp_path, script, options(tmp_path, "anthropic/c", "a")) as b:
        await b.send(asking(body))
    assert script.models == ["a"]
    async with door(tmp_path, script, options(tmp_path, "anthropic/c")) as b:
        found = await b.send(asking(body))
    assert found.line.split()[1] == b"400"
    assert b"it cannot carry seed;" in found.body
    async with door(tmp_path, script, options(tmp_path, "anthropic/c", drop=("seed",))) as b:
        found = await b.send(asking(body))
        (begun,) = b.journal.begun
    assert found.header(b"x-taximeter-losses") == [b"seed"]
    assert begun.gateway is not None
    assert begun.gateway.losses == ("seed",)


async def test_betas_are_listed(tmp_path: Path) -> None:
    """A header that only Anthropic's API has is left out and told."""
    script = Script({"a": [answer(200, {"choices": [{"message": {"content": "hi"}}]})]})
    body = ASKED | {"max_tokens": 9}
    request = asking(body, path="/gateway/v1/messages", headers=b"anthropic-beta: x-1\r\n")
    async with door(tmp_path, script, options(tmp_path, "a")) as b:
        found = await b.send(request)
    assert found.header(b"x-taximeter-losses") == [b"anthropic-beta"]
    assert not script.seen[0].header(b"anthropic-beta")


@pytest.mark.parametrize(
    "first",
    [
        answer(200, ["no"]),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\r\n\r\n",
    ],
)
async def test_what_is_no_answer_may_have_been_billed(tmp_path: Path, first: bytes) -> None:
    """It is not repeated, and the caller hears so."""
    script = Script({"c": [first], "a": [answer(200, {})]})
    async with door(tmp_path, script, options(tmp_path, "anthropic/c", "a")) as b:
        found = await b.send(asking(ASKED))
    assert found.line.split()[1] == b"504"
    assert found.header(b"x-should-retry") == [b"false"]
    assert script.models == ["c"]


async def test_encoded_answers_are_read(tmp_path: Path) -> None:
    """A provider that compresses unasked is understood all the same."""
    body = gzip.compress(json.dumps(MESSAGE).encode())
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with door(tmp_path, Script({"c": [head + body]}), options(tmp_path, "anthropic/c")) as b:
        found = await b.send(asking(ASKED))
    assert json.loads(found.body)["choices"][0]["message"]["content"] == "Bonjour"
    assert not found.header(b"content-encoding")


async def test_a_caller_that_reads_no_chunks_gets_the_stream_whole(tmp_path: Path) -> None:
    """HTTP/1.0 has no chunks."""
    request = asking(stream=True).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    async with door(tmp_path, Script({"c": [STREAM]}), options(tmp_path, "anthropic/c")) as b:
        found = await b.send(request)
    assert found.header(b"content-length")
    assert found.body.endswith(b"data: [DONE]\n\n")


async def test_a_signed_conversation_stays_with_its_signer(tmp_path: Path) -> None:
    """A thought that Gemini signed would break a call of Claude, in its own dialect too."""
    thought = {"type": "redacted_thinking", "data": "taximeter:gemini:c2ln"}
    hi = {"role": "user", "content": "Hi"}
    messages = [hi, {"role": "assistant", "content": [thought]}, hi]
    body = {"model": "r", "max_tokens": 9, "messages": messages}
    ended = {"content": {"parts": [{"text": "Bon"}]}, "finishReason": "STOP"}
    script = Script({"g": [answer(200, {"candidates": [ended]})], "c": [answer(200, MESSAGE)]})
    made = options(tmp_path, "anthropic/c", "gemini/g")
    async with door(tmp_path, script, made) as b:
        found = await b.send(asking(body, path="/gateway/v1/messages"))
    assert script.models == ["g"]
    assert json.loads(found.body)["content"] == [{"type": "text", "text": "Bon"}]


async def test_googles_sdk_reads_our_refusals(tmp_path: Path) -> None:
    """In the form of its own errors, with a status in words."""
    path = "/gateway/v1beta/models/nobody:generateContent"
    async with door(tmp_path, Script({}), options(tmp_path, "a")) as b:
        request = asking({"contents": []}, path=path).replace(
            b"Authorization: Bearer " + TOKEN.encode(), b"x-goog-api-key: " + TOKEN.encode()
        )
        found = await b.send(request)
    document = json.loads(found.body)
    assert document["error"]["code"] == 403
    assert document["error"]["status"] == "PERMISSION_DENIED"
    assert found.header(b"x-taximeter-error") == [b"forbidden_route"]


async def test_tokens_are_counted_where_nobody_else_would(tmp_path: Path) -> None:
    """Claude Code asks how long a prompt is; a route without Claude answers with our own count."""
    body = ASKED | {"messages": [{"role": "user", "content": "time people year"}]}
    path = "/gateway/v1/messages/count_tokens"
    script = Script({"c": [answer(200, {"input_tokens": 99})]})
    async with door(tmp_path, script, options(tmp_path, "gpt-4o")) as b:
        ours = await b.send(asking(body, path=path))
        assert not b.journal.begun
    assert json.loads(ours.body) == {"input_tokens": 10}
    assert ours.header(b"x-taximeter-counted") == [b"counted"]
    assert ours.header(b"x-taximeter-candidate") == [b"openai/gpt-4o"]
    async with door(tmp_path, script, options(tmp_path, "gpt-4o", "anthropic/c")) as b:
        theirs = await b.send(asking(body, path=path))
    assert json.loads(theirs.body) == {"input_tokens": 99}
    assert script.models == ["c"]


async def test_a_request_that_no_other_api_has_stays_in_its_dialect(tmp_path: Path) -> None:
    """Claude makes no embeddings: who speaks what is named."""
    body = {"model": "r", "input": "Hi"}
    async with door(tmp_path, Script({}), options(tmp_path, "anthropic/c")) as b:
        found = await b.send(asking(body, path="/gateway/v1/embeddings"))
    assert b"anthropic/c (dialect: it speaks anthropic)" in found.body


RESPONSES = "/gateway/v1/responses"
CHUNK = {"choices": [{"index": 0, "delta": {"content": "Bon"}, "finish_reason": None}]}
LAST = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


@pytest.mark.parametrize("provider", ["anthropic", "chatty"])
async def test_responses_at_providers_without_them(tmp_path: Path, provider: str) -> None:
    """In another dialect, or in OpenAI's where it is chat alone: whole and streamed."""
    chat = {"id": "x", "model": "c", "choices": [{"message": {"content": "Bonjour"}}]}
    first = MESSAGE if provider == "anthropic" else chat | {"usage": {"prompt_tokens": 7}}
    then = STREAM if provider == "anthropic" else events(chat | CHUNK, chat | LAST)
    script = Script({"c": [answer(200, first), then]})
    body = {"model": "r", "input": "Hi", "instructions": "brief", "prompt_cache_key": "k"}
    async with door(tmp_path, script, options(tmp_path, f"{provider}/c")) as b:
        found = await b.send(asking(body, path=RESPONSES))
        said = await b.send(asking(body | {"stream": True}, path=RESPONSES))
    (one, _) = script.seen
    path = b"messages" if provider == "anthropic" else b"chat/completions"
    assert one.line == b"POST /v1/%b HTTP/1.1" % path
    assert json.loads(one.body)["messages"][-1]["content"] == "Hi"
    document = json.loads(found.body)
    assert (document["object"], document["status"]) == ("response", "completed")
    assert document["output"][0]["content"][0]["text"] == "Bonjour"
    assert document["usage"]["input_tokens"] == 7
    assert document["instructions"] == "brief"
    assert found.header(b"x-taximeter-losses") == [b"prompt_cache_key"]
    assert said.header(b"content-type") == [b"text/event-stream; charset=utf-8"]
    assert b"event: response.completed" in said.body


async def test_responses_stay_as_they_are_where_they_are_spoken(tmp_path: Path) -> None:
    """Every byte but the model; unless another provider signed what is in them."""
    script = Script({"gpt": [answer(200, {"object": "response"})]})
    body = {"model": "r", "input": "Hi", "previous_response_id": "resp_1"}
    signed = [{"type": "reasoning", "summary": [], "encrypted_content": "taximeter:anthropic:s"}]
    async with door(tmp_path, script, options(tmp_path, "gpt")) as b:
        await b.send(asking(body, path=RESPONSES))
        refused = await b.send(asking(body | {"input": signed}, path=RESPONSES))
    (seen,) = script.seen
    assert seen.line == b"POST /v1/responses HTTP/1.1"
    assert json.loads(seen.body) == body | {"model": "gpt"}
    assert b"another provider signed" in refused.body


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/gateway/v1/messages", ("type", "taximeter_upstream_refused")),
        ("/gateway/v1beta/models/r:generateContent", ("status", "INTERNAL")),
    ],
)
async def test_our_own_errors_are_read_by_each_sdk(
    tmp_path: Path, path: str, kind: tuple[str, str]
) -> None:
    """A provider that cannot be reached, behind a translation."""
    body = {"contents": [{"parts": [{"text": "Hi"}]}]} if "models" in path else ASKED
    async with door(tmp_path, Script({}), options(tmp_path, "dead/a")) as b:
        found = await b.send(asking(body, path=path))
    error = json.loads(found.body)["error"]
    assert error[kind[0]] == kind[1]
    assert error["message"].startswith("Taximeter: ")
    assert found.header(b"x-taximeter-error") == [b"upstream_refused"]


async def test_a_provider_that_does_not_stream_is_streamed(tmp_path: Path) -> None:
    """The caller gets what it asked for, whichever of both the provider sends."""
    script = Script({"c": [answer(200, MESSAGE), STREAM]})
    async with door(tmp_path, script, options(tmp_path, "anthropic/c")) as b:
        streamed = await b.send(asking(stream=True))
        whole = await b.send(asking(stream=False))
    assert streamed.header(b"content-type") == [b"text/event-stream; charset=utf-8"]
    assert b'"content":"Bonjour"' in streamed.body
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    assert json.loads(whole.body)["choices"][0]["message"]["content"] == "Bonjour"


async def test_the_body_is_json_whatever_the_caller_called_it(tmp_path: Path) -> None:
    """As with curl, which calls everything a form."""
    script = Script({"c": [answer(200, MESSAGE)]})
    request = asking(ASKED).replace(b"application/json", b"application/x-www-form-urlencoded", 1)
    async with door(tmp_path, script, options(tmp_path, "anthropic/c")) as b:
        await b.send(request)
    assert script.seen[0].header(b"content-type") == [b"application/json"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_cannot_be_decoded_is_broken(tmp_path: Path, stream: bool) -> None:
    """Before its content it may have been billed; after it, the caller sees no clean end."""
    whole = gzip.compress(STREAM.partition(b"\r\n\r\n")[2] if stream else b"{}")
    kind = b"text/event-stream" if stream else b"application/json"
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: %b\r\n" % kind
    body = whole[:12] + b"\xff" * 40
    sent = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    async with door(tmp_path, Script({"c": [sent]}), options(tmp_path, "anthropic/c")) as b:
        found = await b.send(asking(stream=stream))
    assert found.line.split()[1] == b"504"


async def test_geminis_caller_without_events_gets_a_list(tmp_path: Path) -> None:
    """From a provider that streams, and from one that does not."""
    script = Script({"c": [STREAM, answer(200, MESSAGE)]})
    path = "/gateway/v1beta/models/r:streamGenerateContent"
    body = {"contents": [{"parts": [{"text": "Hi"}]}]}
    async with door(tmp_path, script, options(tmp_path, "anthropic/c")) as b:
        for _ in range(2):
            found = await b.send(asking(body, path=path))
            assert found.header(b"content-type") == [b"application/json"]
            chunks = json.loads(found.body)
            assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
