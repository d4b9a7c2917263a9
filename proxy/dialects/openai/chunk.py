"""The text of a chunk of a streamed chat completion, apart from what else it says."""

from collections.abc import Sequence

from proxy.dialects.contract import Json
from proxy.dialects.values import mapping

# What pads a chunk, so that its length does not tell that of its text.
# https://developers.openai.com/api/docs/api-reference/chat-streaming
_PADDING = "obfuscation"
_PLAIN = ("content", "role")  # of a delta
_TEXTS = ("text", "message")  # of a choice, beside the delta


def apart(document: Json) -> tuple[Json, Sequence[str]]:
    """See `proxy.dialects.repeating.Apart`."""
    choices = mapping(document).get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        return None, ()
    choice = mapping(choices[0])
    delta = mapping(choice.get("delta"))
    said = delta.get("content")
    more = [name for name in delta if delta[name] and name not in _PLAIN]
    if not isinstance(said, str) or more or any(map(choice.get, _TEXTS)):
        return None, ()
    chunk = {**mapping(document)}
    padding = chunk.pop(_PADDING, None)
    chunk["choices"] = {**choice, "delta": {**delta, "content": None}}
    return chunk, (said, padding) if isinstance(padding, str) else (said,)
