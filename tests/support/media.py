"""Small things that requests consist of: a picture, a document, a schema."""

from typing import Any

Json = dict[str, Any]
PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQ="
CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
SOMETHING: Json = {"x": 1}  # where it does not matter
