"""What a route may ask of a request, read from a decoded body of any of its APIs.

What is odd is read as absent, and what decides nothing is not read: the body itself goes on as it
came.
"""

import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from proxy.gateway.when import TAGS, Value

Json = Mapping[str, object]
NONE: Mapping[str, str] = MappingProxyType({})
NODES_MAX = 200_000  # of a body that are looked at for its modalities
SESSION_CHARACTERS_MAX = 256
# What a request is for → its dialect, by the end of its path.
OPERATIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "/chat/completions": ("openai", "chat"),
        "/responses": ("openai", "responses"),
        "/embeddings": ("openai", "embeddings"),
        "/messages": ("anthropic", "messages"),
        "/messages/count_tokens": ("anthropic", "count_tokens"),
        ":generateContent": ("gemini", "generate_content"),
        ":streamGenerateContent": ("gemini", "generate_content"),
        ":embedContent": ("gemini", "embeddings"),
        ":batchEmbedContents": ("gemini", "embeddings"),
    }
)
# `type` of a part → what it is.  OpenAI chat and Responses, Anthropic.
_TYPES: Mapping[str, str] = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "input_audio": "audio",
    "audio": "audio",
    "video_url": "video",
    "video": "video",
    "file": "document",
    "input_file": "document",
    "document": "document",
}
_GEMINI_PARTS = ("inlineData", "inline_data", "fileData", "file_data")
_PROMPTS = ("system", "systemInstruction", "system_instruction", "instructions")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One request.  `session` is "" where nothing names one; `unit` is what a split assigns."""

    dialect: str = "openai"
    operation: str = "chat"
    input_tokens: int = 0
    max_tokens: int = 0
    tools: bool = False
    schema: bool = False
    modalities: frozenset[str] = frozenset({"text"})
    effort: str = ""
    stream: bool = False
    session: str = ""
    user: str = ""
    caller: str = ""
    tags: Mapping[str, str] = NONE
    hour: int = 0
    # By a candidate's label, why it cannot have this request; "": it is translated for it.
    foreign: Mapping[str, str] = NONE

    def value(self, name: str) -> Value:
        """What a name of `when` means here."""
        if name.startswith(TAGS):
            return self.tags.get(name.removeprefix(TAGS), "")
        value: Value = getattr(self, name)
        return value


def operation_of(path: str) -> tuple[str, str] | None:
    """(dialect, operation) of a path; None for any other."""
    found = (what for end, what in OPERATIONS.items() if path.endswith(end))
    return next(found, None)


def read(path: str, body: Json) -> Facts:
    """The facts that the body states.  Raises ValueError for a path that is no operation."""
    named = operation_of(path)
    if named is None:
        raise ValueError(f"no operation: {path}")
    dialect, operation = named
    gemini = _mapping(body.get("generationConfig")) or _mapping(body.get("generation_config"))
    return Facts(
        dialect=dialect,
        operation=operation,
        max_tokens=_max_tokens(body, gemini),
        tools=bool(body.get("tools") or body.get("functions")),
        schema=_wants_schema(body, gemini),
        modalities=frozenset({"text", *_modalities(body)}),
        effort=_effort(body, gemini),
        stream=body.get("stream") is True or path.endswith(":streamGenerateContent"),
        user=_text(body.get("user")) or _text(_mapping(body.get("metadata")).get("user_id")),
    )


def session_of(tag: str, named: str, body: Json) -> str:
    """What keeps turns together: the first of what the caller says, and what the body shows.

    `named` is the session that a header or the metadata names.  Without any, turns of one
    conversation begin alike: so a hash of the first system and the first user message.
    """
    said = tag or named or _text(body.get("prompt_cache_key"))
    if said:
        return said[:SESSION_CHARACTERS_MAX]
    begins = [body[key] for key in _PROMPTS if body.get(key)]
    turns = body.get("messages") or body.get("contents") or body.get("input")
    listed = turns if isinstance(turns, list) else [turns]
    begins += [one for one in listed if _role(one) in ("system", "developer")][:1]
    begins += [one for one in listed if one and _role(one) == "user"][:1]
    if not begins:
        return ""
    digest = hashlib.sha256(repr(begins).encode("utf-8", "surrogatepass")).hexdigest()
    return f"begins:{digest[:32]}"


def _role(turn: object) -> str:
    """Text, and a turn without a role, is the user's."""
    return _text(turn.get("role")) or "user" if isinstance(turn, Mapping) else "user"


def _max_tokens(body: Json, gemini: Json) -> int:
    names = ("max_completion_tokens", "max_output_tokens", "max_tokens")
    found = [body.get(name) for name in names] + [gemini.get("maxOutputTokens")]
    return next((n for n in found if isinstance(n, int) and not isinstance(n, bool) and n > 0), 0)


def _wants_schema(body: Json, gemini: Json) -> bool:
    """OpenAI chat, Responses, Anthropic (output_config, and output_format before it), Gemini."""
    formats = (
        body.get("response_format"),
        _mapping(body.get("text")).get("format"),
        _mapping(body.get("output_config")).get("format"),
        body.get("output_format"),
    )
    if any(_mapping(one).get("type") == "json_schema" for one in formats):
        return True
    return any(gemini.get(name) for name in ("responseSchema", "responseJsonSchema"))


def _effort(body: Json, gemini: Json) -> str:
    said = (
        body.get("reasoning_effort"),
        _mapping(body.get("reasoning")).get("effort"),
        _mapping(body.get("output_config")).get("effort"),
        _mapping(gemini.get("thinkingConfig")).get("thinkingLevel"),
    )
    return next((text.lower() for text in map(_text, said) if text), "")


def _modalities(body: Json) -> Iterator[str]:
    """What there is beside text in the messages, results of tools included."""
    left: list[object] = [body.get(key) for key in (*_PROMPTS, "messages", "contents", "input")]
    seen = 0
    while left and seen < NODES_MAX:
        one = left.pop()
        seen += 1
        if isinstance(one, list):
            left += one
        elif isinstance(one, Mapping):
            if kind := _TYPES.get(_text(one.get("type"))):
                yield kind
            for key in _GEMINI_PARTS:
                mime = _mapping(one.get(key))
                if mime:
                    yield _of_mime(_text(mime.get("mimeType")) or _text(mime.get("mime_type")))
            left += [one.get(key) for key in ("content", "parts", "output")]


def _of_mime(mime: str) -> str:
    kind = mime.partition("/")[0]
    return kind if kind in ("image", "audio", "video", "text") else "document"


def _mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
