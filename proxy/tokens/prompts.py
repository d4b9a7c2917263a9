"""The prompt in a request of any wire format: turns, tools, images.

The formats name the same few things differently, so the keys of a document decide how it is read,
not its address.  Odd documents raise nothing: what is not understood is skipped, and what is
understood but cannot be counted (audio, video, files) gives a reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from pricing.reason import Reason
from proxy.tokens.images import Image, from_base64

DEPTH_MAX = 16  # of content inside content; tool results hold parts, rarely more


@dataclass(slots=True)
class Turn:
    """One message.  `calls` is set if it has more than plain text (tool calls or results)."""

    role: str
    texts: list[str] = field(default_factory=list)
    name: str = ""
    calls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call; `parameters` is its JSON schema."""

    name: str
    description: str
    parameters: object


@dataclass(slots=True)
class Prompt:
    """Everything in one request that costs tokens."""

    turns: list[Turn] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)  # text outside of any chat format
    token_ids: int = 0  # input that came as token numbers
    tools: list[Tool] = field(default_factory=list)
    schema: object = None  # of structured output
    images: list[Image] = field(default_factory=list)
    thinking: bool = False  # Anthropic's extended thinking is on
    forced: bool = False  # a tool must be called
    reasons: set[Reason] = field(default_factory=set)


def read(request: Mapping[str, object]) -> Prompt:
    """The prompt in a decoded request body of any supported format."""
    prompt = Prompt()
    inner = request.get("input")
    if isinstance(inner, Mapping):  # DashScope: {"model", "input": {...}, "parameters": {...}}
        parameters = request.get("parameters")
        request = {**(parameters if isinstance(parameters, Mapping) else {}), **inner}
    _system(prompt, request)
    if "contents" in request or "requests" in request or "content" in request:
        _gemini(prompt, request)
    elif "messages" in request:
        for message in _items(request["messages"]):
            _message(prompt, message)
    elif isinstance(request.get("message"), str):  # Cohere v1
        for message in _items(request.get("chat_history")):
            _message(prompt, message)
        prompt.turns.append(Turn("user", [_text(request["message"])]))
    else:
        _bare(prompt, request)
    _tools(prompt, request)
    _choices(prompt, request)
    return prompt


def _system(prompt: Prompt, request: Mapping[str, object]) -> None:
    """A system prompt outside the messages: Anthropic, Bedrock, Gemini, Responses, Cohere v1."""
    for key in ("system", "systemInstruction", "system_instruction", "instructions", "preamble"):
        if value := request.get(key):
            turn = Turn("system")
            _content(prompt, turn, value, 0)
            prompt.turns.append(turn)


def _gemini(prompt: Prompt, request: Mapping[str, object]) -> None:
    contents = request.get("contents") or request.get("content")
    if "requests" in request:  # batchEmbedContents
        contents = [item.get("content") for item in _mappings(request["requests"])]
    if isinstance(contents, str | Mapping):
        contents = [contents]
    for item in _items(contents):
        _message(prompt, item)


def _message(prompt: Prompt, message: object) -> None:
    """A message of any format, or an item of the Responses API."""
    if isinstance(message, str):
        prompt.turns.append(Turn("user", [message]))
    if not isinstance(message, Mapping):
        return
    turn = Turn(_text(message.get("role") or "user"), name=_text(message.get("name")))
    for key in ("content", "parts", "message"):
        _content(prompt, turn, message.get(key), 0)
    for image in _items(message.get("images")):  # Ollama
        prompt.images.append(from_base64(_text(image)))
    for call in _mappings(message.get("tool_calls")):
        function = call.get("function")
        _call(turn, function if isinstance(function, Mapping) else call)
    if isinstance(function := message.get("function_call"), Mapping):
        _call(turn, function)
    if "content" not in message and isinstance(message.get("type"), str):
        _part(prompt, turn, message, 0)  # function_call, function_call_output, reasoning ...
    turn.calls = turn.calls or turn.role in ("tool", "function")
    prompt.turns.append(turn)


def _content(prompt: Prompt, turn: Turn, content: object, depth: int) -> None:
    """Text, a part, or a list of either."""
    if isinstance(content, str):
        turn.texts.append(content)
    elif isinstance(content, Mapping):
        _part(prompt, turn, content, depth)
    elif isinstance(content, Sequence) and depth < DEPTH_MAX:
        for part in content:
            _content(prompt, turn, part, depth + 1)


def _part(prompt: Prompt, turn: Turn, part: Mapping[str, object], depth: int) -> None:
    kind = _text(part.get("type"))
    if _media(prompt, part, kind):
        return
    for key in ("text", "thinking", "refusal"):
        if isinstance(value := part.get(key), str):
            turn.texts.append(value)
    for key in ("functionCall", "functionResponse", "toolUse"):  # Gemini, Bedrock
        if isinstance(call := part.get(key), Mapping):
            _call(turn, call)
    if kind in ("tool_use", "function_call"):
        _call(turn, part)
    result = part.get("toolResult")
    for holder in (part, result if isinstance(result, Mapping) else {}):
        for key in ("content", "output", "parts", "summary"):
            if key in holder and depth < DEPTH_MAX:
                turn.calls = True
                _content(prompt, turn, holder[key], depth + 1)


def _call(turn: Turn, call: Mapping[str, object]) -> None:
    """A tool call made earlier, or Gemini's answer to one."""
    turn.calls = True
    turn.texts.append(_text(call.get("name")))
    for key in ("arguments", "input", "args", "response"):
        if (value := call.get(key)) is not None:
            turn.texts.append(value if isinstance(value, str) else as_json(value))


