"""Bedrock: Converse for any model, InvokeModel for Anthropic's; streams are AWS event streams.

`inputTokens` excludes cached tokens, `totalTokens` includes them.  Signatures are not checked.
"""

import base64
import struct
from collections.abc import Iterator
from dataclasses import replace
from zlib import crc32

import msgspec

from evaluation.standin import anthropic
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

EVENT_STREAM = "application/vnd.amazon.eventstream"
STRING = 7  # the header value type
LATENCY_MS = 12


def message(payload: bytes, headers: dict[str, str]) -> bytes:
    """One message of an event stream, with its two checksums."""
    head = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", STRING, len(value))
        + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    whole = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return whole + struct.pack(">I", crc32(whole))


def event(kind: str, document: Json) -> bytes:
    """One event of a stream."""
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return message(encode(document), headers)


def answer(request: Request) -> Answer:
    """`POST /model/M/converse` and `/converse-stream`."""
    body = request.body
    contents = [turn.get("content") for turn in body.get("messages") or ()]
    reply = make_reply(
        request,
        prompt_tokens=counted([contents, body.get("system")]),
        limit=(body.get("inferenceConfig") or {}).get("maxTokens"),
    )
    stream = request.path.endswith("-stream")
    whole = _document(request, reply)
    steps = _events(reply, whole) if stream else [Step(encode(whole), reply.tokens.output_total)]
    return Answer(
        steps=tuple(steps),
        content_type=EVENT_STREAM if stream else "application/json",
        stream=stream,
        headers={"x-amzn-requestid": identifier("", request.seed, length=32)},
        tokens=reply.tokens,
        error_event=_exception(),
        operation="bedrock.converse",
    )


def invoke(request: Request) -> Answer:
    """`POST /model/M/invoke` and `/invoke-with-response-stream` of an Anthropic model."""
    stream = request.path.endswith("-stream")
    answered = anthropic.answer(replace(request, body=request.body | {"stream": stream}))
    return replace(
        answered,
        steps=tuple(map(_chunk, answered.steps)) if stream else answered.steps,
        content_type=EVENT_STREAM if stream else "application/json",
        error_event=_exception(),
        operation="bedrock.invoke",
    )


def error_document(status: int, text: str) -> Json:
    """The error body of AWS, which names the kind in a header."""
    return {"message": text}


def _exception() -> bytes:
    headers = {
        ":exception-type": "throttlingException",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return message(encode({"message": "Too many requests."}), headers)


def _chunk(step: Step) -> Step:
    """Bedrock's form of a server-sent event."""
    data = step.data.partition(b"data: ")[2].strip()
    document = msgspec.json.decode(data)
    return Step(event("chunk", {"bytes": base64.b64encode(encode(document)).decode()}), step.tokens)


def _document(request: Request, reply: Reply) -> Json:
    tokens = reply.tokens
    written = tokens.cache_write + tokens.cache_write_1h
    content: list[Json] = [{"text": reply.text}] if reply.words or not reply.tool else []
    if reply.tool:
        call = identifier("tooluse_", request.seed)
        content.append(
            {"toolUse": {"toolUseId": call, "name": reply.tool, "input": reply.arguments}}
        )
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "max_tokens" if reply.cut_short else "tool_use" if reply.tool else "end_turn",
        "usage": {
            "inputTokens": tokens.input,
            "outputTokens": tokens.output_total,
            "totalTokens": tokens.input_total + tokens.output_total,
            "cacheReadInputTokens": tokens.cache_read,
            "cacheWriteInputTokens": written,
        },
        "metrics": {"latencyMs": LATENCY_MS},
    }


def _events(reply: Reply, whole: Json) -> Iterator[Step]:
    yield Step(event("messageStart", {"role": "assistant"}))
    for index, block in enumerate(whole["output"]["message"]["content"]):
        at = {"contentBlockIndex": index}
        if tool := block.get("toolUse"):
            start = {"toolUse": {key: tool[key] for key in ("toolUseId", "name")}}
            yield Step(event("contentBlockStart", {"start": start, **at}))
            piece = {"toolUse": {"input": encode(tool["input"]).decode()}}
            yield Step(event("contentBlockDelta", {"delta": piece, **at}), reply.tool_tokens)
        else:
            for word in reply.words:
                yield Step(event("contentBlockDelta", {"delta": {"text": word}, **at}), 1)
        yield Step(event("contentBlockStop", at))
    yield Step(event("messageStop", {"stopReason": whole["stopReason"]}))
    yield Step(event("metadata", {key: whole[key] for key in ("usage", "metrics")}))
