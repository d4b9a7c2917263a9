"""Other gateways as candidates of a route: how each is asked, and what of its answer passes on."""

import json
from pathlib import Path

import pytest

from support.gateway_bench import KEYS, Script, answer, asking, door, options

CHAT = {"id": "gen-1", "model": "m", "choices": [{"message": {"content": "Bonjour"}}]}
DOWN = answer(503, {"error": {"message": "no", "type": "server_error", "code": None}})
# How each is asked, and what it says of a call in its head.
# https://openrouter.ai/docs/guides/features/response-caching, https://portkey.ai/docs/api-reference,
# https://docs.litellm.ai/docs/proxy/response_headers (2026-11).  TokenMix has no head of its own.
ASKED = [
    ("openrouter", b"/api/v1", b"authorization", b"x-openrouter-cache-status: MISS"),
    ("litellm", b"/v1", b"authorization", b"x-litellm-response-cost: 4.2e-05"),
    ("portkey", b"/v1", b"x-portkey-api-key", b"x-portkey-provider: openai"),
    ("tokenmix", b"/v1", b"authorization", b"x-request-id: req-1"),
]


@pytest.mark.parametrize(("name", "base", "header", "told"), ASKED)
async def test_a_gateway_is_asked_like_any_provider(
    tmp_path: Path, name: str, base: bytes, header: bytes, told: bytes
) -> None:
    """At its own path, with its key where it reads it; what its head says reaches the caller."""
    script = Script({"m": [answer(200, CHAT, told + b"\r\n")], "a": [DOWN]})
    async with door(tmp_path, script, options(tmp_path, "a", f"{name}/m")) as b:
        found = await b.send(asking())
        notes = [begun.gateway for begun in b.journal.begun]
    assert [one.line for one in script.seen] == [
        b"POST /v1/chat/completions HTTP/1.1",
        b"POST %b/chat/completions HTTP/1.1" % base,
    ]
    (sent,) = script.seen[1].header(header)
    assert sent.removeprefix(b"Bearer ") == KEYS["one"].encode()
    said, _, value = told.partition(b": ")
    assert found.header(said) == [value]
    assert json.loads(found.body) == CHAT
    assert [note.candidate for note in notes if note] == ["openai/a", f"{name}/m"]


@pytest.mark.parametrize(("name", "base"), [(name, base) for name, base, _, _ in ASKED])
async def test_claudes_callers_reach_it_too(tmp_path: Path, name: str, base: bytes) -> None:
    """Translated, as it speaks OpenAI's dialect."""
    script = Script({"m": [answer(200, CHAT)]})
    body = {"model": "r", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    async with door(tmp_path, script, options(tmp_path, f"{name}/m")) as b:
        found = await b.send(asking(body, path="/gateway/v1/messages"))
    assert script.seen[0].line == b"POST %b/chat/completions HTTP/1.1" % base
    assert json.loads(found.body)["content"] == [{"type": "text", "text": "Bonjour"}]
