"""Content capture keeps what was said, where it is asked to, and no secret with it.

Each place where a secret can stand in what is said has a canary of its own, which is then looked
for in everything that the running product writes, serves and sends.
"""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from test_secrets import (
    RETIRED_S,
    SWITCHED,
    Canaries,
    Product,
    contents,
    dump,
    open_to_others,
)
from test_secrets import until as wait_until

from evaluation.standin import processes
from support.otlp_receiver import HttpServer, Receiver
from support.patience import PATIENCE_S
from support.relay_bench import listening, read_message

CHAT, REALTIME = "/openai/v1/chat/completions", "/openai/v1/realtime?model=m"
JSON_HEAD = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"


def escaped(text: str) -> str:
    """Every character as \\u00XX: what it is only shows after decoding."""
    return "".join(f"\\u{ord(character):04x}" for character in text)


def frame(payload: bytes, *, masked: bool) -> bytes:
    """A WebSocket text message; the mask of a caller is zeros."""
    mask = 0x80 if masked else 0
    size = len(payload)
    head = bytes((0x81, mask | size)) if size < 126 else struct.pack(">BBH", 0x81, mask | 126, size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


def pieces(text: str, size: int = 3) -> Iterator[str]:
    for at in range(0, len(text), size):
        yield text[at : at + size]


def stream(answers: dict[str, str]) -> bytes:
    """The answers in turn, in pieces: two choices, reasoning, the arguments of a tool."""
    deltas: list[dict[str, Any]] = []
    for a, b in zip(pieces(answers["a"]), pieces(answers["b"]), strict=False):
        deltas.append({"choices": [{"index": 0, "delta": {"content": a}}]})
        deltas.append({"choices": [{"index": 1, "delta": {"reasoning_content": b}}]})
        call = {"index": 0, "function": {"arguments": a}}
        deltas.append({"choices": [{"index": 1, "delta": {"tool_calls": [call]}}]})
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    deltas.append({"choices": [], "usage": usage})
    events = [f"data: {json.dumps(delta)}\n\n" for delta in deltas]
    return ("".join(events) + "data: [DONE]\n\n").encode()


async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A provider that answers with what it was told to; an error if it was told `denied`."""
    request = await read_message(reader)
    if b"realtime" in request.line:
        writer.write(SWITCHED)
        head = await reader.readexactly(4)
        asked = await reader.readexactly(4 + struct.unpack(">H", head[2:])[0])
        for piece in pieces(json.loads(asked[4:])["answer"], 5):
            event = {"type": "response.output_text.delta", "item_id": "i", "delta": piece}
            writer.write(frame(json.dumps(event).encode(), masked=False))
        await reader.readexactly(6)
        writer.write(b"\x88\x00")
    elif b'"denied"' in request.body:
        told = json.loads(request.body)["denied"]
        error = json.dumps({"error": {"message": told, "type": "invalid_request_error"}}).encode()
        writer.write(JSON_HEAD % (b"400 Bad Request", len(error)) + error)
    elif b'"stream"' in request.body:
        events = stream(json.loads(request.body)["answers"])
        writer.write(STREAM_HEAD % len(events) + events)
    else:
        told = request.body.partition(b'"answer":')[2].strip().removesuffix(b"}")
        answer = b'{"model":"gpt-4o-mini","choices":[{"message":{"content":%b}}]}' % told
        writer.write(JSON_HEAD % (b"200 OK", len(answer)) + answer)
    await writer.drain()
    writer.close()


@asynccontextmanager
async def product(folder: Path, content: str) -> AsyncIterator[Product]:
    """The product as processes, with this table of settings for content."""
    spans = Receiver()
    console_token = "console-token-of-this-test"
    with ExitStack() as stack:
        async with listening(upstream) as port, HttpServer(spans) as collector:
            settings = (
                f'[console]\ntoken = "{console_token}"\n[otlp]\nendpoint = "{collector.endpoint}"\n'
                "[journal]\nsegment_age_max_s = 0.2\n[store]\nbatch_age_max_s = 0.05\n"
                f"[content]\n{content}\n"
            )
            running = processes.serve(
                folder, {"openai": f"http://127.0.0.1:{port}"}, settings=settings
            )
            served = await asyncio.to_thread(stack.enter_context, running)
            yield Product(served, port, spans, Canaries(), Canaries(), console_token, "x" * 16)
            await asyncio.to_thread(stack.close)


def prompt(keys: Canaries, said: Canaries) -> str:
    """A request with a secret in every place that a document has; keys of forms, names, kinds."""
    arguments = json.dumps({"api_key": keys.new("argument by name"), "q": keys.key("argument")})
    inner = json.dumps({"headers": {"Authorization": f"Bearer {keys.new('bearer in JSON')}"}})
    body = {
        "model": "gpt-4o-mini",
        "messages": [
            {
                "role": "system",
                "content": f"You are {said.new('system')}. {keys.key('system key')}",
            },
            {
                "role": "assistant",
                "tool_calls": [{"function": {"name": "f", "arguments": arguments}}],
            },
            {"role": "tool", "content": [{"type": "text", "text": inner}]},
            {
                "role": "user",
                "content": f"{said.new('prompt')}: mail {keys.new('email')}@mail.example.com,"
                f" password={keys.new('password')} or"
                f" https://me:{keys.new('url')}@host.example/, EMP-{keys.new('own pattern')}",
            },
        ],
        "metadata": {f"{keys.new('key')}@mail.example.com": "x", "secret": [keys.new("list")]},
        "escaped": "HERE",
    }
    text = json.dumps(body).replace('"HERE"', f'"{escaped(keys.key("escaped"))}"')
    answer = escaped(f"{keys.key('escaped answer')} {said.new('answer')}")
    return f'{text.removesuffix("}")},"answer":"{answer}"}}'


async def traffic(product: Product) -> int:
    """Calls of every kind; how many, besides a socket without a response: a span, and no call."""
    keys, said = product.keys, product.said
    await product.post(CHAT, prompt(keys, said))
    answers = {
        "a": f"{said.new('delta')} {keys.key('delta')} " + "x" * 40,
        "b": f"{said.new('reasoning')} token: {keys.new('reasoning')}"
        f" {keys.new('mail')}@mail.example.com ",
    }
    asked = json.dumps({"model": "m", "stream": True, "answers": answers})
    await product.post(CHAT, asked)
    denied = f"{said.new('error')}: Incorrect API key provided: {keys.new('error by name')}, " + (
        f"contact {keys.new('error mail')}@mail.example.com or {keys.key('error key')}"
    )
    await product.post(CHAT, json.dumps({"model": "m", "denied": denied}))
    await converse(product)
    await product.post(
        CHAT, json.dumps({"model": "m", "messages": keys.new("left out"), "answer": "x"}),
        "x-taximeter-content: off",
    )  # fmt: skip
    return 4


async def converse(product: Product) -> None:
    """A WebSocket: what the caller sends, and what the model says in pieces."""
    keys, said = product.keys, product.said
    port = int(product.served.proxy_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"GET {REALTIME} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    message = {
        "type": "conversation.item.create",
        "item": {"text": f"{said.new('message')} {keys.key('message')}", "x": "y" * 100},
        "answer": f"{said.new('spoken')} {keys.key('spoken')} done",
    }
    writer.write(head.encode() + frame(json.dumps(message).encode(), masked=True))
    await asyncio.sleep(0.5)
    writer.write(b"\x88\x80\0\0\0\0")
    await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()


ON = "capture = true\npatterns = { employee = 'EMP-\\w+' }"


@pytest.mark.slow
async def test_canaries_of_content(tmp_path: Path) -> None:
    """What was said is in `contents` and nowhere else; what is secret in it is nowhere at all."""
    async with product(tmp_path, ON) as running:
        keys, said, data = running.keys, running.said, running.served.data / "data"
        calls = await traffic(running)
        await wait_until(lambda: len(running.rows()) == calls, "rows are missing")
        await wait_until(lambda: len(running.spans.spans) == calls + 1, "spans are missing")
        journals = [data / "calls", data / "contents", data / "records"]
        await wait_until(
            lambda: not any(keys.found(contents(j)) + said.found(contents(j)) for j in journals),
            "what was said is still in a journal",
            RETIRED_S,
        )
        rows = running.rows()
        named = [one for span in running.spans.spans for one in span.attributes]
        ids = {one.value.string_value for one in named if one.key == "taximeter.call.id"}
        (socket,) = ids - {row["call_id"] for row in rows}
        kept = json.loads(running.ask(f"/api/calls/{socket}/content"))
        assert kept["request"].startswith('{"type":"conversation.item.create"')
        shown = b"".join(running.ask(f"/api/calls/{call_id}/content") for call_id in ids)
        others = [
            running.ask("/api/calls?limit=1000"),
            *(running.ask(f"/api/calls/{row['call_id']}") for row in rows),
            running.ask("/api/health"),
            running.ask("/metrics"),
        ]
        health = json.loads(running.ask("/api/health"))["parts"]["content"]
        modes = open_to_others(data)
    tables = dump(data).splitlines()
    stored = [json.loads(line) for line in tables if b'"request_cut"' in line]
    rest = b"\n".join(line for line in tables if b'"request_cut"' not in line)
    places = {
        "answers": b"\n".join(others),
        "spans": b"".join(r.SerializeToString() for r in running.spans.requests),
        "logs": running.served.log.read_bytes(),
        "journals": contents(data / "contents") + contents(data / "state"),
        "other tables": rest,
    }
    found = {name: {*keys.found(text), *said.found(text)} for name, text in places.items()}
    # What the provider repeated of the request is cut out of its error message.
    assert found == {name: set() for name in places}
    kept_texts = json.dumps(stored).encode()
    assert keys.found(kept_texts + shown) == []
    assert sorted(said.found(kept_texts)) == sorted(said.made)
    assert (health["captured"], health["dropped"], len(stored)) == (4, 0, 4)
    assert health["redactions"].keys() >= {"credential", "email", "employee"}
    assert modes == []


@pytest.mark.slow  # the same is seen, shorter, in test_secrets.py
async def test_nothing_is_kept_unless_asked(tmp_path: Path) -> None:
    """With capture off, as it is by default, the table stays empty and no journal is begun."""
    async with product(tmp_path, "") as running:
        calls = await traffic(running)
        await wait_until(lambda: len(running.rows()) == calls, "rows are missing")
        (row, *_) = running.rows()
        asked = json.loads(running.ask(f"/api/calls/{row['call_id']}/content"))
        health = json.loads(running.ask("/api/health"))["parts"]
        data = running.served.data / "data"
    assert "no content for this call" in asked["error"]
    assert "content" not in health
    assert not (data / "contents").exists()
    assert not [line for line in dump(data).splitlines() if b"request_cut" in line]
