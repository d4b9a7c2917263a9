"""Chunks of a stream that say nothing new but a piece of text, as most of them do."""

from collections.abc import Mapping

from proxy.dialects.values import mapping

# What pads a chunk, so that its length does not tell that of its text.
# https://developers.openai.com/api/docs/api-reference/chat-streaming
PADDING = "obfuscation"
PLAIN = ("content", "role")
TEXTS = ("text", "message")  # beside the delta

Object = Mapping[str, object]


class Repeated:
    """Recognises a chunk that equals the one before in all but its text and its padding.

    Whatever else it says was taken then, and taking it again would change nothing.
    """

    def __init__(self) -> None:
        self._rest: Object | None = None  # the chunk before, without its text

    def text(self, chunk: object) -> str | None:
        """The text of a chunk that says nothing else; None: it must be read."""
        if self._rest is None:
            return None
        rest, said = _apart(chunk)
        return said if rest == self._rest else None

    def remember(self, chunk: object) -> None:
        """Take a chunk that was read.  If it has more than one text, the next must be read, too."""
        rest, _ = _apart(chunk)
        self._rest = None if _says_more(rest) else rest


def _apart(chunk: object) -> tuple[Object | None, str]:
    """A chunk without its text, and that; None: it has none."""
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    if not isinstance(chunk, dict) or not isinstance(choices, list) or len(choices) != 1:
        return None, ""
    choice = choices[0]
    delta = choice.get("delta") if isinstance(choice, dict) else None
    said = delta.get("content") if isinstance(delta, dict) else None
    if not isinstance(said, str) or not isinstance(delta, dict):
        return None, ""
    bare = {**choice, "delta": {**delta, "content": None}}
    return {**chunk, "choices": bare, PADDING: None}, said


def _says_more(rest: Object | None) -> bool:
    choice = mapping(rest, "choices")
    delta = mapping(choice, "delta")
    return any(delta[name] for name in delta if name not in PLAIN) or any(map(choice.get, TEXTS))
