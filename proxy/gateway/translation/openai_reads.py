"""Reads requests of OpenAI's chat completions.

https://platform.openai.com/docs/api-reference/chat/create (2026-11), and what other providers of
this dialect add: `top_k`, `cache_control`, `reasoning_content`, `reasoning_details`,
`extra_content.google` (https://ai.google.dev/gemini-api/docs/openai).
"""

from collections.abc import Mapping
from dataclasses import replace

from proxy.gateway.translation import settings
from proxy.gateway.translation.losses import Json, Losses, Malformed, Taker
from proxy.gateway.translation.media import AUDIO
from proxy.gateway.translation.neutral import (
    Ask,
    Choice,
    Media,
    Part,
    Result,
    Setting,
    Signature,
    Text,
    Thought,
    Tool,
    Turn,
    Use,
    add_told,
    content,
    only,
)
from proxy.gateway.translation.openai_parts import (
    CHOICES,
    cache_of,
    file_of,
    image_of,
    schema_of,
    shared_settings,
    tool_of,
    verbosity_of,
)
from proxy.gateway.translation.signatures import FORMATS, unmarked

LEGACY = "use tools instead"


def read(body: Json, losses: Losses) -> Ask:
    """The request.  Raises Malformed for what the API itself refuses."""
    top = Taker(body, "", losses)
    top.take("model")
    ask = Ask(stream=top.take("stream") is True)
    options = top.inner("stream_options")
    ask.shows_usage = False
    if options is not None:
        ask.shows_usage = options.take("include_usage") is True
        options.skip("include_obfuscation", False)
        options.rest()
    _settings(top, ask)
    ask.tools = [tool for one in top.each("tools") if (tool := _tool(one)) is not None]
    _messages(top, ask)
    for key in ("functions", "function_call"):
        top.lose(key, LEGACY)
    for key, nothing in _NOTHING.items():
        top.skip(key, *nothing)
    top.rest()
    return ask


# Values that ask for nothing.
_NOTHING: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "logit_bias": ({},),
    "modalities": (["text"],),
}


def _settings(top: Taker, ask: Ask) -> None:
    into = ask.settings
    settings.read(settings.OPENAI, top, into)
    shared_settings(top, into)
    _max_tokens(top, into)
    settings.put(into, "top_k", top, "top_k")
    for name in ("presence_penalty", "frequency_penalty"):
        if name in into and not into[name].value:
            del into[name]
    if (stop := top.take("stop")) is not None:
        into["stop"] = Setting(settings.texts(stop, "stop"), "stop")
    if effort := top.text("reasoning_effort"):
        into["effort"] = Setting(effort, "reasoning_effort")
    verbosity_of(top, into)
    if (choice := top.take("tool_choice")) is not None:
        _choice(choice, top.losses, into)
    if (form := top.inner("response_format")) is not None:
        _format(form, into)


def _max_tokens(top: Taker, into: dict[str, Setting]) -> None:
    """It has two names; the newer one goes before."""
    for key in ("max_tokens", "max_completion_tokens"):
        older = into.pop("max_tokens", None) if top.has(key) else None
        if older is not None:
            top.losses.lose(older.field, "said twice")
        settings.put(into, "max_tokens", top, key)


def _choice(value: object, losses: Losses, into: dict[str, Setting]) -> None:
    if isinstance(value, str) and value in CHOICES:
        into["choice"] = Setting(Choice(CHOICES[value]), "tool_choice")
        return
    taker = Taker(value, "tool_choice", losses)
    if taker.text("type") == "function" and (one := taker.inner("function")) is not None:
        into["choice"] = Setting(Choice("one", one.text("name")), "tool_choice")
        one.rest()
    else:
        losses.lose("tool_choice")
    taker.rest()


def _format(form: Taker, into: dict[str, Setting]) -> None:
    kind = form.text("type")
    if kind == "json_object":
        into["json_mode"] = Setting(True, "response_format")
    elif kind == "json_schema" and (inner := form.inner("json_schema")) is not None:
        into["schema"] = Setting(schema_of(inner), "response_format")
        inner.rest()
    elif kind != "text":
        raise Malformed("response_format.type: expected text, json_object or json_schema")
    form.rest()


def _tool(one: Taker) -> Tool | None:
    cache = cache_of(one)
    kind, function = one.text("type"), one.inner("function")
    if kind != "function":
        one.losses.lose(one.name(kind if one.has(kind) else "type"), kind)
        return None
    if function is None:
        raise Malformed(f"{one.name('function')}: missing")
    tool = tool_of(function, cache)
    function.rest()
    one.rest()
    return tool


