"""An example for each row of `proxy.gateway.translation.fields`: a request that has the field."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from proxy.gateway.translation import requests
from proxy.gateway.translation.field_names_embeddings import BATCH
from proxy.gateway.translation.fields import FIELDS
from proxy.gateway.translation.losses import Losses
from proxy.gateway.translation.neutral import Target
from proxy.gateway.translation.values import as_object
from support.fields_anthropic import anthropic
from support.fields_embeddings import EMBEDDINGS, HI, gemini_embeddings, with_purpose
from support.fields_gemini import gemini
from support.fields_openai import OPENAI
from support.fields_responses import ASKED, RESPONSES
from support.media import Json

FIELD_NAMES = frozenset(row.name for rows in FIELDS.values() for row in rows)
BASES: Mapping[str, Json] = {
    "openai": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "m", "input": [ASKED]},
    "embeddings": {"model": "m", "input": "hi"},
    "anthropic": {
        "model": "m",
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": "hi"}],
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "gemini_embeddings": HI,
}


def example(api: str, name: str, to: str = "") -> Json:
    """A whole request that has this field, and what it must have for an API."""
    examples = {
        "openai": OPENAI.__getitem__,
        "responses": RESPONSES.__getitem__,
        "embeddings": EMBEDDINGS.__getitem__,
        "anthropic": anthropic,
        "gemini": gemini,
        "gemini_embeddings": gemini_embeddings,
    }
    body = examples[api](name)
    body = body if name.startswith(BATCH) else BASES[api] | body
    return with_purpose(body) if to == "cohere" else body


def base(api: str, name: str, to: str) -> Json:
    """The same without it."""
    body = {"requests": [BASES[api]]} if name.startswith(BATCH) else BASES[api]
    return with_purpose(body) if to == "cohere" else body


def target(api: str, model: str = "m") -> Target:
    """The provider that the API is named after, or whose it is."""
    return Target(api=api, provider={"responses": "openai"}.get(api, api), model=model)


def translated(dialect: str, body: Any, to: str, *drop: str, model: str = "m") -> Any:
    made = requests.translate(dialect, body, target(to, model), drop, stream=False)
    return json.loads(made.body)


def meaning(value: Any) -> Any:
    """A request without the names that its API has for things."""
    if is_dataclass(value):
        names = [f.name for f in fields(value) if not f.name.endswith("field")]
        return {name: meaning(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: meaning(one) for key, one in value.items()}
    if isinstance(value, str) and value.startswith("{"):  # arguments, whose spaces mean nothing
        return as_object(value) or value
    return [meaning(one) for one in value] if isinstance(value, list | tuple) else value


def read(dialect: str, body: Any) -> Any:
    losses = Losses()
    ask = requests.READS[dialect](body, losses)
    losses.check()
    return meaning(ask)


def nameless(value: Any) -> Any:
    if isinstance(value, dict):
        media = "mime" in value
        return {k: nameless(v) for k, v in value.items() if not (media and k == "name")}
    return [nameless(one) for one in value] if isinstance(value, list) else value
