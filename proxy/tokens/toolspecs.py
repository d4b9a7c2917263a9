"""Renders tool definitions as OpenAI's models read them: as a TypeScript namespace, not JSON.

The rendering is not published; it was inferred from billed counts (docs/tokens.md).  Raw JSON would
have a quarter more tokens.
"""

from collections.abc import Iterator, Mapping, Sequence

from proxy.tokens.prompts import Tool, as_json

DEPTH_MAX = 16  # of schemas inside schemas; deeper ones render as `any`


def namespace(tools: Sequence[Tool]) -> str:
    """All `tools` as one block of declarations."""
    lines = ["# Tools", "", "## functions", "", "namespace functions {", ""]
    for tool in tools:
        lines += _comment(tool.description, "")
        fields = list(_fields(tool.parameters, "", 0))
        if fields:
            lines += [f"type {tool.name} = (_: {{", *fields, "}) => any;", ""]
        else:
            lines += [f"type {tool.name} = () => any;", ""]
    return "\n".join([*lines, "} // namespace functions"])


def _comment(text: object, indent: str) -> list[str]:
    if not isinstance(text, str) or not text:
        return []
    return [f"{indent}// {text}"]  # further lines of `text` have no slashes


def _fields(schema: object, indent: str, depth: int) -> Iterator[str]:
    """`name?: type,` for each property, under its description."""
    if not isinstance(schema, Mapping) or not isinstance(schema.get("properties"), Mapping):
        return
    required = schema.get("required")
    for name, value in schema["properties"].items():
        if not isinstance(value, Mapping):
            continue
        yield from _comment(value.get("description"), indent)
        mark = "" if isinstance(required, list) and name in required else "?"
        default = f", // default: {as_json(value['default'])}" if "default" in value else ","
        yield f"{indent}{name}{mark}: {_type(value, indent, depth)}{default}"


def _type(schema: object, indent: str, depth: int) -> str:
    """The TypeScript type of a JSON schema, including unions and enumerations."""
    if not isinstance(schema, Mapping) or depth >= DEPTH_MAX:
        return "any"
    kinds, options = schema.get("type"), schema.get("anyOf") or schema.get("oneOf")
    if isinstance(values := schema.get("enum"), list):
        parts = [as_json(value) for value in values]
    elif isinstance(options, list):
        parts = [_type(option, indent, depth + 1) for option in options]
    elif isinstance(kinds, list):  # each once: a repeated "object" would multiply at each level
        parts = [_one(schema, kind, indent, depth) for kind in dict.fromkeys(map(str, kinds))]
    else:
        parts = [_one(schema, kinds, indent, depth)]
    return " | ".join(parts)


def _one(schema: Mapping[str, object], kind: object, indent: str, depth: int) -> str:
    if isinstance(reference := schema.get("$ref"), str):
        return reference.rpartition("/")[2]
    match kind:
        case "object":
            fields = list(_fields(schema, indent + "  ", depth + 1))
            return "\n".join(["{", *fields, indent + "}"]) if fields else "object"
        case "array":
            return _type(schema.get("items"), indent, depth + 1) + "[]"
        case "integer":
            return "number"
    return kind if isinstance(kind, str) else "any"
