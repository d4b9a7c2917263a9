"""JSON schemas as each API takes them."""

import re
from collections.abc import Mapping, Sequence

Json = Mapping[str, object]
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # of a schema, at OpenAI
NAME_USUAL = "answer"
DEPTH_MAX = 64  # of schemas that are looked into
_SCHEMAS = ("items", "additionalProperties", "not", "if", "then", "else")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions", "patternProperties")
# Gemini's Schema writes integers as text (proto3 JSON, int64).
_INTEGERS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def title(schema: Json) -> str:
    """A name for a schema: its title, if OpenAI takes that as a name."""
    said = schema.get("title")
    return said if isinstance(said, str) and NAME.fullmatch(said) else NAME_USUAL


def is_strict(schema: object, depth: int = 0) -> bool:
    """Whether OpenAI takes a schema as strict: every object closed, every property required.

    https://platform.openai.com/docs/guides/structured-outputs (2026-11)
    """
    if depth > DEPTH_MAX:
        return False
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, Mapping):
        required = schema.get("required")
        named = set(properties) if isinstance(properties, Mapping) else set()
        if schema.get("additionalProperties") is not False:
            return False
        if named - set(required if isinstance(required, list) else ()):
            return False
    return all(is_strict(one, depth + 1) for one in _below(schema))


def closed(schema: object, depth: int = 0) -> object:
    """A schema whose objects have no other properties, unless they say otherwise.

    What a model makes by a strict schema has none; OpenAI and Anthropic want that said.
    """
    if not isinstance(schema, Mapping) or depth > DEPTH_MAX:
        return schema
    made = dict(schema)
    for key in (*_SCHEMAS, *_LISTS, *_MAPS):
        value = made.get(key)
        if isinstance(value, list):
            made[key] = [closed(one, depth + 1) for one in value]
        elif isinstance(value, Mapping) and key in _MAPS:
            made[key] = {name: closed(one, depth + 1) for name, one in value.items()}
        elif isinstance(value, Mapping):
            made[key] = closed(value, depth + 1)
    if isinstance(made.get("properties"), Mapping):
        made.setdefault("additionalProperties", False)
    return made


def _below(schema: Json) -> Sequence[object]:
    found = [schema[key] for key in _SCHEMAS if key in schema]
    for key in _LISTS:
        found += value if isinstance(value := schema.get(key), list) else []
    for key in _MAPS:
        found += value.values() if isinstance(value := schema.get(key), Mapping) else []
    return found


def from_gemini(schema: object, depth: int = 0) -> object:
    """A JSON schema from Gemini's own kind: types in capitals, `nullable`, integers as text."""
    if not isinstance(schema, Mapping) or depth > DEPTH_MAX:
        return schema
    made: dict[str, object] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, str):
            made[key] = value.lower()
        elif key in ("any_of", "anyOf") and isinstance(value, list):
            made["anyOf"] = [from_gemini(one, depth + 1) for one in value]
        elif key == "properties" and isinstance(value, Mapping):
            made[key] = {name: from_gemini(one, depth + 1) for name, one in value.items()}
        elif key in ("items", "additionalProperties"):
            made[key] = from_gemini(value, depth + 1)
        elif key in _INTEGERS and isinstance(value, str) and value.isdecimal():
            made[key] = int(value)
        elif key not in ("nullable", "propertyOrdering", "property_ordering"):
            made[key] = value
    if schema.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made
