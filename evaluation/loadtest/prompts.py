"""Bodies of requests: words of one token each, another text every time, in each dialect.

Equal prompts would be answered from caches; here only what the mix says is cached is repeated.
"""

from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Any

from evaluation.checks.case import Message, Tool
from evaluation.loadtest.mix import Request
from evaluation.runs import wire
from proxy.settings.config import Provider

# Each is one token with the space before it, in OpenAI's vocabularies; elsewhere nearly so.
WORDS = (
    *("time", "year", "people", "way", "day", "man", "thing", "life", "child", "world"),
    *("school", "state", "family", "group", "country", "problem", "hand", "part", "place", "case"),
    *(
        "week",
        "company",
        "system",
        "program",
        "question",
        "work",
        "number",
        "night",
        "point",
        "home",
    ),
    *("water", "room", "money", "story", "fact", "month", "lot", "right", "study", "book"),
)
TOOL = Tool(
    name="find_order",
    description="Finds an order by its number.",
    parameters={"type": "object", "properties": {"number": {"type": "string"}}},
)
ASK = "Go on in the manner of this text, at length:"


def outgoing(
    provider: Provider, model: str, request: Request, seed: str, *, gateway: bool = False
) -> wire.Outgoing:
    """The request in the provider's dialect; through the gateway, at its path."""
    fresh = max(request.input_tokens - request.cached_tokens, 1)
    messages = [Message("user", f"{ASK} {_text(fresh, seed)}")]
    if request.cached_tokens:
        prefix = _prefix(request.cached_tokens, f"prefix {request.prefix}")
        messages.insert(0, Message("system", prefix))
    said = wire.Conversation(
        model=model,
        messages=messages,
        max_tokens=request.output_tokens,
        tools=(TOOL,) if request.tools else (),
    )
    made = wire.request(provider, said)
    path, body = made.path, dict(made.body)
    if provider.dialect == "gemini":
        if request.stream:
            path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    elif request.stream:
        body["stream"] = True
        if provider.dialect != "anthropic":
            body["stream_options"] = {"include_usage": True}
    if provider.dialect == "anthropic" and "system" in body:
        body["system"] = [_cached(str(body["system"]))]
    if gateway:
        path = "/v1/messages" if provider.dialect == "anthropic" else "/v1/chat/completions"
    return wire.Outgoing(path, made.headers, body)


def _cached(text: str) -> Mapping[str, Any]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}


@lru_cache(maxsize=256)  # prefixes come again and again
def _prefix(words: int, seed: str) -> str:
    return _text(words, seed)


def _text(words: int, seed: str) -> str:
    return " ".join(Random(seed).choices(WORDS, k=words))
