"""Reads requests of Gemini's generateContent, in either spelling of its names.

https://ai.google.dev/api/generate-content (2026-11).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from proxy.gateway.translation import settings
from proxy.gateway.translation.losses import Json, Losses, Malformed, Taker
from proxy.gateway.translation.media import kind_of
from proxy.gateway.translation.neutral import (
    Ask,
    Choice,
    Media,
    Part,
    Result,
    Schema,
    Setting,
    Signature,
    Text,
    Thinking,
    Thought,
    Tool,
    Turn,
    Use,
    only,
)
from proxy.gateway.translation.schemas import from_gemini
from proxy.gateway.translation.signatures import HIDDEN, unmarked_64

MODES = {"AUTO": "auto", "NONE": "none", "ANY": "any"}
AUTOMATIC = -1  # a budget for thinking: the model decides
LEVELS = ("minimal", "low", "medium", "high", "xhigh")


def read(body: Json, losses: Losses) -> Ask:
    """The request; whether it streams is in its path.  Raises Malformed."""
    top = Taker(body, "", losses)
    top.take("model")
    ask = Ask()
    calls = _Calls()
    if (system := top.inner("systemInstruction", "system_instruction")) is not None:
        system.take("role")
        parts = [_part(one, calls) for one in system.each("parts")]
        ask.system = only(Text, parts, losses)
        system.rest()
    turns = []
    for content in top.each("contents"):
        role = content.text("role")
        parts = [_part(one, calls) for one in content.each("parts")]
        told = _joined([one for one in parts if one is not None])
        turns.append(Turn("assistant" if role == "model" else "user", told))
        content.rest()
    ask.turns = turns
    ask.tools = [tool for one in top.each("tools") for tool in _tools(one)]
    if (config := top.inner("toolConfig", "tool_config")) is not None:
        _choice(config, ask.settings)
    if (generation := top.inner("generationConfig", "generation_config")) is not None:
        _generation(generation, ask.settings)
    tier = top.text("serviceTier", "service_tier").lower()
    if tier in settings.TIERS:
        ask.settings["tier"] = Setting(tier, "serviceTier")
    elif tier not in ("", "standard", "unspecified"):
        losses.lose("serviceTier")
    top.skip("safetySettings", [])
    top.skip("store", False)
    top.rest()
    return ask


class _Calls:
    """Gives calls ids, and results those of their calls: Gemini needs none."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[tuple[str, str]] = []  # (name, id) of calls without a result

    def called(self, name: str, given: str) -> str:
        self._count += 1
        made = given or f"call_{self._count}"
        self._open.append((name, made))
        return made

    def answered(self, name: str, given: str) -> str:
        found = next((one for one in self._open if given in ("", one[1]) and one[0] == name), None)
        if found is None:
            return given
        self._open.remove(found)
        return found[1]


def _generation(config: Taker, into: dict[str, Setting]) -> None:
    settings.read(settings.GEMINI, config, into)
    snakes = {
        n: "".join(f"_{c.lower()}" if c.isupper() else c for c in there)
        for n, there in settings.GEMINI.items()
    }
    settings.read(snakes, config, into)
    for name in ("presence_penalty", "frequency_penalty"):
        if name in into and not into[name].value:
            del into[name]
    if stop := config.take("stopSequences", "stop_sequences"):
        at = config.name("stopSequences")
        into["stop"] = Setting(settings.texts(stop, at), at)
    config.skip("candidateCount", 1)
    config.skip("candidate_count", 1)
    config.skip("responseLogprobs", False)
    config.skip("responseModalities", ["TEXT"], ["Text"], [])
    config.skip("enableEnhancedCivicAnswers", False)
    _format(config, into)
    if (thinking := config.inner("thinkingConfig", "thinking_config")) is not None:
        _thinking(thinking, into)
    config.rest()


def _format(config: Taker, into: dict[str, Setting]) -> None:
    mime = config.text("responseMimeType", "response_mime_type")
    own = config.take("responseSchema", "response_schema")
    plain = config.take("responseJsonSchema", "response_json_schema", "_responseJsonSchema")
    schema = from_gemini(own) if own is not None else plain
    at = config.name("responseSchema" if own is not None else "responseJsonSchema")
    if isinstance(schema, Mapping):
        into["schema"] = Setting(Schema(schema, strict=True), at)
    elif mime == "application/json":
        into["json_mode"] = Setting(True, config.name("responseMimeType"))
    if mime not in ("", "text/plain", "application/json"):
        config.losses.lose(config.name("responseMimeType"), mime)


def _thinking(thinking: Taker, into: dict[str, Setting]) -> None:
    budget = thinking.take("thinkingBudget", "thinking_budget")
    level = thinking.text("thinkingLevel", "thinking_level").lower()
    shown = thinking.take("includeThoughts", "include_thoughts")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int)):
        raise Malformed(f"{thinking.name('thinkingBudget')}: expected a number")
    if isinstance(budget, int):
        at = thinking.name("thinkingBudget")
        kind = {0: "off", AUTOMATIC: "free"}.get(budget, "budget")
        made = Thinking(kind, budget) if kind == "budget" else Thinking(kind)
        into["thinking"] = Setting(made, at)
    if level in LEVELS:
        into["effort"] = Setting(level, thinking.name("thinkingLevel"))
    elif level not in ("", "thinking_level_unspecified"):
        thinking.losses.lose(thinking.name("thinkingLevel"), level)
    if isinstance(shown, bool):
        into["show_thoughts"] = Setting(shown, thinking.name("includeThoughts"))
    thinking.rest()


