"""Writes requests of OpenAI's Responses, for providers and models that have no other API.

https://platform.openai.com/docs/api-reference/responses/create (2026-11).  Nothing is to be stored
there, as chat completions store nothing: what a model thought comes back encrypted instead.
"""

from collections.abc import Iterator, Sequence

from proxy.gateway.translation import openai_made
from proxy.gateway.translation.ids import fitting
from proxy.gateway.translation.losses import Losses
from proxy.gateway.translation.media import as_url, is_public
from proxy.gateway.translation.neutral import (
    Ask,
    Media,
    Part,
    Result,
    Settings,
    Target,
    Text,
    Thought,
    Tool,
    Turn,
    Use,
    spoken,
)
from proxy.gateway.translation.openai_made import cached, file_name

Json = dict[str, object]
ENCRYPTED = "reasoning.encrypted_content"  # of `include`
SETTINGS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_output_tokens",
    "user": "user",
    "tier": "service_tier",
}
THINKING = frozenset(("effort", "thinking", "show_thoughts"))  # settings of models that reason
UNSIGNED = "a thought that it did not sign"


def write(ask: Ask, target: Target, losses: Losses) -> Json:
    """The body; what it cannot have is lost."""
    items = [*_items(ask, target, losses)]
    body: Json = {"model": target.model, "input": items, "store": False}
    if ask.tools:
        body["tools"] = [_tool(one, losses) for one in ask.tools]
    _settings(Settings(ask.settings, losses), target, body)
    thinks = THINKING & ask.settings.keys() and body.get("reasoning") != {"effort": "none"}
    if thinks or any(one.get("type") == "reasoning" for one in items):
        body["include"] = [ENCRYPTED]  # which models that do not reason refuse
    if ask.stream:
        body["stream"] = True  # its end says what was used, asked or not
    return body


def _settings(left: Settings, target: Target, body: Json) -> None:
    left.copy(SETTINGS, body)
    openai_made.cache_key(left, target, body)
    reasoning: Json = {}
    if effort := openai_made.effort(left):
        reasoning["effort"] = effort
    if left.take("show_thoughts"):
        reasoning["summary"] = "auto"
    if reasoning:
        body["reasoning"] = reasoning
    text: Json = {}
    left.copy({"verbosity": "verbosity"}, text)
    if left.take("json_mode"):
        text["format"] = {"type": "json_object"}
    if form := openai_made.schema(left):
        text["format"] = {"type": "json_schema", **form}
    if text:
        body["text"] = text
    word, name = openai_made.choice(left)
    if word or name:
        body["tool_choice"] = word or {"type": "function", "name": name}
    if left.take("parallel") is False:
        body["parallel_tool_calls"] = False
    left.rest()


def _tool(tool: Tool, losses: Losses) -> Json:
    """Here a function is strict unless it says otherwise, elsewhere it is not."""
    if tool.cache is not None:
        losses.lose(tool.cache.field)
    named: Json = {"type": "function", "name": tool.name}
    if tool.description:
        named["description"] = tool.description
    schema = {"type": "object", "properties": {}} if tool.schema is None else tool.schema
    return named | {"parameters": schema, "strict": tool.strict is True}


# -- what was said --------------------------------------------------------------------------------


def _items(ask: Ask, target: Target, losses: Losses) -> Iterator[Json]:
    if ask.system:
        yield _message("system", ask.system, target, losses)
    for turn in ask.turns:
        if turn.role == "assistant":
            yield from _assistant(turn, target, losses)
        elif turn.role == "system":
            yield _message("system", spoken(turn.parts, losses), target, losses)
        else:
            yield from _user(turn, target, losses)


def _message(role: str, parts: Sequence[Text | Media], target: Target, losses: Losses) -> Json:
    return {"role": role, "content": _content(parts, target, losses)}


def _user(turn: Turn, target: Target, losses: Losses) -> Iterator[Json]:
    """What tools said, each an item of its own, and then what the user says."""
    said = spoken((part for part in turn.parts if not isinstance(part, Result)), losses)
    for part in turn.parts:
        if isinstance(part, Result):
            yield _result(part, target, losses)
    if said or not turn.parts:
        yield _message("user", said, target, losses)


def _result(result: Result, target: Target, losses: Losses) -> Json:
    if result.failed:
        losses.lose(result.failed, "it has no errors of tools")
    output = _content(result.parts, target, losses)
    if result.cache is not None:
        text: Json = {"type": "input_text", "text": output}
        output = [text] if isinstance(output, str) else output
        if output:  # else there is nothing to be cached
            output[-1] |= cached(result.cache, target, losses)
    called = fitting(result.id, "openai", target.provider)
    return {"type": "function_call_output", "call_id": called, "output": output}


def _assistant(turn: Turn, target: Target, losses: Losses) -> Iterator[Json]:
    """An item for each thought and call; texts that follow one another are one message."""
    said: list[Json] = []
    for part in turn.parts:
        if isinstance(part, Text):
            said.append(_said(part, losses))
            continue
        made = _item(part, target, losses)
        if made is not None:
            yield from _spoken(said)
            said = []
            yield made
    yield from _spoken(said)


def _spoken(said: list[Json]) -> Iterator[Json]:
    if said:
        yield {"type": "message", "role": "assistant", "content": said}


def _said(text: Text, losses: Losses) -> Json:
    """Text of the model has no breakpoints."""
    for lost in (text.cache, text.signature):
        if lost is not None:
            losses.lose(lost.field)
    if text.refusal:
        return {"type": "refusal", "refusal": text.text}
    return {"type": "output_text", "text": text.text}


def _item(part: Part, target: Target, losses: Losses) -> Json | None:
    if isinstance(part, Thought):
        return _thought(part, losses)
    if isinstance(part, Use):
        return _use(part, target, losses)
    losses.lose(part.field, "the model's turns are text")
    return None


def _use(use: Use, target: Target, losses: Losses) -> Json:
    for lost in (use.cache, use.signature):
        if lost is not None:
            losses.lose(lost.field)
    called = fitting(use.id, "openai", target.provider)
    return {
        "type": "function_call",
        "call_id": called,
        "name": use.name,
        "arguments": use.arguments,
    }


def _thought(thought: Thought, losses: Losses) -> Json | None:
    """What its signer gave out; without an id, as nothing is stored."""
    signature = thought.signature
    if signature is None or signature.signer != "responses":
        losses.lose(thought.field if signature is None else signature.field, UNSIGNED)
        if signature is not None and thought.text:
            losses.lose(thought.field, UNSIGNED)
        return None
    summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
    return {"type": "reasoning", "summary": summary, "encrypted_content": signature.value}


def _content(parts: Sequence[Text | Media], target: Target, losses: Losses) -> str | list[Json]:
    return openai_made.content(parts, "input_text", _media, target, losses)


def _media(media: Media, losses: Losses) -> Json | None:
    if media.name and media.kind != "document":
        losses.mention(media.name_field)
    here = bool(media.data) or is_public(media.url)
    if media.kind == "image" and here:
        detail = {"detail": media.detail} if media.detail else {}
        return {"type": "input_image", "image_url": as_url(media), **detail}
    if media.kind != "document" or not here:
        losses.lose(media.field, media.mime)
        return None
    if media.url:
        named = {"filename": media.name} if media.name else {}
        return {"type": "input_file", "file_url": media.url, **named}
    return {"type": "input_file", "filename": file_name(media), "file_data": as_url(media)}
