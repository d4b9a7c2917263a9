"""Reads requests of Anthropic's messages.

https://platform.claude.com/docs/en/api/messages (2026-11).
"""

from collections.abc import Mapping, Sequence

import msgspec

from proxy.gateway.translation import settings
from proxy.gateway.translation.losses import Json, Losses, Malformed, Taker
from proxy.gateway.translation.media import as_base64
from proxy.gateway.translation.neutral import (
    Ask,
    Cache,
    Choice,
    Media,
    Part,
    Result,
    Schema,
    Setting,
    Text,
    Thinking,
    Thought,
    Tool,
    Turn,
    Use,
    content,
    only,
    spoken,
)
from proxy.gateway.translation.signatures import unmarked

CHOICES = {"auto": "auto", "none": "none", "any": "any", "tool": "one"}


def read(body: Json, losses: Losses) -> Ask:
    """The request.  Raises Malformed for what the API itself refuses."""
    top = Taker(body, "", losses)
    top.take("model")
    ask = Ask(stream=top.take("stream") is True)
    _settings(top, ask)
    ask.tools = [tool for one in top.each("tools") if (tool := _tool(one)) is not None]
    ask.system = only(Text, _blocks(top, "system", {}), losses)
    names: dict[str, str] = {}  # of the tools that were called, by the call's id
    turns = []
    for message in top.each("messages"):
        role = message.text("role")
        parts = _blocks(message, "content", names)
        if role == "system":
            parts = only(Text, parts, losses)
        elif role not in ("user", "assistant"):
            message.losses.lose(message.name("role"), role)
        turns.append(Turn(role, parts, message.name("role")))
        message.rest()
    ask.turns = turns
    top.rest()
    return ask


def _settings(top: Taker, ask: Ask) -> None:
    into = ask.settings
    settings.read(settings.ANTHROPIC, top, into)
    settings.put(into, "max_tokens", top, "max_tokens")
    if stop := top.take("stop_sequences"):
        into["stop"] = Setting(settings.texts(stop, "stop_sequences"), "stop_sequences")
    if (metadata := top.inner("metadata")) is not None:
        if user := metadata.text("user_id"):
            into["user"] = Setting(user, metadata.name("user_id"))
        metadata.rest()
    top.skip("service_tier", "auto", "standard_only")  # both mean the usual one elsewhere
    top.skip("speed", "standard")
    if (config := top.inner("output_config")) is not None:
        if effort := config.text("effort"):
            into["effort"] = Setting(effort, config.name("effort"))
        if (form := config.inner("format")) is not None:
            _format(form, into)
        config.rest()
    if (form := top.inner("output_format")) is not None:  # its name before output_config
        _format(form, into)
    if (thinking := top.inner("thinking")) is not None:
        _thinking(thinking, into)
    if (choice := top.inner("tool_choice")) is not None:
        kind = choice.text("type")
        if kind in CHOICES:
            into["choice"] = Setting(Choice(CHOICES[kind], choice.text("name")), "tool_choice")
        else:
            top.losses.lose("tool_choice", kind)
        if choice.take("disable_parallel_tool_use") is True:
            into["parallel"] = Setting(False, choice.name("disable_parallel_tool_use"))
        choice.rest()


def _format(form: Taker, into: dict[str, Setting]) -> None:
    schema = form.take("schema")
    if form.text("type") != "json_schema" or not isinstance(schema, Mapping):
        raise Malformed(f"{form.at}: expected a json_schema")
    into["schema"] = Setting(Schema(schema, strict=True), form.at)
    form.rest()


def _thinking(thinking: Taker, into: dict[str, Setting]) -> None:
    kind, budget = thinking.text("type"), thinking.take("budget_tokens")
    shown = thinking.text("display")
    at = thinking.name("type")
    if kind == "enabled" and isinstance(budget, int):
        into["thinking"] = Setting(Thinking("budget", budget), thinking.name("budget_tokens"))
    elif kind in ("adaptive", "disabled"):
        into["thinking"] = Setting(Thinking("free" if kind == "adaptive" else "off"), at)
    else:
        thinking.losses.lose(at, kind)
    if shown == "summarized":
        into["show_thoughts"] = Setting(True, thinking.name("display"))
    elif shown == "omitted":
        into["show_thoughts"] = Setting(False, thinking.name("display"))
    thinking.rest()


