"""Writes requests of Gemini's generateContent.  The model stands in the path, not in the body."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from proxy.gateway.translation import settings
from proxy.gateway.translation.losses import Losses
from proxy.gateway.translation.media import is_geminis
from proxy.gateway.translation.neutral import (
    Ask,
    Cache,
    Choice,
    Media,
    Part,
    Result,
    Schema,
    Settings,
    Target,
    Text,
    Thinking,
    Thought,
    Tool,
    Turn,
    Use,
    arguments,
)
from proxy.gateway.translation.signatures import marked_64

Json = dict[str, object]
LEVELS = ("minimal", "low", "medium", "high", "xhigh")
NO_URL = "no URLs; send the data"
# Gemini 3 refuses calls of a history without its signature, and takes this in its place for a
# history of another model: https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11).
UNSIGNED = "skip_thought_signature_validator"
_SIGNS = re.compile(r"gemini-([3-9]|\d\d)")


def write(ask: Ask, target: Target, losses: Losses) -> Json:
    """The body; what it cannot have is lost."""
    signs = _SIGNS.match(target.model) is not None
    system, turns = _apart(ask, losses)
    body: Json = {"contents": [_content(turn, losses, signs) for turn in turns]}
    if system:
        parts = [one for part in system for one in _part(part, losses)]
        body["systemInstruction"] = {"parts": parts}
    if ask.tools:
        declared = [_tool(one, losses) for one in ask.tools]
        body["tools"] = [{"functionDeclarations": declared}]
    strict = any(one.strict for one in ask.tools)
    _settings(Settings(ask.settings, losses), body, strict=strict)
    return body


def _apart(ask: Ask, losses: Losses) -> tuple[list[Part], list[Turn]]:
    """What is said to the model has one place here, which comes before all that it said itself."""
    system: list[Part] = [*ask.system]
    turns: list[Turn] = []
    for turn in ask.turns:
        if turn.role != "system":
            turns.append(turn)
        elif any(one.role == "assistant" for one in turns):
            losses.lose(turn.field, "system, after the model's first turn")
        else:
            system += turn.parts
    return system, turns


def _settings(left: Settings, body: Json, *, strict: bool) -> None:
    config: Json = {}
    left.copy(settings.GEMINI, config)
    left.copy({"stop": "stopSequences"}, config)
    left.copy({"tier": "serviceTier"}, body)
    schema = left.take("schema")
    if left.take("json_mode") or isinstance(schema, Schema):
        config["responseMimeType"] = "application/json"
    if isinstance(schema, Schema):
        config["responseJsonSchema"] = schema.schema
    if thinking := _thinking(left):
        config["thinkingConfig"] = thinking
    choice = left.take("choice")
    if "tools" in body and (isinstance(choice, Choice) or strict):
        body["toolConfig"] = {"functionCallingConfig": _calling(choice, strict=strict)}
    left.mention("cache_key")
    left.rest()
    if config:
        body["generationConfig"] = config


def _calling(choice: object, *, strict: bool) -> Json:
    """Who is called.  Arguments fit their schemas wherever a call must be made, and if validated:
    https://ai.google.dev/gemini-api/docs/function-calling (2026-11)."""
    kind = choice.kind if isinstance(choice, Choice) else "auto"
    made: Json = {
        "mode": {"auto": "VALIDATED" if strict else "AUTO", "none": "NONE"}.get(kind, "ANY")
    }
    if isinstance(choice, Choice) and kind == "one":
        made["allowedFunctionNames"] = [choice.name]
    return made


def _thinking(left: Settings) -> Json:
    made: Json = {}
    thinking = left.take("thinking")
    if isinstance(thinking, Thinking) and thinking.kind != "free":
        made["thinkingBudget"] = thinking.budget
    effort = left.peek("effort")
    if effort == "none" and "thinkingBudget" not in made:
        left.take("effort")
        made["thinkingBudget"] = 0
    elif effort in LEVELS and "thinkingBudget" not in made:
        made["thinkingLevel"] = left.take("effort")
    shown = left.take("show_thoughts")
    if shown is not None:
        made["includeThoughts"] = shown
    return made


