"""Cohere's second version: chat and embeddings.  What is billed is less than what the model saw."""

from collections.abc import Iterator
from random import Random

from evaluation.standin.answers import (
    TOOL_ARGUMENTS,
    Answer,
    Json,
    Request,
    Script,
    Step,
    Tokens,
    counted,
    encode,
    identifier,
    script,
    sse,
)

PREAMBLE_TOKENS = 60  # a hidden preamble: under `tokens`, not under `billed_units`
EMBEDDING_SIZE = 32


def answer(request: Request) -> Answer:
    """`POST /v2/chat`."""
    body = request.body
    contents = [message.get("content") for message in body.get("messages") or ()]
    said = script(
        request,
        asked_tokens=counted([contents, body.get("tools")]),
        limit=body.get("max_tokens"),
    )
    stream = bool(body.get("stream"))
    steps = _events(request, said) if stream else [_whole(request, said)]
    return Answer(
        steps=tuple(steps),
        content_type="text/event-stream" if stream else "application/json",
        stream=stream,
        tokens=said.tokens,
        error_event=_event("message-end", delta={"finish_reason": "ERROR", "error": "overloaded"}),
        operation="cohere.chat",
    )


def embeddings(request: Request) -> Answer:
    """`POST /v2/embed`."""
    given = request.body.get("texts") or request.body.get("inputs") or []
    tokens, random = counted(given), Random(request.seed)
    vectors = [[random.uniform(-1, 1) for _ in range(EMBEDDING_SIZE)] for _ in given]
    document = {
        "id": identifier("", request.seed),
        "embeddings": {"float": vectors},
        "texts": request.body.get("texts") or [],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
        "response_type": "embeddings_by_type",
    }
    return Answer(
        steps=(Step(encode(document)),), tokens=Tokens(input=tokens), operation="cohere.embed"
    )


def error_document(status: int, message: str) -> Json:
    """Cohere's error body."""
    return {"message": message}


def _usage(said: Script) -> Json:
    read, made = said.tokens.input_total, said.tokens.output_total
    return {
        "billed_units": {"input_tokens": read, "output_tokens": made},
        "tokens": {"input_tokens": read + PREAMBLE_TOKENS, "output_tokens": made},
    }


def _finish(said: Script) -> str:
    return "MAX_TOKENS" if said.cut_short else "TOOL_CALL" if said.tool else "COMPLETE"


def _tool_call(request: Request, said: Script) -> Json:
    function = {"name": said.tool, "arguments": encode(TOOL_ARGUMENTS).decode()}
    return {"id": identifier("call_", request.seed), "type": "function", "function": function}


def _whole(request: Request, said: Script) -> Step:
    message: Json = {"role": "assistant", "content": [{"type": "text", "text": said.text}]}
    if said.tool:
        message["tool_calls"] = [_tool_call(request, said)]
    document = {
        "id": identifier("", request.seed),
        "message": message,
        "finish_reason": _finish(said),
        "usage": _usage(said),
    }
    return Step(encode(document), said.tokens.output_total)


def _event(kind: str, **fields: object) -> bytes:
    return sse({"type": kind, **fields}, kind)


def _events(request: Request, said: Script) -> Iterator[Step]:
    opened = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    start = {"id": identifier("", request.seed), "delta": {"message": opened}}
    yield Step(_event("message-start", **start))
    blank = {"message": {"content": {"type": "text", "text": ""}}}
    yield Step(_event("content-start", index=0, delta=blank))
    for word in said.words:
        delta = {"message": {"content": {"text": word}}}
        yield Step(_event("content-delta", index=0, delta=delta), 1)
    yield Step(_event("content-end", index=0))
    if said.tool:
        call = {"message": {"tool_calls": _tool_call(request, said)}}
        yield Step(_event("tool-call-start", index=0, delta=call), said.tool_tokens)
        yield Step(_event("tool-call-end", index=0))
    yield Step(_event("message-end", delta={"finish_reason": _finish(said), "usage": _usage(said)}))
