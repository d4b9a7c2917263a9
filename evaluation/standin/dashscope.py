"""DashScope's native generation: every event of a stream repeats text and usage so far.

With `incremental_output` the text comes in pieces; the usage is cumulative all the same.
"""

from collections.abc import Iterator

from evaluation.standin.answers import (
    Answer,
    Json,
    Request,
    Script,
    Step,
    counted,
    encode,
    identifier,
    script,
)


def answer(request: Request) -> Answer:
    """`POST …/services/aigc/text-generation/generation`."""
    parameters = request.body.get("parameters") or {}
    given = request.body.get("input") or {}
    contents = [message.get("content") for message in given.get("messages") or ()]
    said = script(
        request,
        asked_tokens=counted([contents, given.get("prompt")]),
        limit=parameters.get("max_tokens"),
    )
    stream = request.headers.get("x-dashscope-sse") == "enable"
    pieces = bool(parameters.get("incremental_output"))
    if stream:
        steps = [*_events(request, said, pieces)]
    else:
        whole = _document(request, said, said.text, said.tokens.output_total, _finish(said))
        steps = [Step(encode(whole), said.tokens.output_total)]
    return Answer(
        steps=tuple(steps),
        content_type="text/event-stream;charset=UTF-8" if stream else "application/json",
        stream=stream,
        tokens=said.tokens,
        error_event=_event(0, error_document(503, "Overloaded."), "error"),
        operation="dashscope.generation",
    )


def error_document(status: int, message: str) -> Json:
    """DashScope's error body, for `status`."""
    kinds = {400: "InvalidParameter", 401: "InvalidApiKey", 429: "Throttling"}
    code = kinds.get(status, "InternalError")
    return {"request_id": identifier("", message), "code": code, "message": message}


def _finish(said: Script) -> str:
    return "length" if said.cut_short else "stop"


def _document(request: Request, said: Script, text: str, made: int, finish: str) -> Json:
    tokens = said.tokens
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


def _events(request: Request, said: Script, pieces: bool) -> Iterator[Step]:
    for made, word in enumerate(said.words, 1):
        text = word if pieces else "".join(said.words[:made])
        yield Step(_event(made, _document(request, said, text, made, "null")), 1)
    total = said.tokens.output_total
    last = _document(request, said, "" if pieces else said.text, total, _finish(said))
    yield Step(_event(len(said.words) + 1, last), total - len(said.words))
