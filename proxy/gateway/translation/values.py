"""Values of answers, read as what they should be: what is odd is nothing, since it was paid for."""

from collections.abc import Mapping

import msgspec

Json = Mapping[str, object]


def mapping(value: object) -> Json:
    """An object, or {}."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> list[object]:
    """A list, or []."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """A text, or ""."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int:
    """A count, or 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def as_object(said: str) -> Json | None:
    """The JSON object that a text is, nothing being an empty one; None if it is none."""
    if not said.strip():
        return {}
    try:
        found = msgspec.json.decode(said)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def is_object(said: str) -> bool:
    """Whether a text is a whole JSON object, which has no more to come."""
    return said.rstrip().endswith("}") and as_object(said) is not None
