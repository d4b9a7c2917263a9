"""Cohere's API v2: chat and embeddings.  Billed tokens are fewer than those the model read."""

from collections.abc import Iterator
from random import Random

from evaluation.standin.answers import (
    Answer,
    Json,
    Reply,
    Request,
    Step,
    Tokens,
    counted,
    encode,
    identifier,
    make_reply,
    sse,
)

PREAMBLE_TOKENS = 60  # a hidden preamble, counted in `tokens` but not in `billed_units`
EMBEDDING_SIZE = 32


def answer(request: Request) -> Answer:
    """`POST /v2/chat`."""
    body = request.body
    contents = [message.get("content") for message in body.get("messages") or ()]
    reply = make_reply(
        request,
        prompt_tokens=counted([contents, body.get("tools")]),
        limit=body.get("max_tokens"),
    )
    stream = bool(body.get("stream"))
    steps = _events(request, reply) if stream else [_whole(request, reply)]
    return Answer(
        steps=tuple(steps),
        content_type="text/event-stream" if stream else "application/json",
        stream=stream,
        tokens=reply.tokens,
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


def _usage(reply: Reply) -> Json:
    read, made = reply.tokens.input_total, reply.tokens.output_total
    return {
        "billed_units": {"input_tokens": read, "output_tokens": made},
        "tokens": {"input_tokens": read + PREAMBLE_TOKENS, "output_tokens": made},
    }


def _finish(reply: Reply) -> str:
    return "MAX_TOKENS" if reply.cut_short else "TOOL_CALL" if reply.tool else "COMPLETE"


def _tool_call(request: Request, reply: Reply) -> Json:
    function = {"name": reply.tool, "arguments": encode(reply.arguments).decode()}
    return {"id": identifier("call_", request.seed), "type": "function", "function": function}


def _whole(request: Request, reply: Reply) -> Step:
    message: Json = {"role": "assistant", "content": [{"type": "text", "text": reply.text}]}
    if reply.tool:
        message["tool_calls"] = [_tool_call(request, reply)]
    document = {
        "id": identifier("", request.seed),
        "message": message,
        "finish_reason": _finish(reply),
        "usage": _usage(reply),
    }
    return Step(encode(document), reply.tokens.output_total)


def _event(kind: str, **fields: object) -> bytes:
    return sse({"type": kind, **fields}, kind)


def _events(request: Request, reply: Reply) -> Iterator[Step]:
    opened = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    start = {"id": identifier("", request.seed), "delta": {"message": opened}}
    yield Step(_event("message-start", **start))
    blank = {"message": {"content": {"type": "text", "text": ""}}}
    yield Step(_event("content-start", index=0, delta=blank))
    for word in reply.words:
        delta = {"message": {"content": {"text": word}}}
        yield Step(_event("content-delta", index=0, delta=delta), 1)
    yield Step(_event("content-end", index=0))
    if reply.tool:
        call = {"message": {"tool_calls": _tool_call(request, reply)}}
        yield Step(_event("tool-call-start", index=0, delta=call), reply.tool_tokens)
        yield Step(_event("tool-call-end", index=0))
    yield Step(
        _event("message-end", delta={"finish_reason": _finish(reply), "usage": _usage(reply)})
    )
