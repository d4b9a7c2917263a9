"""The turns and tools of a call in the shape of OpenAI's chat, whatever dialect it spoke.  Pure.

Shapes are told by their keys, as content capture keeps documents without their path.  What is not
recognised is kept as it is: nothing is dropped, and nothing is made up.  The shapes are those of
https://platform.openai.com/docs/api-reference/chat, …/responses,
https://docs.anthropic.com/en/api/messages, https://ai.google.dev/api/generate-content,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
https://docs.cohere.com/reference/chat and https://docs.ollama.com/api.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import msgspec

Json = object
Turn = dict[str, Json]

SYSTEM, USER, ASSISTANT, TOOL = "system", "user", "assistant", "tool"
_ROLES = {"model": ASSISTANT, "chatbot": ASSISTANT, "human": USER, "ai": ASSISTANT}
_TEXTS = ("text", "input_text", "output_text", "summary_text")
_SYSTEMS = ("instructions", "system", "systemInstruction", "system_instruction", "preamble")
_LISTS = ("chat_history", "messages", "contents", "input", "item")  # of turns
# Keys of requests that are not turns but texts of one, of legacy completions and embeddings.
_PLAIN = ("prompt", "input", "inputs", "texts", "inputText", "query", "message", "content")


@dataclass(slots=True)
class Conversation:
    """Turns in order; `left_out` are the capture's own notes of what it left out."""

    messages: list[Turn] = field(default_factory=list)
    tools: list[Json] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def conversation(request: str, response: str, output: str) -> Conversation:
    """The conversation of one call, from its captured texts (`exporters.content.Captured`)."""
    found = Conversation()
    for document in documents(request):
        _asked(document, found)
    before = len(found.messages)
    for document in documents(response):
        found.messages += _answered(document)
    if len(found.messages) == before and output:
        found.messages.append({"role": ASSISTANT, "content": output})
    return found


def documents(text: str) -> Iterator[Json]:
    """The documents of a captured text, one per line; a text that is none stands for itself."""
    for line in text.split("\n"):
        if line.strip():
            try:
                yield msgspec.json.decode(line, strict=False)
            except msgspec.DecodeError:
                yield line


def _asked(document: Json, found: Conversation) -> None:
    """Add what a request says."""
    if not isinstance(document, dict):
        found.messages.append({"role": USER, "content": document})
        return
    inner = document.get("response") if document.get("type") == "response.create" else None
    if isinstance(inner, dict):  # on a socket
        document = inner
    systems = [document[key] for key in _SYSTEMS if document.get(key)]
    found.messages += [{"role": SYSTEM, "content": _content(value)} for value in systems]
    listed = [value for key in _LISTS if (value := _elements(document.get(key)))]
    for one in chain.from_iterable(listed):
        if isinstance(one, dict):
            found.messages += _turns(one, USER)
        else:
            found.left_out.append(str(one))
    if not listed or isinstance(document.get("message"), str):
        plain = (document[key] for key in _PLAIN if document.get(key))
        found.messages += [{"role": USER, "content": _content(value)} for value in islice(plain, 1)]
    tools = document.get("tools") or _at(document, "toolConfig", "tools")
    found.tools += [made for one in _listed(tools) for made in _tools(one)]


def _elements(value: Json) -> list[Json]:
    """The elements of a list of turns, also of one alone; [] for anything else."""
    if isinstance(value, dict) and "type" in value:  # conversation.item.create
        return [value]
    there = isinstance(value, list) and any(isinstance(one, dict) for one in value)
    return _listed(value) if there else []


def _answered(document: Json) -> Iterator[Turn]:
    """The turns of a response."""
    if not isinstance(document, dict):
        yield {"role": ASSISTANT, "content": document}
        return
    if error := document.get("error"):
        yield {"role": ASSISTANT, "content": None, "error": error}
        return
    choices = document.get("choices") or document.get("candidates")
    if isinstance(choices, list):
        for at, one in enumerate(choices):
            for turn in _choice(one) if isinstance(one, dict) else ():
                yield turn if at == 0 else turn | {"choice": at}
        return
    for key in ("output", "message", "content"):
        if isinstance(value := document.get(key), dict | list):
            yield from _body(key, value)
            return
    for key in ("response", "text", "outputText", "generation", "completion"):
        if isinstance(text := document.get(key), str):
            yield {"role": ASSISTANT, "content": text}
            return


def _body(key: str, value: dict[str, Json] | list[Json]) -> Iterator[Turn]:
    """The turns of a response whose body is under `key`."""
    if isinstance(value, dict):
        inner = value.get("message", value)  # Bedrock's output.message
        yield from _turns(inner, ASSISTANT) if isinstance(inner, dict) else ()
    elif key == "output":
        for one in value:
            yield from _turns(one, ASSISTANT) if isinstance(one, dict) else ()
    else:
        yield from _turns({"role": ASSISTANT, "content": value}, ASSISTANT)


def _choice(choice: Mapping[str, Json]) -> Iterator[Turn]:
    """One of several answers: OpenAI's `message` or `text`, Gemini's `content`."""
    for key in ("message", "content"):
        value = choice.get(key)
        if isinstance(value, dict):
            yield from _turns(value, ASSISTANT)
            return
    if "text" in choice:
        yield {"role": ASSISTANT, "content": choice["text"]}


