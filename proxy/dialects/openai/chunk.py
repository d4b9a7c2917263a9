"""The text of a chunk of a streamed chat completion, apart from what else it says."""

from collections.abc import Mapping, Sequence

from proxy.dialects.contract import Json
from proxy.dialects.repeating import TEXT
from proxy.dialects.values import mapping

# What pads a chunk, so that its length does not tell that of its text.
# https://developers.openai.com/api/docs/api-reference/chat-streaming
_PADDING = "obfuscation"
_TEXTS = ("content", "reasoning_content", "reasoning")  # of a delta
_OTHERS = ("text", "message")  # of a choice, beside the delta

Object = Mapping[str, object]


def apart(document: Json) -> tuple[Json, Sequence[str]]:
    """See `proxy.dialects.repeating.Apart`."""
    choices = mapping(document).get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        return None, ()
    choice = mapping(choices[0])
    delta, said = _delta_apart(mapping(choice.get("delta")))
    if not isinstance(said, str) or any(map(choice.get, _OTHERS)):
        return None, ()
    chunk = {**mapping(document)}
    padding = chunk.pop(_PADDING, None)
    chunk["choices"] = {**choice, "delta": delta}
    return chunk, (said, padding) if isinstance(padding, str) else (said,)


def _delta_apart(delta: Object) -> tuple[Object, Json]:
    """A delta without its text, and that: of an answer, a thought, or the arguments of a call."""
    saying = [name for name in delta if delta[name] and name != "role"] or ["content"]
    name = saying[0]
    if len(saying) > 1:
        return delta, None
    if name != "tool_calls":
        return {**delta, name: TEXT}, delta.get(name) if name in _TEXTS else None
    calls = delta[name]
    call = mapping(calls[0]) if isinstance(calls, list) and len(calls) == 1 else {}
    function = mapping(call.get("function"))
    bare = {**call, "function": {**function, "arguments": TEXT}}
    return {**delta, name: bare}, None if function.get("name") else function.get("arguments")
