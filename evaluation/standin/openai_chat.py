"""OpenAI chat completions, and the usage shapes of other providers with the same dialect.

Streams report usage only with `stream_options.include_usage`, in a last chunk without choices;
Mistral and DeepSeek always report it, with the last choice.
"""

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

# Prefixes of models whose streams always report usage; Groq in a field of its own.
UNASKED = ("mistral", "magistral", "codestral", "ministral", "deepseek")
GROQ = ("openai/gpt-oss", "llama-3")


def answer(request: Request) -> Answer:
    """`POST …/chat/completions`."""
    body = request.body
    messages = body.get("messages") or []
    prompt = sum(MESSAGE_TOKENS + counted(m.get("content")) for m in messages) + REPLY_TOKENS
    reply = make_reply(
        request,
        prompt_tokens=prompt + counted(body.get("tools")),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        thinks="reasoning_effort" in body or request.model == "deepseek-reasoner",
        stop_tokens=STOP_TOKENS,
    )
    stream = bool(body.get("stream"))
    unasked = request.model.startswith(UNASKED)
    include = bool((body.get("stream_options") or {}).get("include_usage"))
    steps = _chunks(request, reply, include, unasked) if stream else [_whole(request, reply)]
    return Answer(
        steps=tuple(steps),
        content_type="text/event-stream" if stream else "application/json",
        stream=stream,
        headers={"x-request-id": identifier("req_", request.seed), "openai-processing-ms": "12"},
        model=request.model,
        tokens=reply.tokens,
        reported=not stream or include or request.model.startswith((*UNASKED, *GROQ)),
        error_event=sse(error_document(503, "The server is overloaded.")),
        operation="openai.chat",
    )


def usage(model: str, reply: Reply) -> Json:
    """The usage block in the shape of the provider of `model`."""
    tokens = reply.tokens
    totals: Json = {
        "prompt_tokens": tokens.input_total,
        "completion_tokens": tokens.output_total,
        "total_tokens": tokens.input_total + tokens.output_total,
    }
    cached, reasoning = tokens.cache_read, tokens.reasoning
    if model.startswith(UNASKED[:-1]):
        return totals | {"prompt_tokens_details": {"cached_tokens": cached}}
    if model.startswith("deepseek"):
        return totals | {
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
            "prompt_cache_hit_tokens": cached,
            "prompt_cache_miss_tokens": tokens.input_total - cached,
        }
    if model.startswith(("qwen", "Qwen")):
        return totals | {
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    details: Json = {"cached_tokens": cached, "audio_tokens": 0}
    if written := tokens.cache_write + tokens.cache_write_1h:
        details["cache_write_tokens"] = written
    return totals | {
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def error_document(status: int, message: str) -> Json:
    """OpenAI's error body, for `status`."""
    kinds = {400: "invalid_request_error", 401: "invalid_request_error", 404: "not_found_error"}
    kind = "rate_limit_exceeded" if status == 429 else kinds.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _shared(request: Request, kind: str) -> Json:
    shared: Json = {
        "id": identifier("chatcmpl-", request.seed),
        "object": kind,
        "created": CREATED,
        "model": request.model,
    }
    if not request.model.startswith((*UNASKED, "qwen", "Qwen")):
        wanted = request.body.get("service_tier")
        tier = request.steering.service_tier or (
            wanted if wanted not in (None, "auto") else "default"
        )
        shared |= {"service_tier": tier, "system_fingerprint": identifier("fp_", "", length=10)}
    return shared


def _tool_call(request: Request, reply: Reply) -> Json:
    return {
        "id": identifier("call_", request.seed),
        "type": "function",
        "function": {"name": reply.tool, "arguments": encode(reply.arguments).decode()},
    }


def _finish(reply: Reply) -> str:
    return "length" if reply.cut_short else "tool_calls" if reply.tool else "stop"


def _whole(request: Request, reply: Reply) -> Step:
    message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.thoughts and not request.model.startswith(("gpt", "o")):
        message["reasoning_content"] = reply.thought  # OpenAI itself does not show it
    if reply.tool:
        message["tool_calls"] = [_tool_call(request, reply)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    document = _shared(request, "chat.completion")
    document |= {"choices": [choice], "usage": usage(request.model, reply)}
    return Step(encode(document), reply.tokens.output_total)


def _chunks(request: Request, reply: Reply, include: bool, unasked: bool) -> Iterator[Step]:
    shared = _shared(request, "chat.completion.chunk")
    if include:
        shared["usage"] = None

    def chunk(delta: Json, finish: str | None = None, **more: object) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse(shared | {"choices": [choice], **more})

    hidden = request.model.startswith(("gpt", "o"))
    yield Step(chunk({"role": "assistant", "content": ""}), len(reply.thoughts) if hidden else 0)
    for thought in () if hidden else reply.thoughts:
        yield Step(chunk({"content": None, "reasoning_content": thought}), 1)
    for word in reply.words:
        yield Step(chunk({"content": word}), 1)
    if reply.tool:
        call = _tool_call(request, reply)
        arguments = call["function"].pop("arguments")
        call["function"]["arguments"] = ""
        yield Step(chunk({"tool_calls": [{"index": 0, **call}]}))
        piece = {"index": 0, "function": {"arguments": arguments}}
        yield Step(chunk({"tool_calls": [piece]}), reply.tool_tokens)
    reported = usage(request.model, reply)
    extra: Json = {"usage": reported} if unasked else {}
    if request.model.startswith(GROQ):
        extra = {"x_groq": {"id": identifier("req_", request.seed), "usage": reported}}
    yield Step(chunk({}, _finish(reply), **extra), reply.stop_tokens)
    if include and not unasked:
        yield Step(sse(shared | {"choices": [], "usage": reported}))
    yield Step(b"data: [DONE]\n\n")