def _turns(item: Mapping[str, Json], usual: str) -> Iterator[Turn]:
    """The turns that one element of a conversation stands for: tool results are turns of theirs."""
    kind = item.get("type")
    if kind in ("function_call", "custom_tool_call"):
        arguments = item.get("arguments", item.get("input"))
        call = _call(item.get("call_id") or item.get("id"), item.get("name"), arguments)
        yield {"role": ASSISTANT, "content": None, "tool_calls": [call]}
        return
    if kind in ("function_call_output", "custom_tool_call_output"):
        yield _result(item.get("call_id"), item.get("output"))
        return
    if "role" not in item and kind not in (None, "message"):
        yield {"role": usual, "content": [dict(item)]}
        return
    role = str(item.get("role") or usual)
    role = _ROLES.get(role.lower(), role.lower())
    body = next((item[key] for key in ("content", "parts", "message") if key in item), None)
    plain: list[Json] = []
    calls: list[Json] = []
    results: list[Turn] = []
    for part in body if isinstance(body, list) else (body,):
        _sort(part, plain, calls, results)
    yield from results
    known = ("role", "content", "parts", "message", "type", "tool_calls")
    rest = {key: value for key, value in item.items() if key not in known}
    calls += _listed(item.get("tool_calls"))
    if plain or calls or not results:
        turn: Turn = {"role": role, "content": _joined(plain)} | rest
        yield turn | {"tool_calls": calls} if calls else turn


def _sort(part: Json, plain: list[Json], calls: list[Json], results: list[Turn]) -> None:
    """Put a part of a turn where OpenAI's chat has it."""
    if not isinstance(part, dict):
        if part is not None:
            plain.append(part)
        return
    if part.get("type") in ("tool_use", "server_tool_use"):
        calls.append(_call(part.get("id"), part.get("name"), part.get("input")))
    elif isinstance(use := part.get("toolUse"), dict):
        calls.append(_call(use.get("toolUseId"), use.get("name"), use.get("input")))
    elif isinstance(use := part.get("functionCall") or part.get("function_call"), dict):
        calls.append(_call(use.get("id"), use.get("name"), use.get("args")))
    elif part.get("type") == "tool_result":
        results.append(_result(part.get("tool_use_id"), part.get("content")))
    elif isinstance(done := part.get("toolResult"), dict):
        results.append(_result(done.get("toolUseId"), done.get("content")))
    elif isinstance(done := part.get("functionResponse"), dict):
        results.append(_result(done.get("id") or done.get("name"), done.get("response")))
    else:
        plain.append(_part(part))


def _part(part: Mapping[str, Json]) -> Json:
    """A part of a content: texts in one form, anything else as it is."""
    kind = part.get("type")
    text = part.get("text")
    if isinstance(text, str) and (kind in _TEXTS or (kind is None and set(part) <= {"text"})):
        return {"type": "text", "text": text}
    if kind == "input_image":
        return {"type": "image_url", "image_url": {"url": part.get("image_url")}}
    return dict(part)


def _content(value: Json) -> Json:
    """A content on its own, such as a system prompt: a text, or parts."""
    if isinstance(value, dict):
        value = value.get("parts", value.get("content", [value]))
    if not isinstance(value, list):
        return value
    return _joined([_part(one) if isinstance(one, dict) else one for one in value])


def _joined(parts: Sequence[Json]) -> Json:
    """Parts as a content: one text as a text, several parts as a list, nothing as null."""
    if len(parts) == 1:
        (part,) = parts
        if isinstance(part, dict) and part.get("type") == "text" and set(part) == {"type", "text"}:
            return part["text"]
        if isinstance(part, str):
            return part
    return list(parts) or None


def _call(id: Json, name: Json, arguments: Json) -> Json:
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return {"id": id, "type": "function", "function": {"name": name, "arguments": text}}


def _result(id: Json, output: Json) -> Turn:
    return {"role": TOOL, "tool_call_id": id, "content": _content(output)}


def _tools(tool: Json) -> list[Json]:
    """A declared tool, or those of Gemini's list."""
    if not isinstance(tool, dict) or "function" in tool:
        return [tool]
    declared = tool.get("functionDeclarations") or tool.get("function_declarations")
    if isinstance(declared, list):
        return [made for one in declared for made in _tools(one)]
    spec = tool.get("toolSpec")
    if isinstance(spec, dict):
        schema = _at(spec, "inputSchema", "json")
        return [_function(spec.get("name"), spec.get("description"), schema)]
    schema = next(
        (tool[k] for k in ("parameters", "input_schema", "inputSchema") if k in tool), None
    )
    if "name" in tool and (schema is not None or tool.get("type") in (None, "function", "custom")):
        return [_function(tool.get("name"), tool.get("description"), schema)]
    return [tool]  # a provider's own, such as web search


def _function(name: Json, description: Json, schema: Json) -> Json:
    made = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": {k: v for k, v in made.items() if v is not None}}


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _at(value: Json, *keys: str) -> Json:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
