"""DashScope's native generation: every event of a stream repeats the text and usage so far.

With `incremental_output` the text comes in pieces, but the usage is still cumulative.
"""

from collections.abc import Iterator

from evaluation.standin.answers import (
    Answer,
    Json,
    Reply,
    Request,
    Step,
    counted,
    encode,
    identifier,
    make_reply,
)


def answer(request: Request) -> Answer:
    """`POST …/services/aigc/text-generation/generation`."""
    parameters = request.body.get("parameters") or {}
    given = request.body.get("input") or {}
    contents = [message.get("content") for message in given.get("messages") or ()]
    reply = make_reply(
        request,
        prompt_tokens=counted([contents, given.get("prompt")]),
        limit=parameters.get("max_tokens"),
    )
    stream = request.headers.get("x-dashscope-sse") == "enable"
    pieces = bool(parameters.get("incremental_output"))
    if stream:
        steps = [*_events(request, reply, pieces)]
    else:
        whole = _document(request, reply, reply.text, reply.tokens.output_total, _finish(reply))
        steps = [Step(encode(whole), reply.tokens.output_total)]
    return Answer(
        steps=tuple(steps),
        content_type="text/event-stream;charset=UTF-8" if stream else "application/json",
        stream=stream,
        tokens=reply.tokens,
        error_event=_event(0, error_document(503, "Overloaded."), "error"),
        operation="dashscope.generation",
    )


def error_document(status: int, message: str) -> Json:
    """DashScope's error body, for `status`."""
    kinds = {400: "InvalidParameter", 401: "InvalidApiKey", 429: "Throttling"}
    code = kinds.get(status, "InternalError")
    return {"request_id": identifier("", message), "code": code, "message": message}


def _finish(reply: Reply) -> str:
    return "length" if reply.cut_short else "stop"


def _document(request: Request, reply: Reply, text: str, made: int, finish: str) -> Json:
    tokens = reply.tokens
    message = {"role": "assistant", "content": text}
    return {
        "request_id": identifier("", request.seed, length=32),
        "output": {"choices": [{"finish_reason": finish, "message": message}]},
        "usage": {
            "input_tokens": tokens.input_total,
            "output_tokens": made,
            "total_tokens": tokens.input_total + made,
            "prompt_tokens_details": {"cached_tokens": tokens.cache_read},
        },
    }


def _event(number: int, document: Json, name: str = "result") -> bytes:
    head = f"id:{number}\nevent:{name}\n:HTTP_STATUS/200\ndata:"
    return head.encode() + encode(document) + b"\n\n"


def _events(request: Request, reply: Reply, pieces: bool) -> Iterator[Step]:
    for made, word in enumerate(reply.words, 1):
        text = word if pieces else "".join(reply.words[:made])
        yield Step(_event(made, _document(request, reply, text, made, "null")), 1)
    total = reply.tokens.output_total
    last = _document(request, reply, "" if pieces else reply.text, total, _finish(reply))
    yield Step(_event(len(reply.words) + 1, last), total - len(reply.words))
