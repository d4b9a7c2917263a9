"""Writes requests of OpenAI's chat completions, for OpenAI and for others of its dialect."""

from collections.abc import Iterator, Sequence

from proxy.gateway.translation import openai_made, settings
from proxy.gateway.translation.ids import fitting
from proxy.gateway.translation.losses import Losses
from proxy.gateway.translation.media import as_url, audio_format, is_public
from proxy.gateway.translation.neutral import (
    Ask,
    Media,
    Part,
    Result,
    Settings,
    Signature,
    Target,
    Text,
    Thought,
    Tool,
    Turn,
    Use,
    spoken,
)
from proxy.gateway.translation.openai_made import NO_URL, OWN, SIGNED, file_name
from proxy.gateway.translation.signatures import NAMES

Json = dict[str, object]
UNASKED = ("mistral",)  # says what was used unasked, and takes no such option


def write(ask: Ask, target: Target, losses: Losses) -> Json:
    """The body; what it cannot have is lost."""
    body: Json = {"model": target.model, "messages": [*_messages(ask, target, losses)]}
    if ask.tools:
        body["tools"] = [_tool(one, losses) for one in ask.tools]
    _settings(Settings(ask.settings, losses), target, body)
    if ask.stream:
        body["stream"] = True
        if target.provider not in UNASKED:  # whoever reads it may need the numbers
            body["stream_options"] = {"include_usage": True}
    return body


def _settings(left: Settings, target: Target, body: Json) -> None:
    left.copy(settings.OPENAI, body)
    own = target.provider in OWN
    left.copy({"max_tokens": "max_completion_tokens" if own else "max_tokens"}, body)
    left.copy({"stop": "stop", "user": "user", "tier": "service_tier"}, body)
    left.copy({"verbosity": "verbosity"} if own else {}, body)
    openai_made.cache_key(left, target, body)
    if effort := openai_made.effort(left):
        body["reasoning_effort"] = effort
    if left.peek("show_thoughts") is False or not own:
        left.take("show_thoughts")  # others than OpenAI show what they think unasked
    word, name = openai_made.choice(left)
    if word or name:
        body["tool_choice"] = word or {"type": "function", "function": {"name": name}}
    if left.take("parallel") is False:
        body["parallel_tool_calls"] = False
    if left.take("json_mode"):
        body["response_format"] = {"type": "json_object"}
    if form := openai_made.schema(left):
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    left.rest()


def _tool(tool: Tool, losses: Losses) -> Json:
    if tool.cache is not None:
        losses.lose(tool.cache.field)
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _messages(ask: Ask, target: Target, losses: Losses) -> Iterator[Json]:
    if ask.system:
        yield {"role": "system", "content": _content(ask.system, target, losses)}
    for turn in ask.turns:
        if turn.role == "assistant":
            yield _assistant(turn, target, losses)
        elif turn.role == "system":
            said = spoken(turn.parts, losses)
            yield {"role": "system", "content": _content(said, target, losses)}
        else:
            yield from _user(turn, target, losses)


def _user(turn: Turn, target: Target, losses: Losses) -> Iterator[Json]:
    """What tools said, each in a message of its own, and then what the user says."""
    said = spoken((part for part in turn.parts if not isinstance(part, Result)), losses)
    for part in turn.parts:
        if isinstance(part, Result):
            yield _result(part, target, losses)
    if said or not turn.parts:
        yield {"role": "user", "content": _content(said, target, losses)}


def _result(result: Result, target: Target, losses: Losses) -> Json:
    texts = [part for part in result.parts if isinstance(part, Text)]
    for part in result.parts:
        if isinstance(part, Media):
            losses.lose(part.field, "a tool's result is text")
            for said, at in ((part.name, part.name_field), (part.detail, part.detail_field)):
                if said:
                    losses.lose(at)
    if result.failed:
        losses.lose(result.failed, "it has no errors of tools")
    if result.cache is not None:
        losses.lose(result.cache.field)
    content = _content(texts, target, losses)
    called = fitting(result.id, "openai", target.provider)
    return {"role": "tool", "tool_call_id": called, "content": content}


def _assistant(turn: Turn, target: Target, losses: Losses) -> Json:
    message: Json = {"role": "assistant"}
    said = [part for part in turn.parts if isinstance(part, Text) and not part.refusal]
    refused = "".join(p.text for p in turn.parts if isinstance(p, Text) and p.refusal)
    uses = [part for part in turn.parts if isinstance(part, Use)]
    for part in turn.parts:
        if isinstance(part, Media | Result):
            losses.lose(part.field, "the model's turns are text")
    message["content"] = _content(said, target, losses) if said else None
    if refused:
        message["refusal"] = refused
    if uses:
        message["tool_calls"] = [_use(one, target, losses) for one in uses]
    _thoughts(turn.parts, target, losses, message)
    return message


def _use(use: Use, target: Target, losses: Losses) -> Json:
    if use.cache is not None:
        losses.lose(use.cache.field)
    function = {"name": use.name, "arguments": use.arguments}
    called = fitting(use.id, "openai", target.provider)
    made: Json = {"id": called, "type": "function", "function": function}
    signature = use.signature
    if signature is not None and target.provider in SIGNED and signature.signer == "gemini":
        made["extra_content"] = {"google": {"thought_signature": signature.value}}
    elif signature is not None:
        losses.lose(signature.field)
    return made


def _thoughts(parts: Sequence[Part], target: Target, losses: Losses, message: Json) -> None:
    details: list[Json] = []
    plain = ""
    for part in parts:
        if not isinstance(part, Thought):
            continue
        if target.provider in SIGNED and part.signature is not None:
            details.append(_detail(part, part.signature, len(details)))
            continue
        if part.signature is not None:
            losses.lose(part.signature.field)
        if target.provider in OWN:
            losses.lose(part.field)
        else:
            plain += part.text
    if details:
        message["reasoning_details"] = details
    if plain:
        message["reasoning_content"] = plain


def _detail(thought: Thought, signature: Signature, index: int) -> Json:
    """https://openrouter.ai/docs/use-cases/reasoning-tokens (2026-11)."""
    name = NAMES.get(signature.signer, "unknown")
    if thought.hidden:
        kind, said = "reasoning.encrypted", {"data": signature.value}
    else:
        kind, said = "reasoning.text", {"text": thought.text, "signature": signature.value}
    return {"type": kind, "format": name, "index": index, **said}


def _content(parts: Sequence[Text | Media], target: Target, losses: Losses) -> str | list[Json]:
    return openai_made.content(parts, "text", _media, target, losses)


def _media(media: Media, losses: Losses) -> Json | None:
    if media.name and media.kind != "document":
        losses.mention(media.name_field)
    if media.kind == "image" and (media.data or is_public(media.url)):
        image = {"url": as_url(media)} | ({"detail": media.detail} if media.detail else {})
        return {"type": "image_url", "image_url": image}
    if media.kind == "audio" and media.data and (name := audio_format(media.mime)):
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": name}}
    if media.kind != "document" or not media.data:
        losses.lose(media.field, NO_URL if media.url else media.mime)
        return None
    return {"type": "file", "file": {"filename": file_name(media), "file_data": as_url(media)}}