def _tool(tool: Tool, losses: Losses) -> Json:
    if tool.cache is not None:
        losses.lose(tool.cache.field)
    made: Json = {"name": tool.name}
    if tool.description:
        made["description"] = tool.description
    if tool.schema is not None:
        made["parametersJsonSchema"] = tool.schema
    return made


def _content(turn: Turn, losses: Losses, signs: bool) -> Json:
    parts = [one for part in _attached(turn.parts) for one in _part(part, losses)]
    calls = [one for one in parts if "functionCall" in one]
    if signs and calls:
        calls[0].setdefault("thoughtSignature", UNSIGNED)  # the first of each turn has one
    return {"role": "model" if turn.role == "assistant" else "user", "parts": parts}


def _attached(parts: Sequence[Part]) -> Iterator[Part]:
    """A signature that stands alone is that of the part after it."""
    alone: Thought | None = None
    for part in parts:
        if alone is not None:
            if isinstance(part, Text | Use) and part.signature is None:
                yield replace(part, signature=alone.signature)
            else:
                yield alone
                yield part
            alone = None
        elif isinstance(part, Thought) and part.hidden and _is_ours(part):
            alone = part
        else:
            yield part
    if alone is not None:
        yield alone


def _is_ours(thought: Thought) -> bool:
    return thought.signature is not None and thought.signature.signer == "gemini"


def _part(part: Part, losses: Losses) -> Iterator[Json]:
    cache: Cache | None = None if isinstance(part, Thought) else getattr(part, "cache", None)
    if cache is not None:
        losses.lose(cache.field)
    if isinstance(part, Text):
        made: Json | None = {"text": part.text} | _signed(part, losses)
    elif isinstance(part, Thought):
        made = _thought(part, losses)
    elif isinstance(part, Use):
        call = {"id": part.id, "name": part.name, "args": arguments(part, losses)}
        made = {"functionCall": call} | _signed(part, losses)
    elif isinstance(part, Result):
        made = _result(part, losses)
    else:
        made = _media(part, losses)
    if made is not None:
        yield made


def _signed(part: Text | Use, losses: Losses) -> Json:
    signature = part.signature
    if signature is None:
        return {}
    if signature.signer != "gemini":
        losses.lose(signature.field, "not signed by Gemini")
        return {}
    return {"thoughtSignature": marked_64(signature)}


def _thought(thought: Thought, losses: Losses) -> Json | None:
    signature = thought.signature
    if signature is None:
        return {"text": thought.text, "thought": True}
    if not _is_ours(thought):
        losses.lose(signature.field, "not signed by Gemini")
        return {"text": thought.text, "thought": True} if thought.text else None
    signed: Json = {"thoughtSignature": marked_64(signature)}
    if thought.hidden:  # it belongs to what follows, or to nothing but the turn
        return {"text": ""} | signed
    return {"text": thought.text, "thought": True} | signed


def _result(result: Result, losses: Losses) -> Json:
    if not result.name:
        losses.lose(result.field, "no call has its id")
    text = "".join(part.text for part in result.parts if isinstance(part, Text))
    for part in result.parts:
        if part.cache is not None:
            losses.lose(part.cache.field)
    made: Json = {"id": result.id, "name": result.name}
    made["response"] = {"error" if result.failed else "output": text}
    media = _inside(result.parts, losses)
    if media:
        made["parts"] = media
    return {"functionResponse": made}


def _inside(parts: Sequence[Text | Media], losses: Losses) -> list[Json]:
    made = (_media(part, losses) for part in parts if isinstance(part, Media))
    return [one for one in made if one is not None]


def _media(media: Media, losses: Losses) -> Json | None:
    if media.detail:
        losses.lose(media.detail_field)
    if media.name:
        losses.mention(media.name_field)
    if media.data:
        return {"inlineData": {"mimeType": media.mime, "data": media.data}}
    if not is_geminis(media.url):
        losses.lose(media.field, NO_URL)
        return None
    mime = {"mimeType": media.mime} if media.mime else {}
    return {"fileData": {**mime, "fileUri": media.url}}
