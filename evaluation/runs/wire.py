"""What to send for a case and how to read the answer, in the dialects that a run can speak.

No I/O.  Keys are added by the sender and are never part of what this makes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from evaluation.checks.case import Answer, Message, Tool, ToolCall
from proxy.door.targets import credential
from proxy.settings.config import Provider

Json = dict[str, Any]

CONTENT_FILTER = ("content_filter", "content_policy_violation")  # OpenAI's and Azure's error codes


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What is said to a model."""

    model: str
    messages: Sequence[Message]
    max_tokens: int
    tools: Sequence[Tool] = ()
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request: the path below the provider, headers without a key, and the body."""

    path: str
    headers: Mapping[str, str]
    body: Json


def speaks(provider: Provider) -> bool:
    """Whether a run can call this provider."""
    return provider.dialect in WRITERS


def request(provider: Provider, said: Conversation) -> Outgoing:
    """The request in the provider's dialect."""
    return WRITERS[provider.dialect](provider, said)


def answer(provider: Provider, document: Json) -> Answer:
    """The answer in a response.  Raises ValueError if it has none."""
    try:
        return READERS[provider.dialect](document)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError("the response has no answer in the expected form") from error


def key_header(provider: Provider, key: str) -> dict[str, str]:
    """How the key is sent; nothing without one."""
    if not key:
        return {}
    name, value = credential(provider, key)
    return {name.decode().lower(): value.decode()}


def filtered(document: object) -> bool:
    """Whether an error says that the provider's own filter stopped the request: a refusal."""
    error = document.get("error") if isinstance(document, dict) else None
    return isinstance(error, dict) and error.get("code") in CONTENT_FILTER


def _openai(provider: Provider, said: Conversation) -> Outgoing:
    limit = "max_completion_tokens" if provider.name in ("openai", "azure") else "max_tokens"
    body: Json = {
        "model": said.model,
        "messages": [{"role": m.role, "content": m.content} for m in said.messages],
        limit: said.max_tokens,
    }
    if said.temperature is not None:
        body["temperature"] = said.temperature
    if said.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters or {"type": "object", "properties": {}},
                },
            }
            for tool in said.tools
        ]
    return Outgoing(f"{provider.api_path}/chat/completions", {}, body)


def _openai_answer(document: Json) -> Answer:
    choice = document["choices"][0]
    message = choice["message"]
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return Answer(
        text=message.get("content") or message.get("refusal") or "",
        stop_reason=choice.get("finish_reason") or "",
        refused=bool(message.get("refusal")),
        tool_calls=[ToolCall(call["name"], _decoded(call.get("arguments"))) for call in calls],
    )


def _decoded(arguments: object) -> object:
    if not isinstance(arguments, str):
        return arguments
    try:
        return msgspec.json.decode(arguments or "{}")
    except msgspec.DecodeError:
        return None


def _anthropic(provider: Provider, said: Conversation) -> Outgoing:
    system = "\n\n".join(m.content for m in said.messages if m.role == "system")
    body: Json = {
        "model": said.model,
        "max_tokens": said.max_tokens,
        "messages": [
            {"role": m.role, "content": m.content} for m in said.messages if m.role != "system"
        ],
    }
    if system:
        body["system"] = system
    if said.temperature is not None:
        body["temperature"] = said.temperature
    if said.tools:
        body["tools"] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.parameters or {"type": "object", "properties": {}},
            }
            for tool in said.tools
        ]
    return Outgoing(f"{provider.api_path}/messages", {"anthropic-version": "2023-06-01"}, body)


def _anthropic_answer(document: Json) -> Answer:
    blocks = document["content"]
    return Answer(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        stop_reason=document.get("stop_reason") or "",
        tool_calls=[
            ToolCall(block["name"], block["input"])
            for block in blocks
            if block["type"] == "tool_use"
        ],
    )


def _gemini(provider: Provider, said: Conversation) -> Outgoing:
    roles = {"user": "user", "assistant": "model"}
    system = [{"text": m.content} for m in said.messages if m.role == "system"]
    limits: Json = {"maxOutputTokens": said.max_tokens}
    if said.temperature is not None:
        limits["temperature"] = said.temperature
    body: Json = {
        "contents": [
            {"role": roles[m.role], "parts": [{"text": m.content}]}
            for m in said.messages
            if m.role in roles
        ],
        "generationConfig": limits,
    }
    if system:
        body["systemInstruction"] = {"parts": system}
    if said.tools:
        declared = [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in said.tools
        ]
        body["tools"] = [{"functionDeclarations": declared}]
    return Outgoing(f"{provider.api_path}/models/{said.model}:generateContent", {}, body)


def _gemini_answer(document: Json) -> Answer:
    if blocked := (document.get("promptFeedback") or {}).get("blockReason"):
        return Answer(text="", stop_reason=str(blocked).lower(), refused=True)
    candidate = document["candidates"][0]
    parts = (candidate.get("content") or {}).get("parts") or ()
    return Answer(
        text="".join(part.get("text", "") for part in parts if not part.get("thought")),
        stop_reason=str(candidate.get("finishReason") or "").lower(),
        tool_calls=[
            ToolCall(part["functionCall"]["name"], part["functionCall"].get("args"))
            for part in parts
            if "functionCall" in part
        ],
    )


WRITERS: Mapping[str, Callable[[Provider, Conversation], Outgoing]] = {
    "openai": _openai,
    "ollama": _openai,  # which has OpenAI's paths too
    "anthropic": _anthropic,
    "gemini": _gemini,
}
READERS: Mapping[str, Callable[[Json], Answer]] = {
    "openai": _openai_answer,
    "ollama": _openai_answer,
    "anthropic": _anthropic_answer,
    "gemini": _gemini_answer,
}
