"""Reads what requests of both of OpenAI's APIs have: pictures, files, schemas, tools, settings."""

from collections.abc import Mapping

from proxy.gateway.translation import settings
from proxy.gateway.translation.losses import Taker
from proxy.gateway.translation.media import data_url, kind_of
from proxy.gateway.translation.neutral import Cache, Media, Schema, Setting, Tool

CHOICES = {"auto": "auto", "none": "none", "required": "any"}
# Values that ask for nothing, in both.
NOTHING: Mapping[str, tuple[object, ...]] = {
    "metadata": ({},),
    "store": (False,),
    "top_logprobs": (0,),
}


def cache_of(one: Taker) -> Cache | None:
    """OpenAI's breakpoint, or Anthropic's as others of this dialect take it."""
    for key, kind in (("prompt_cache_breakpoint", "mode"), ("cache_control", "type")):
        if (inner := one.inner(key)) is not None:
            inner.take(kind)
            ttl = inner.text("ttl")
            inner.rest()
            return Cache(inner.at, ttl)
    return None


def image_of(image: Taker, key: str, cache: Cache | None) -> Media:
    """A picture whose URL stands at a key."""
    url, detail = image.text(key), image.text("detail")
    detail = "" if detail == "auto" else detail
    mime, data = data_url(url) or ("", "")
    return Media(
        field=image.name(key),
        kind="image",
        mime=mime,
        data=data,
        url="" if data else url,
        detail=detail,
        detail_field=image.name("detail"),
        cache=cache,
    )


def file_of(file: Taker, cache: Cache | None) -> Media | None:
    """A file in the request itself; None for another."""
    name, said = file.text("filename"), file.text("file_data")
    inline = data_url(said)
    if inline is None:
        if said:
            file.losses.lose(file.name("file_data"), "expected a data URL in base64")
        return None
    return Media(
        field=file.name("file_data"),
        kind=kind_of(inline[0]),
        mime=inline[0],
        data=inline[1],
        name=name,
        name_field=file.name("filename"),
        cache=cache,
    )


def schema_of(form: Taker) -> Schema:
    """Of an answer."""
    schema = form.take("schema")
    named = dict(schema) if isinstance(schema, Mapping) else {}
    for key, there in (("name", "title"), ("description", "description")):
        if (said := form.text(key)) and there not in named:
            named[there] = said  # annotations, which no API checks
    return Schema(named, form.take("strict") is True)


def tool_of(function: Taker, cache: Cache | None) -> Tool:
    """A function."""
    schema, strict = function.json("parameters"), function.take("strict")
    return Tool(
        field=function.at,
        name=function.text("name"),
        description=function.text("description"),
        schema=schema,
        strict=strict if isinstance(strict, bool) else None,
        cache=cache,
    )


def shared_settings(top: Taker, into: dict[str, Setting]) -> None:
    """Those that both have by the same names."""
    for key in ("user", "safety_identifier"):  # the newer name goes before
        if user := top.text(key):
            if (older := into.pop("user", None)) is not None:
                top.losses.lose(older.field, "said twice")
            into["user"] = Setting(user, key)
    tier = top.text("service_tier")
    if tier in settings.TIERS:
        into["tier"] = Setting(tier, "service_tier")
    elif tier not in ("", "auto", "default"):
        top.losses.lose("service_tier")
    if top.take("parallel_tool_calls") is False:
        into["parallel"] = Setting(False, "parallel_tool_calls")
    if key := top.text("prompt_cache_key"):
        into["cache_key"] = Setting(key, "prompt_cache_key")
    for key, nothing in NOTHING.items():
        top.skip(key, *nothing)


def verbosity_of(of: Taker, into: dict[str, Setting]) -> None:
    """How much to say; the usual is no setting."""
    if (said := of.text("verbosity")) not in ("", "medium"):
        into["verbosity"] = Setting(said, of.name("verbosity"))