def _media(prompt: Prompt, part: Mapping[str, object], kind: str) -> bool:
    """Whether the part is an image, or something else that is not text and cannot be counted."""
    held = part.get("inlineData") or part.get("inline_data") or part.get("fileData")
    held = held or part.get("file_data")
    mime = ""
    if isinstance(held, Mapping):  # Gemini
        mime = _text(held.get("mimeType") or held.get("mime_type"))
    if kind in ("image_url", "input_image", "image") or "image" in part or mime[:6] == "image/":
        prompt.images.append(_image(part, held))
    elif kind in ("input_audio", "audio") or "audio" in part or mime[:6] == "audio/":
        prompt.reasons.add(Reason.AUDIO_NOT_COUNTED)
    elif kind in ("video_url", "video") or "video" in part or mime[:6] == "video/":
        prompt.reasons.add(Reason.VIDEO_NOT_COUNTED)
    elif kind in ("file", "input_file", "document") or "document" in part or mime:
        prompt.reasons.add(Reason.DOCUMENT_NOT_COUNTED)
    else:
        return False
    return True


def _image(part: Mapping[str, object], held: object) -> Image:
    """OpenAI (a URL, bare or in an object), Anthropic, Bedrock (source), Gemini (inlineData)."""
    detail = _text(part.get("detail")) or "auto"
    for holder in (held, part.get("image_url"), part.get("source"), part.get("image")):
        found = holder
        if isinstance(found, Mapping):
            detail = _text(found.get("detail")) or detail
            source = found.get("source")
            found = source if isinstance(source, Mapping) else found
            found = found.get("data") or found.get("bytes") or found.get("url")
        if isinstance(found, str) and not found.startswith(("http:", "https:", "gs:", "oss:")):
            return from_base64(found, detail)
    return Image(detail=detail)


def _bare(prompt: Prompt, request: Mapping[str, object]) -> None:
    """Completions, embeddings, reranking; and the Responses API, whose items are messages."""
    for key in ("prompt", "input", "texts", "inputs", "query", "documents", "suffix"):
        value = request.get(key)
        items = [value] if isinstance(value, str) else _items(value)
        if items and all(isinstance(item, int) for item in items):
            prompt.token_ids += len(items)
            continue
        for item in items:
            if isinstance(item, str) and key == "input":  # of the Responses API: a user's message
                prompt.turns.append(Turn("user", [item]))
            elif isinstance(item, str):
                prompt.bare.append(item)
            elif isinstance(item, Mapping) and ("role" in item or "type" in item):
                _message(prompt, item)
            elif isinstance(item, Mapping):  # {"text": ...}, {"image": ...}
                turn = Turn("")
                _content(prompt, turn, item, 0)
                prompt.bare += turn.texts
            elif isinstance(item, Sequence):
                prompt.token_ids += len(item)
    for image in _items(request.get("images")):  # Ollama's generate
        prompt.images.append(from_base64(_text(image)))


def _tools(prompt: Prompt, request: Mapping[str, object]) -> None:
    """Definitions as OpenAI, Anthropic, Gemini and Bedrock nest them."""
    config = request.get("toolConfig")
    groups = [request.get("tools"), request.get("functions")]
    groups.append(config.get("tools") if isinstance(config, Mapping) else None)
    for item in (item for group in groups for item in _mappings(group)):
        declared = item.get("functionDeclarations") or item.get("function_declarations")
        for held in _mappings(declared) or [item]:
            inner = held.get("function") or held.get("toolSpec")
            tool = inner if isinstance(inner, Mapping) else held
            schema = tool.get("parameters") or tool.get("input_schema") or tool.get("inputSchema")
            schema = tool.get("parameter_definitions") if schema is None else schema
            if isinstance(schema, Mapping) and isinstance(schema.get("json"), Mapping):
                schema = schema["json"]  # Bedrock
            name = _text(tool.get("name"))
            if tool.get("defer_loading") is True:
                continue  # the model only sees it after searching for it
            if not name or _text(tool.get("type")) not in ("", "function", "custom"):
                prompt.reasons.add(Reason.HOSTED_TOOL_NOT_COUNTED)
                continue
            prompt.tools.append(
                Tool(name=name, description=_text(tool.get("description")), parameters=schema)
            )


def _choices(prompt: Prompt, request: Mapping[str, object]) -> None:
    """Settings that change what the model reads."""
    thinking = request.get("thinking")
    prompt.thinking = isinstance(thinking, Mapping) and thinking.get("type") != "disabled"
    choice = request.get("tool_choice")
    chosen = choice.get("type") if isinstance(choice, Mapping) else choice
    prompt.forced = chosen in ("any", "tool", "required", "function")
    formats = request.get("response_format"), request.get("text"), request.get("format")
    for wanted in formats:
        inner = wanted.get("format", wanted) if isinstance(wanted, Mapping) else None
        if isinstance(inner, Mapping):
            inner = inner.get("json_schema", inner)
            if isinstance(inner, Mapping):
                prompt.schema = inner if "properties" in inner else inner.get("schema")
    stored = ("previous_response_id", "conversation", "cachedContent", "cached_content")
    if any(request.get(key) for key in stored) or isinstance(request.get("prompt"), Mapping):
        prompt.reasons.add(Reason.STORED_CONTEXT_NOT_COUNTED)


def as_json(value: object) -> str:
    """`value` as compact JSON."""
    return msgspec.json.encode(value).decode()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def _mappings(value: object) -> list[Mapping[str, object]]:
    return [item for item in _items(value) if isinstance(item, Mapping)]
