"""A value that fits a JSON schema, for requests that ask for one: the least that it allows."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
DEPTH_MAX = 16
PLAIN: Mapping[str, object] = {
    "string": "Paris",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "null": None,
}


def schema_of(body: Json) -> Json | None:
    """The schema that a request of any dialect asks the answer to fit; None if it asks for none."""
    chat = _inner(_inner(body, "response_format"), "json_schema")
    responses = _inner(_inner(body, "text"), "format")
    anthropic = _inner(_inner(body, "output_config"), "format")
    gemini = _inner(body, "generationConfig")
    found = [one.get("schema") for one in (chat, responses, anthropic)]
    found += [gemini.get("responseJsonSchema"), gemini.get("responseSchema")]
    return next((one for one in found if isinstance(one, dict)), None)


def _inner(document: Json, key: str) -> Json:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def fitting(schema: Json, root: Json | None = None, depth: int = 0) -> object:
    """A value that fits: every property, and the first of what may be chosen from."""
    root = root or schema
    if depth > DEPTH_MAX:
        return None
    if isinstance(named := schema.get("$ref"), str):
        return fitting(_named(root, named), root, depth + 1)
    for chosen in ("enum", "anyOf", "oneOf", "allOf"):
        if options := schema.get(chosen):
            first = options[0]
            return first if chosen == "enum" else fitting(first, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        return {name: fitting(one, root, depth + 1) for name, one in properties.items()}
    return PLAIN.get(kind, "Paris")


def _named(root: Json, reference: str) -> Json:
    """What a `$ref` of the same document leads to; {} if it leads nowhere."""
    found: object = root
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
