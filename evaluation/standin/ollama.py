"""Ollama's own API: one JSON value per line, counts in the last; streams unless told not to."""

from collections.abc import Iterator
from random import Random

from evaluation.standin.answers import (
    TOOL_ARGUMENTS,
    Answer,
    Json,
    Reply,
    Request,
    Step,
    Tokens,
    counted,
    encode,
    make_reply,
)

CREATED_AT = "2026-09-21T13:33:20Z"
EMBEDDING_SIZE = 32


def answer(request: Request) -> Answer:
    """`POST /api/chat`."""
    body = request.body
    contents = [message.get("content") for message in body.get("messages") or ()]
    reply = make_reply(
        request,
        prompt_tokens=counted([contents, body.get("tools")]),
        limit=(body.get("options") or {}).get("num_predict"),
    )
    stream = body.get("stream") is not False
    if stream:
        steps = [*_lines(request, reply)]
    else:
        steps = [Step(encode(_end(request, reply, reply.text)), reply.tokens.output_total)]
    return Answer(
        steps=tuple(steps),
        content_type="application/x-ndjson" if stream else "application/json; charset=utf-8",
        stream=stream,
        model=request.model,
        tokens=reply.tokens,
        error_event=encode(error_document(500, "overloaded")) + b"\n",
        operation="ollama.chat",
    )


def embeddings(request: Request) -> Answer:
    """`POST /api/embed`."""
    given = request.body.get("input")
    texts = given if isinstance(given, list) else [given]
    tokens, random = counted(texts), Random(request.seed)
    document = {
        "model": request.model,
        "embeddings": [[random.uniform(-1, 1) for _ in range(EMBEDDING_SIZE)] for _ in texts],
        "total_duration": 14_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": tokens,
    }
    return Answer(
        steps=(Step(encode(document)),),
        model=request.model,
        tokens=Tokens(input=tokens),
        operation="ollama.embed",
    )


def error_document(status: int, message: str) -> Json:
    """Ollama's error body."""
    return {"error": message}


def _message(request: Request, content: str, tool: str = "") -> Json:
    message: Json = {"role": "assistant", "content": content}
    if tool:
        message["tool_calls"] = [{"function": {"name": tool, "arguments": TOOL_ARGUMENTS}}]
    return {"model": request.model, "created_at": CREATED_AT, "message": message}


def _end(request: Request, reply: Reply, content: str) -> Json:
    return _message(request, content, reply.tool) | {
        "done": True,
        "done_reason": "length" if reply.cut_short else "stop",
        "total_duration": 174_560_334,
        "load_duration": 101_397_084,
        "prompt_eval_count": reply.tokens.input_total,
        "prompt_eval_duration": 13_074_791,
        "eval_count": reply.tokens.output_total,
        "eval_duration": 52_479_709,
    }


def _lines(request: Request, reply: Reply) -> Iterator[Step]:
    for word in reply.words:
        yield Step(encode(_message(request, word) | {"done": False}) + b"\n", 1)
    rest = reply.tokens.output_total - len(reply.words)
    yield Step(encode(_end(request, reply, "")) + b"\n", rest)