def _tools(one: Taker) -> list[Tool]:
    """Of one entry, which may declare several; the provider's own tools are lost by name."""
    found = []
    for declared in one.each("functionDeclarations", "function_declarations"):
        own = declared.take("parameters")
        plain = declared.take("parametersJsonSchema", "parameters_json_schema")
        schema = from_gemini(own) if own is not None else plain
        found.append(
            Tool(
                field=declared.at,
                name=declared.text("name"),
                description=declared.text("description"),
                schema=schema if isinstance(schema, Mapping) else None,
            )
        )
        declared.rest()
    one.rest()
    return found


def _choice(config: Taker, into: dict[str, Setting]) -> None:
    calling = config.inner("functionCallingConfig", "function_calling_config")
    if calling is not None:
        mode = calling.text("mode").upper()
        allowed = calling.items("allowedFunctionNames", "allowed_function_names")
        at = calling.name("mode")
        if mode == "ANY" and len(allowed) == 1:
            into["choice"] = Setting(Choice("one", str(allowed[0])), at)
        elif allowed:
            calling.losses.lose(calling.name("allowedFunctionNames"), "more than one")
        if mode in MODES and "choice" not in into:
            into["choice"] = Setting(Choice(MODES[mode]), at)
        elif mode not in ("", "MODE_UNSPECIFIED", *MODES):
            calling.losses.lose(at, mode)
        calling.rest()
    config.rest()


def _part(one: Taker, calls: _Calls) -> Part | None:
    signed = one.name("thoughtSignature")
    signature = unmarked_64(one.text("thoughtSignature", "thought_signature"), signed)
    thought = one.take("thought") is True
    found: Part | None = None
    if one.has("text"):
        text = one.text("text")
        if thought:
            found = _thought(one.name("thought"), text, signature)
        else:
            found = Text(field=one.name("text"), text=text, signature=signature)
    elif (call := one.inner("functionCall", "function_call")) is not None:
        name = call.text("name")
        arguments = msgspec.json.encode(call.take("args") or {}).decode()
        made = calls.called(name, call.text("id"))
        found = Use(field=call.at, id=made, name=name, arguments=arguments, signature=signature)
        call.rest()
    elif (answer := one.inner("functionResponse", "function_response")) is not None:
        found = _result(answer, calls)
    elif (blob := one.inner("inlineData", "inline_data")) is not None:
        found = _media(blob, "data")
    elif (file := one.inner("fileData", "file_data")) is not None:
        found = _media(file, "fileUri")
    one.rest()
    return found


def _thought(field: str, text: str, signature: Signature | None) -> Thought:
    hidden = signature is not None and signature.signer.endswith(HIDDEN)
    if signature is not None and hidden:
        signer = signature.signer.removesuffix(HIDDEN)
        signature = Signature(signer, signature.value, signature.field)
    return Thought(field=field, text=text, signature=signature, hidden=hidden)


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Thoughts that were streamed piece by piece, with the signature that came last."""
    made: list[Part] = []
    for part in parts:
        last = made[-1] if made else None
        if (
            isinstance(part, Thought)
            and isinstance(last, Thought)
            and last.signature is None
            and not part.hidden
        ):
            made[-1] = replace(part, text=last.text + part.text)
        else:
            made.append(part)
    return made


def _media(blob: Taker, key: str) -> Media:
    mime = blob.text("mimeType", "mime_type")
    said = blob.text(key, "file_uri")
    name = blob.text("displayName", "display_name")
    blob.rest()
    return Media(
        field=blob.name(key),
        kind=kind_of(mime),
        mime=mime,
        data="" if key == "fileUri" else _standard(said),
        url=said if key == "fileUri" else "",
        name=name,
        name_field=blob.name("displayName"),
    )


def _standard(data: str) -> str:
    """SDKs of Gemini write base64 in its alphabet for URLs, which others do not take."""
    return data.replace("-", "+").replace("_", "/")


def _result(answer: Taker, calls: _Calls) -> Result:
    name = answer.text("name")
    response = answer.take("response")
    failed, said = "", response
    if isinstance(response, Mapping) and len(response) == 1:
        if "error" in response:
            failed, said = answer.name("response.error"), response["error"]
        elif "output" in response:
            said = response["output"]
    text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    parts: list[Text | Media] = [Text(field=answer.name("response"), text=text)]
    for one in answer.each("parts"):
        blob = one.inner("inlineData", "inline_data")
        if blob is not None:
            parts.append(_media(blob, "data"))
        one.rest()
    called = calls.answered(name, answer.text("id"))
    answer.rest()
    return Result(field=answer.at, id=called, name=name, parts=parts, failed=failed)
