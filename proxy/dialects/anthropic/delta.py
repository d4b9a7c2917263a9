"""The text of an event that extends a content block, apart from what else it says."""

from collections.abc import Sequence

from proxy.dialects.contract import Json
from proxy.dialects.repeating import TEXT
from proxy.dialects.values import mapping, text

# The text of a delta, by its type.
_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def apart(document: Json) -> tuple[Json, Sequence[str]]:
    """See `proxy.dialects.repeating.Apart`."""
    body = mapping(document)
    delta = mapping(body.get("delta"))
    name = _TEXTS.get(text(delta.get("type")))
    if name is None or len(delta) != 2 or body.get("type") != "content_block_delta":
        return None, ()
    said = delta.get(name)
    rest = {**body, "delta": {**delta, name: TEXT}}
    return (rest, (said,)) if isinstance(said, str) else (None, ())
