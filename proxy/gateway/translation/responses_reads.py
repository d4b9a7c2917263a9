"""Reads requests of OpenAI's Responses.

https://platform.openai.com/docs/api-reference/responses/create (2026-11).  Nothing is stored here,
so what refers to something that OpenAI has stored is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from proxy.gateway.translation import settings
from proxy.gateway.translation.losses import Json, Losses, Malformed, Taker
from proxy.gateway.translation.namespaces import NAME, joined
from proxy.gateway.translation.neutral import (
    Ask,
    Choice,
    Media,
    Part,
    Result,
    Setting,
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
from proxy.gateway.translation.signatures import unmarked

STORED = "nothing is stored here"
ENCRYPTED = "reasoning.encrypted_content"  # of `include`: what is here is always said
# What refers to it, or asks for it.
_STATE = ("previous_response_id", "conversation", "prompt")
# Values that ask for nothing.
_NOTHING: Mapping[str, tuple[object, ...]] = {
    "background": (False,),
    "truncation": ("disabled",),
}


def read(body: Json, losses: Losses) -> Ask:
    """The request.  Raises Malformed for what the API itself refuses."""
    top = Taker(body, "", losses)
    top.take("model")
    ask = Ask(stream=top.take("stream") is True)
    if (options := top.inner("stream_options")) is not None:
        options.skip("include_obfuscation", False)
        options.rest()
    _settings(top, ask.settings)
    ask.tools = [tool for one in top.each("tools") for tool in _tools(one)]
    _input(top, ask)
    for key, nothing in _NOTHING.items():
        top.skip(key, *nothing)
    for key in _STATE:
        top.lose(key, STORED)
    if top.take("client_metadata") is not None:
        losses.mention("client_metadata")
    top.rest()
    return ask


def _settings(top: Taker, into: dict[str, Setting]) -> None:
    for name in ("temperature", "top_p"):
        settings.put(into, name, top, name)
    settings.put(into, "max_tokens", top, "max_output_tokens")
    shared_settings(top, into)
    if (reasoning := top.inner("reasoning")) is not None:
        _reasoning(reasoning, into)
    if (text := top.inner("text")) is not None:
        verbosity_of(text, into)
        if (form := text.inner("format")) is not None:
            _format(form, into)
        text.rest()
    if (choice := top.take("tool_choice")) is not None:
        _choice(choice, top.losses, into)
    for wanted in top.items("include"):
        if wanted != ENCRYPTED:
            top.losses.lose("include", str(wanted))


def _reasoning(reasoning: Taker, into: dict[str, Setting]) -> None:
    if effort := reasoning.text("effort"):
        into["effort"] = Setting(effort, reasoning.name("effort"))
    for key in ("generate_summary", "summary"):  # the newer name goes before
        if reasoning.text(key):
            into["show_thoughts"] = Setting(True, reasoning.name(key))
    reasoning.rest()


def _format(form: Taker, into: dict[str, Setting]) -> None:
    kind = form.text("type")
    if kind == "json_object":
        into["json_mode"] = Setting(True, form.at)
    elif kind == "json_schema":
        into["schema"] = Setting(schema_of(form), form.at)
    elif kind != "text":
        raise Malformed(f"{form.name('type')}: expected text, json_object or json_schema")
    form.rest()


def _choice(value: object, losses: Losses, into: dict[str, Setting]) -> None:
    if isinstance(value, str) and value in CHOICES:
        into["choice"] = Setting(Choice(CHOICES[value]), "tool_choice")
        return
    taker = Taker(value, "tool_choice", losses)
    kind = taker.text("type")
    if kind == "function":
        into["choice"] = Setting(Choice("one", taker.text("name")), "tool_choice")
    else:
        losses.lose("tool_choice", kind)
    taker.rest()


def _tools(one: Taker) -> list[Tool]:
    """Functions, in a namespace or not; other tools are OpenAI's own, or have no schema."""
    kind = one.text("type")
    if kind == "function":
        return [_function(one, "", "")]
    if kind != "namespace":
        one.losses.lose(one.name("type"), kind)
        return []
    namespace, about = one.text("name"), one.text("description")
    found: list[Tool] = []
    for inner in one.each("tools"):
        if (kind := inner.text("type")) == "function":
            found.append(_function(inner, namespace, about))
        else:
            inner.losses.lose(inner.name("type"), kind)
    one.rest()
    return found


def _function(one: Taker, namespace: str, about: str) -> Tool:
    one.skip("allowed_callers", ["direct"])
    one.skip("async", False)
    one.skip("defer_loading", False)
    tool = tool_of(one, None)
    one.rest()
    if not namespace:
        return tool
    name = joined(namespace, tool.name)
    if not NAME.fullmatch(name):
        one.losses.lose(one.name("name"), "too long behind its namespace")
    told = "\n\n".join(said for said in (about, tool.description) if said)
    return replace(tool, name=name, description=told)