def _messages(top: Taker, ask: Ask) -> None:
    system: list[Text] = []
    turns: list[Turn] = []
    names: dict[str, str] = {}  # of the tools that were called, by the call's id
    for message in top.each("messages"):
        role = message.text("role")
        message.lose("name")
        parts: list[Part] = []
        if role in ("system", "developer"):
            said = _content(message)
            texts = only(Text, said, message.losses)
            if turns:
                turns.append(Turn("system", texts, message.name("role")))
            else:
                system += texts
        elif role == "assistant":
            parts = [*_thoughts(message), *_content(message), *_refusal(message)]
            parts += _uses(message, names)
            turns.append(Turn("assistant", parts))
        elif role == "tool":
            add_told(turns, _result(message, names))
        elif role == "user":
            add_told(turns, *_content(message))
        else:
            message.losses.lose(message.name("role"), role)
        message.rest()
    ask.system, ask.turns = system, turns


def _refusal(message: Taker) -> list[Part]:
    text = message.text("refusal")
    return [Text(field=message.name("refusal"), text=text, refusal=True)] if text else []


def _thoughts(message: Taker) -> list[Part]:
    """`reasoning_details` have the signatures, and perhaps what `reasoning_content` says too."""
    plain = message.text("reasoning_content")
    found: list[Thought] = []
    before: object = None
    for one in message.each("reasoning_details"):
        hidden = one.text("type") == "reasoning.encrypted"
        text = one.text("text", "summary")
        signer = FORMATS.get(one.text("format"), "")
        value = one.text("data", "signature")
        signature = Signature(signer, value, one.at) if value else None
        index = one.take("index")
        one.take("id")
        one.rest()
        made = Thought(field=one.at, text=text, signature=signature, hidden=hidden)
        if found and index is not None and index == before and not hidden:
            last = found.pop()  # streamed piece by piece, the signature last
            made = replace(made, text=last.text + text, signature=signature or last.signature)
        found.append(made)
        before = index
    if plain and not any(one.text for one in found):
        field = message.name("reasoning_content")
        return [Thought(field=field, text=plain), *found]
    return list(found)


def _uses(message: Taker, names: dict[str, str]) -> list[Part]:
    found: list[Part] = []
    for call in message.each("tool_calls"):
        kind, function = call.text("type"), call.inner("function")
        if kind == "custom" or function is None:
            call.losses.lose(call.name(kind if call.has(kind) else "type"), kind)
            continue
        use = Use(
            field=function.at,
            id=call.text("id"),
            name=function.text("name"),
            arguments=function.text("arguments") or "{}",
            signature=_signature(call),
        )
        names[use.id] = use.name
        found.append(use)
        call.take("index")
        function.rest()
        call.rest()
    return found


def _signature(call: Taker) -> Signature | None:
    """Gemini's, as its own endpoint of this dialect has it."""
    extra = call.inner("extra_content")
    google = extra.inner("google") if extra is not None else None
    if extra is None or google is None:
        return None
    value = google.text("thought_signature")
    google.rest()
    extra.rest()
    return unmarked(value, "gemini", google.name("thought_signature"))


def _result(message: Taker, names: Mapping[str, str]) -> Result:
    called = message.text("tool_call_id")
    parts = _content(message)
    return Result(field=message.at, id=called, name=names.get(called, ""), parts=parts)


def _content(message: Taker) -> list[Text | Media]:
    """What a message says: one text, or a list of parts."""
    return content(message, "content", _part, cache=cache_of(message))


def _part(one: Taker) -> Text | Media | None:
    kind, cache = one.text("type"), cache_of(one)
    inner = one.inner(kind) if kind in ("image_url", "file", "input_audio") else None
    found: Text | Media | None = None
    if kind in ("text", "refusal"):
        text = one.text(kind)
        found = Text(field=one.at, text=text, cache=cache, refusal=kind == "refusal")
    elif inner is None:
        one.losses.lose(one.name(kind if one.has(kind) else "type"))
    elif kind == "image_url":
        found = image_of(inner, "url", cache)
    elif kind == "file":
        found = file_of(inner, cache)
    else:
        mime = AUDIO.get(inner.text("format"), "")
        found = Media(field=inner.at, kind="audio", mime=mime, data=inner.text("data"), cache=cache)
    if inner is not None:
        inner.rest()
    one.rest()
    return found