def _tool(one: Taker) -> Tool | None:
    kind, schema = one.text("type"), one.json("input_schema")
    cache = cache_of(one)
    if kind not in ("", "custom"):
        one.losses.lose(one.name("type"), kind)  # the provider's own, run by it
        return None
    strict = one.take("strict")
    one.skip("allowed_callers", ["direct"])
    one.skip("defer_loading", False)
    one.skip("eager_input_streaming", False)
    tool = Tool(
        field=one.at,
        name=one.text("name"),
        description=one.text("description"),
        schema=schema,
        strict=strict if isinstance(strict, bool) else None,
        cache=cache,
    )
    one.rest()
    return tool


def cache_of(one: Taker) -> Cache | None:
    """A breakpoint of the prompt's cache."""
    inner = one.inner("cache_control")
    if inner is None:
        return None
    inner.skip("type", "ephemeral")
    ttl = inner.text("ttl")
    inner.rest()
    return Cache(inner.at, ttl)


def _blocks(of: Taker, key: str, names: dict[str, str]) -> Sequence[Part]:
    return content(of, key, lambda one: _block(one, names), parts="blocks")


def _block(one: Taker, names: dict[str, str]) -> Part | None:
    kind, cache = one.text("type"), cache_of(one)
    found: Part | None = None
    if kind == "text":
        one.skip("citations", [])
        found = Text(field=one.at, text=one.text("text"), cache=cache)
    elif kind in ("image", "document"):
        found = _source(one, kind, cache)
    elif kind == "thinking":
        signature = unmarked(one.text("signature"), "anthropic", one.name("signature"))
        text = one.text("thinking")
        found = Thought(field=one.name("thinking"), text=text, signature=signature)
    elif kind == "redacted_thinking":
        signature = unmarked(one.text("data"), "anthropic", one.name("data"))
        found = Thought(field=one.name("data"), text="", signature=signature, hidden=True)
    elif kind == "tool_use":
        arguments = msgspec.json.encode(one.take("input") or {}).decode()
        named, called = one.text("name"), one.text("id")
        names[called] = named
        caller = one.inner("caller")
        if caller is not None:
            caller.skip("type", "direct")
            caller.rest()
        found = Use(field=one.at, id=called, name=named, arguments=arguments, cache=cache)
    elif kind == "tool_result":
        found = _result(one, names, cache)
    else:
        one.losses.lose(one.name("type"), kind)
        return None
    one.rest()
    return found


def _result(one: Taker, names: Mapping[str, str], cache: Cache | None) -> Result:
    called = one.text("tool_use_id")
    failed = one.name("is_error") if one.take("is_error") is True else ""
    parts = spoken(_blocks(one, "content", {}), one.losses)
    return Result(
        field=one.at,
        id=called,
        name=names.get(called, ""),
        parts=parts,
        failed=failed,
        cache=cache,
    )


def _source(one: Taker, kind: str, cache: Cache | None) -> Media | None:
    source = one.inner("source")
    name = one.text("title")
    if kind == "document" and (cites := one.inner("citations")) is not None:
        cites.skip("enabled", False)
        cites.rest()
    if source is None:
        raise Malformed(f"{one.name('source')}: missing")
    how = source.text("type")
    mime, data, url = source.text("media_type"), "", ""
    if how in ("base64", "text"):
        data = source.text("data")
        at = source.name("data")
    elif how == "url":
        url, at = source.text("url"), source.name("url")
    else:
        source.losses.lose(source.name({"file": "file_id"}.get(how, how)), how)
        return None
    if how == "text":
        data, mime = as_base64(data), mime or "text/plain"
    source.rest()
    return Media(
        field=at,
        kind=kind,
        mime=mime,
        data=data,
        url=url,
        name=name,
        name_field=one.name("title"),
        cache=cache,
    )