# -- what was said --------------------------------------------------------------------------------


def _input(top: Taker, ask: Ask) -> None:
    system: list[Text] = []
    if instructions := top.text("instructions"):
        system.append(Text(field="instructions", text=instructions))
    turns: list[Turn] = []
    names: dict[str, str] = {}  # of the tools that were called, by the call's id
    value = top.take("input")
    if isinstance(value, str):
        turns.append(Turn("user", [Text(field="input", text=value)]))
    elif value is not None and not isinstance(value, list):
        raise Malformed("input: expected text or a list of items")
    for one in value if isinstance(value, list) else ():
        item = Taker(one, "input[]", top.losses)
        kind = item.text("type") or "message"
        item.take("id")
        item.take("status")
        if kind == "message":
            _message(item, turns, system)
        elif kind == "function_call_output":
            add_told(turns, _result(item, names))
        elif kind == "function_call":
            _add(turns, [_use(item, names)])
        elif kind == "reasoning":
            _add(turns, _thought(item))
        else:
            item.losses.lose(item.name("type"), kind)
            continue
        item.rest()
    ask.system, ask.turns = system, turns


def _add(turns: list[Turn], parts: Sequence[Part]) -> None:
    """To the model's turn, whose parts are items each."""
    if turns and turns[-1].role == "assistant":
        turns[-1] = Turn("assistant", [*turns[-1].parts, *parts])
    else:
        turns.append(Turn("assistant", parts))


def _message(item: Taker, turns: list[Turn], system: list[Text]) -> None:
    role, parts = item.text("role"), _content(item, "content")
    if role == "user":
        add_told(turns, *parts)
    elif role == "assistant":
        _add(turns, parts)
    elif role not in ("system", "developer"):
        item.losses.lose(item.name("role"), role or STORED)  # it refers to another item
    elif turns:
        turns.append(Turn("system", only(Text, parts, item.losses), item.name("role")))
    else:
        system += only(Text, parts, item.losses)


def _use(item: Taker, names: dict[str, str]) -> Use:
    _direct(item)
    item.skip("async", False)
    called, name = item.text("call_id"), joined(item.text("namespace"), item.text("name"))
    names[called] = name
    arguments = item.text("arguments") or "{}"
    return Use(field=item.at, id=called, name=name, arguments=arguments)


def _result(item: Taker, names: Mapping[str, str]) -> Result:
    _direct(item)
    called, parts = item.text("call_id"), _content(item, "output")
    return Result(field=item.at, id=called, name=names.get(called, ""), parts=parts)


def _direct(item: Taker) -> None:
    """Whoever calls is the model itself."""
    if (caller := item.inner("caller")) is not None:
        caller.skip("type", "direct")
        caller.rest()


def _thought(item: Taker) -> list[Part]:
    """A summary stands for the whole; with neither, it is stored at OpenAI."""
    said = {key: _texts(item, key) for key in ("summary", "content")}
    at = item.name("encrypted_content")
    signature = unmarked(item.text("encrypted_content"), "responses", at)
    text = said["content"] or said["summary"]
    if not text and signature is None:
        item.losses.lose(at, STORED)
        return []
    field = item.name("content" if said["content"] else "summary") if text else at
    return [Thought(field=field, text=text, signature=signature, hidden=not text)]


def _texts(item: Taker, key: str) -> str:
    found = []
    for one in item.each(key):
        one.take("type")
        found.append(one.text("text"))
        one.rest()
    return "\n\n".join(found)


def _content(of: Taker, key: str) -> list[Text | Media]:
    return content(of, key, _part)


def _part(one: Taker) -> Text | Media | None:
    kind, cache = one.text("type"), cache_of(one)
    found: Text | Media | None = None
    if kind in ("input_text", "output_text"):
        for key in ("annotations", "logprobs"):
            one.skip(key, [])
        found = Text(field=one.name("text"), text=one.text("text"), cache=cache)
    elif kind == "refusal":
        said = one.text("refusal")
        found = Text(field=one.name("refusal"), text=said, cache=cache, refusal=True)
    elif kind == "input_image" and one.has("image_url"):
        found = image_of(one, "image_url", cache)
    elif kind == "input_file" and one.has("file_url"):
        url, name = one.text("file_url"), one.text("filename")
        found = Media(
            field=one.name("file_url"),
            kind="document",
            url=url,
            name=name,
            name_field=one.name("filename"),
            cache=cache,
        )
    elif kind == "input_file":
        found = file_of(one, cache)
    elif kind != "input_image":
        one.losses.lose(one.name("type"), kind)
        return None
    one.rest()  # an id, which only its owner knows
    return found
