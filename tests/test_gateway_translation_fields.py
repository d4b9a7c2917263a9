"""The table of request fields, against the SDKs' types and against what is done."""

import typing
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel

from proxy.gateway.translation import requests
from proxy.gateway.translation.fields import FIELDS, Field, covers
from proxy.gateway.translation.losses import Refused
from support.translation import base, example, target

ROWS = [(api, row) for api, rows in FIELDS.items() for row in rows]
# What says nothing beside what the other API says by itself.
IMPLIED = frozenset(
    (
        *("model", "stream", "stream_options.include_usage", "service_tier"),
        *("messages[].content[].caller.type", "tools[].type"),
        *("input[].id", "input[].status", "input[].caller.type", "encoding_format"),
        *("content.role", "requests[].content.role", "requests[].model"),
    )
)
# What a request of Google's SDK says to the SDK, or in other places.
SDKS_OWN = ("httpOptions", "automaticFunctionCalling", "shouldReturnHttpResponse")
BESIDE = (
    *("tools", "toolConfig", "safetySettings", "cachedContent", "labels", "serviceTier"),
    *("modelArmorConfig", "store"),
)


def translated(api: str, body: Any, to: str, *drop: str) -> requests.Translated:
    """For the provider that the API is named after, or whose it is."""
    return requests.translate(api, body, target(to), drop, stream=bool(body.get("stream")))


@pytest.mark.parametrize(("api", "row"), ROWS, ids=lambda one: getattr(one, "name", one))
def test_each_row_is_what_is_done(api: str, row: Field) -> None:
    """Carried fields arrive; others are refused by name, and listed if the route drops them."""
    for to in requests.reached(api):
        body = example(api, row.name, to)
        if to in row.carried or to in row.listed:
            found = translated(api, body, to)
            named = [one for one in found.losses if covers(row, one)]
            assert bool(named) == (to in row.listed), (to, found.losses)
            if row.name not in IMPLIED and to in row.carried:
                assert found.body != translated(api, base(api, row.name, to), to).body, to
            continue
        with pytest.raises(Refused) as caught:
            translated(api, body, to)
        refused = [one for one in caught.value.fields if covers(row, one) or _is_kind(row, one)]
        assert refused, (to, caught.value.fields)
        assert str(caught.value).count(refused[0])
        dropped = translated(api, body, to, *caught.value.fields)
        assert set(refused) <= set(dropped.losses)


def _is_kind(row: Field, name: str) -> bool:
    """Whether a field is refused by the kind of block or tool that alone has it."""
    return name.endswith(".type") and row.name.startswith(name.removesuffix("type"))


def _typed(kind: Any, path: str, above: frozenset[object]) -> Iterator[str]:
    """Every field of a TypedDict, and of those inside it."""
    arguments = typing.get_args(kind)
    if hasattr(kind, "__total__"):
        for name, inner in {} if kind in above else typing.get_type_hints(kind).items():
            named = f"{path}.{name}" if path else name
            yield named
            yield from _typed(inner, named, above | {kind})
    elif arguments and typing.get_origin(kind) is not dict:
        origin = str(typing.get_origin(kind))
        many = "list" in origin or "Iterable" in origin or "Sequence" in origin
        for one in arguments:
            yield from _typed(one, f"{path}[]" if many else path, above)


def _modelled(model: type[BaseModel], path: str, above: frozenset[object]) -> Iterator[str]:
    """Every field of a pydantic model, and of those inside it."""
    for name, field in model.model_fields.items():
        named = f"{path}{field.alias or name}"
        yield named
        yield from _within(field.annotation, named, above | {model})


def _within(kind: Any, path: str, above: frozenset[object]) -> Iterator[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind not in above:
            yield from _modelled(kind, f"{path}.", above)
        return
    for one in typing.get_args(kind):
        many = typing.get_origin(kind) is list
        yield from _within(one, f"{path}[]" if many else path, above)


def _openai() -> Iterator[str]:
    params = import_module("openai.types.chat.completion_create_params")
    for kind in (params.CompletionCreateParamsNonStreaming, params.CompletionCreateParamsStreaming):
        yield from _typed(kind, "", frozenset())


def _responses() -> Iterator[str]:
    params = import_module("openai.types.responses.response_create_params")
    for kind in (params.ResponseCreateParamsNonStreaming, params.ResponseCreateParamsStreaming):
        yield from _typed(kind, "", frozenset())


def _embeddings() -> Iterator[str]:
    params = import_module("openai.types.embedding_create_params")
    yield from _typed(params.EmbeddingCreateParams, "", frozenset())


def _anthropic() -> Iterator[str]:
    params = import_module("anthropic.types.message_create_params")
    for kind in (params.MessageCreateParamsNonStreaming, params.MessageCreateParamsStreaming):
        yield from _typed(kind, "", frozenset())


def _gemini() -> Iterator[str]:
    types = import_module("google.genai.types")
    yield from _modelled(types.Content, "contents[].", frozenset())
    for name in _modelled(types.GenerateContentConfig, "", frozenset({types.Schema})):
        top = name.partition(".")[0].removesuffix("[]")
        if top in BESIDE:
            yield name
        elif top not in (*SDKS_OWN, "systemInstruction"):  # that is a content, like the others
            yield f"generationConfig.{name}"


def _gemini_embeddings() -> Iterator[str]:
    types = import_module("google.genai.types")
    own = [*_modelled(types.Content, "content.", frozenset())]
    own += [n for n in _modelled(types.EmbedContentConfig, "", frozenset()) if "http" not in n]
    yield from (f"{at}{name}" for at in ("", "requests[].") for name in own)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("api", "names"),
    [
        ("openai", _openai),
        ("responses", _responses),
        ("embeddings", _embeddings),
        ("anthropic", _anthropic),
        ("gemini", _gemini),
        ("gemini_embeddings", _gemini_embeddings),
    ],
)
def test_every_field_of_the_sdks_is_in_the_table(api: str, names: Any) -> None:
    """A new version of an SDK with a new field fails here until somebody decides about it."""
    missing = [n for n in set(names()) if not any(covers(row, n) for row in FIELDS[api])]
    assert sorted(missing) == []


def test_an_unknown_field_is_refused() -> None:
    """At any depth, by its full name."""
    asked = {"role": "user", "content": [{"type": "text", "text": "hi", "colour": "red"}]}
    with pytest.raises(Refused) as caught:
        translated("openai", {"model": "m", "messages": [asked], "shiny": 1}, "gemini")
    assert set(caught.value.fields) == {"shiny", "messages[].content[].colour"}
