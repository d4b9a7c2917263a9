"""OpenAI responses: one document, or a stream of named events that ends with the document."""

from collections.abc import Iterator

from evaluation.standin.answers import (
    CREATED,
    MESSAGE_TOKENS,
    REPLY_TOKENS,
    STOP_TOKENS,
    Answer,
    Json,
    Reply,
    Request,
    Step,
    counted,
    encode,
    identifier,
    make_reply,
    sse,
)


def prompt_tokens(body: Json) -> int:
    """Tokens of `input`, `instructions` and `tools`."""
    given = body.get("input") or ""
    turns = len(given) if isinstance(given, list) else 1
    return (
        MESSAGE_TOKENS * turns
        + REPLY_TOKENS
        + counted([given, body.get("instructions"), body.get("tools")])
    )


def answer(request: Request) -> Answer:
    """`POST …/responses`."""
    body = request.body
    reply = make_reply(
        request,
        prompt_tokens=prompt_tokens(body),
        limit=body.get("max_output_tokens"),
        thinks=bool(body.get("reasoning")),
        stop_tokens=STOP_TOKENS,
    )
    stream = bool(body.get("stream"))
    whole = document(request, reply)
    steps = (
        _events(request, reply, whole)
        if stream
        else [Step(encode(whole), reply.tokens.output_total)]
    )
    error = {"type": "error", "sequence_number": 0, "error": _overload()}
    return Answer(
        steps=tuple(steps),
        content_type="text/event-stream" if stream else "application/json",
        stream=stream,
        headers={"x-request-id": identifier("req_", request.seed), "openai-processing-ms": "12"},
        model=request.model,
        tokens=reply.tokens,
        error_event=sse(error, "error") + _failed(whole),
        operation="openai.responses",
        kept=None if body.get("store") is False else whole,
    )


def count(request: Request) -> Answer:
    """`POST …/responses/input_tokens`."""
    tokens = prompt_tokens(request.body)
    counts = {"object": "response.input_tokens", "input_tokens": tokens}
    return Answer(steps=(Step(encode(counts)),), operation="openai.input_tokens")


def document(request: Request, reply: Reply) -> Json:
    """The finished response."""
    wanted = request.body.get("service_tier")
    tier = request.steering.service_tier or (wanted if wanted not in (None, "auto") else "default")
    return {
        "id": identifier("resp_", request.seed, length=48),
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if reply.cut_short else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if reply.cut_short else None,
        "instructions": request.body.get("instructions"),
        "max_output_tokens": request.body.get("max_output_tokens"),
        "metadata": {},
        "model": request.model,
        "output": [*_items(request, reply)],
        "parallel_tool_calls": True,
        "previous_response_id": request.body.get("previous_response_id"),
        "reasoning": request.body.get("reasoning") or {"effort": None, "summary": None},
        "service_tier": tier,
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": request.body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(reply),
        "user": None,
    }


def _usage(reply: Reply) -> Json:
    tokens = reply.tokens
    details = {"cached_tokens": tokens.cache_read}
    if written := tokens.cache_write + tokens.cache_write_1h:
        details["cache_write_tokens"] = written
    return {
        "input_tokens": tokens.input_total,
        "input_tokens_details": details,
        "output_tokens": tokens.output_total,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input_total + tokens.output_total,
    }


def _items(request: Request, reply: Reply) -> Iterator[Json]:
    if reply.thoughts:
        yield {"id": identifier("rs_", request.seed), "type": "reasoning", "summary": []}
    if reply.words or not reply.tool:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": reply.text}
        yield {
            "id": identifier("msg_", request.seed),
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
    if reply.tool:
        yield {
            "id": identifier("fc_", request.seed),
            "type": "function_call",
            "status": "completed",
            "call_id": identifier("call_", request.seed),
            "name": reply.tool,
            "arguments": encode(reply.arguments).decode(),
        }


def _overload() -> Json:
    message = "The server is overloaded."
    return {"type": "server_error", "code": "server_error", "message": message, "param": None}


def _failed(whole: Json) -> bytes:
    failed = whole | {"status": "failed", "error": _overload(), "output": [], "usage": None}
    return sse(
        {"type": "response.failed", "sequence_number": 1, "response": failed}, "response.failed"
    )


def _events(request: Request, reply: Reply, whole: Json) -> Iterator[Step]:
    number = 0

    def event(kind: str, tokens: int = 0, **fields: object) -> Step:
        nonlocal number
        number += 1
        return Step(sse({"type": kind, "sequence_number": number - 1, **fields}, kind), tokens)

    opened = whole | {
        "status": "in_progress",
        "output": [],
        "usage": None,
        "incomplete_details": None,
    }
    opened["service_tier"] = "auto"  # the tier served is only known at the end
    yield event("response.created", response=opened)
    yield event("response.in_progress", response=opened)
    for index, item in enumerate(whole["output"]):
        at = {"item_id": item["id"], "output_index": index}
        yield event("response.output_item.added", output_index=index, item=_blank(item))
        if item["type"] == "message":
            part = item["content"][0]
            yield event(
                "response.content_part.added", **at, content_index=0, part=part | {"text": ""}
            )
            for word in reply.words:
                yield event(
                    "response.output_text.delta", 1, **at, content_index=0, delta=word, logprobs=[]
                )
            yield event(
                "response.output_text.done", **at, content_index=0, text=reply.text, logprobs=[]
            )
            yield event("response.content_part.done", **at, content_index=0, part=part)
        elif item["type"] == "function_call":
            kind, text = "response.function_call_arguments", item["arguments"]
            yield event(f"{kind}.delta", reply.tool_tokens, **at, delta=text)
            yield event(f"{kind}.done", **at, arguments=text)
        tokens = len(reply.thoughts) if item["type"] == "reasoning" else 0
        yield event("response.output_item.done", tokens, output_index=index, item=item)
    yield event(f"response.{whole['status']}", reply.stop_tokens, response=whole)


def _blank(item: Json) -> Json:
    """The item as it is announced, still empty."""
    empty: Json = {"content": [], "arguments": ""}
    blank = {key: empty.get(key, value) for key, value in item.items()}
    return blank | ({"status": "in_progress"} if "status" in item else {})
