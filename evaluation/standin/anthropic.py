"""Anthropic messages: input excludes cached tokens, cache writes are split by time to live.

`message_start` has the input and the split, `message_delta` the cumulative totals without it.
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
    sse,
)

PROMPT_TOKENS = 7  # of Claude's own format around a text
TOKENS_AT_START = 1  # message_start already counts the first output token


def prompt_tokens(body: Json) -> int:
    """Tokens of system prompt, messages and tools."""
    contents = [message.get("content") for message in body.get("messages") or ()]
    return PROMPT_TOKENS + counted([body.get("system"), contents, body.get("tools")])


def answer(request: Request) -> Answer:
    """`POST /v1/messages`."""
    body = request.body
    thinking = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    reply = make_reply(
        request,
        prompt_tokens=prompt_tokens(body),
        limit=body.get("max_tokens"),
        thinks=thinking,
    )
    stream = bool(body.get("stream"))
    whole = _message(request, reply)
    steps = _events(reply, whole) if stream else [Step(encode(whole), reply.tokens.output_total)]
    return Answer(
        steps=tuple(steps),
        content_type="text/event-stream; charset=utf-8" if stream else "application/json",
        stream=stream,
        headers={"request-id": identifier("req_", request.seed)},
        model=request.model,
        tokens=reply.tokens,
        error_event=sse(error_document(529, "Overloaded"), "error"),
        operation="anthropic.messages",
    )


def count(request: Request) -> Answer:
    """`POST /v1/messages/count_tokens`, which costs nothing."""
    document = {"input_tokens": prompt_tokens(request.body)}
    return Answer(
        steps=(Step(encode(document)),),
        headers={"request-id": identifier("req_", request.seed)},
        model=request.model,
        operation="anthropic.count_tokens",
    )


def error_document(status: int, message: str) -> Json:
    """Anthropic's error body, for `status`."""
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        404: "not_found_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


def _usage(request: Request, reply: Reply) -> Json:
    tokens = reply.tokens
    tier = request.steering.service_tier or "standard"
    usage: Json = {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write + tokens.cache_write_1h,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write,
            "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "output_tokens": tokens.output_total,
        "service_tier": tier,
        "inference_geo": "not_available",
    }
    if tokens.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage


def _message(request: Request, reply: Reply) -> Json:
    reason = "max_tokens" if reply.cut_short else "tool_use" if reply.tool else "end_turn"
    return {
        "id": identifier("msg_01", request.seed),
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [*_blocks(request, reply)],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": _usage(request, reply),
    }


def _blocks(request: Request, reply: Reply) -> Iterator[Json]:
    if reply.thoughts:
        signature = identifier("", request.seed, length=64, part="signature")
        yield {"type": "thinking", "thinking": reply.thought, "signature": signature}
    if reply.words or not reply.tool:
        yield {"type": "text", "text": reply.text}
    if reply.tool:
        call = identifier("toolu_01", request.seed)
        yield {"type": "tool_use", "id": call, "name": reply.tool, "input": reply.arguments}


def _events(reply: Reply, whole: Json) -> Iterator[Step]:
    def event(kind: str, tokens: int = 0, **fields: object) -> Step:
        return Step(sse({"type": kind, **fields}, kind), tokens)

    usage = whole["usage"] | {"output_tokens": TOKENS_AT_START}
    usage.pop("output_tokens_details", None)
    yield event(
        "message_start", message=whole | {"content": [], "stop_reason": None, "usage": usage}
    )
    for index, block in enumerate(whole["content"]):
        yield event("content_block_start", index=index, content_block=_blank(block))
        if index == 0:
            yield event("ping")
        for tokens, delta in _deltas(reply, block):
            yield event("content_block_delta", tokens, index=index, delta=delta)
        yield event("content_block_stop", index=index)
    final = whole["usage"]
    totals = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    last = {name: final[name] for name in (*totals, "output_tokens")}
    if "output_tokens_details" in final:
        last["output_tokens_details"] = final["output_tokens_details"]
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=stop, usage=last)
    yield event("message_stop")


def _blank(block: Json) -> Json:
    blanks: dict[str, Json] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return block | blanks[block["type"]]


def _deltas(reply: Reply, block: Json) -> Iterator[tuple[int, Json]]:
    """Output tokens and delta of each event of a block."""
    if block["type"] == "thinking":
        for thought in reply.thoughts:
            yield 1, {"type": "thinking_delta", "thinking": thought}
        yield 0, {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "text":
        for word in reply.words:
            yield 1, {"type": "text_delta", "text": word}
    else:
        yield 0, {"type": "input_json_delta", "partial_json": ""}
        text = encode(block["input"]).decode()
        yield reply.tool_tokens, {"type": "input_json_delta", "partial_json": text}
