"""The same answers as providers stream them."""

import json
from collections.abc import Mapping
from typing import Any

from support.recorded import CLAUDE, RESPONSE, call, gemini


def _sse(*documents: dict[str, Any]) -> str:
    """With the names of events, which only some providers send."""
    return "".join(
        (f"event: {one['type']}\n" if "type" in one else "") + f"data: {json.dumps(one)}\n\n"
        for one in documents
    )


def _block(index: int, block: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    at = {"index": index}
    return [
        {"type": "content_block_start", **at, "content_block": block},
        *({"type": "content_block_delta", **at, "delta": one} for one in deltas),
        {"type": "content_block_stop", **at},
    ]


def _claude_stream() -> str:
    begun = CLAUDE | {"content": [], "stop_reason": None}
    used = {"type": "tool_use", "id": "call_Paris", "name": "weather", "input": {}}
    halves = ('{"city": "Pa', 'ris"}')
    return _sse(
        {"type": "message_start", "message": begun},
        {"type": "ping"},
        *_block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Two."},
            {"type": "signature_delta", "signature": "EqQB"},
        ),
        *_block(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "Look"},
            {"type": "text_delta", "text": "ing."},
        ),
        *_block(2, used, *({"type": "input_json_delta", "partial_json": one} for one in halves)),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 8},
        },
        {"type": "message_stop"},
    )


def _gemini_stream() -> str:
    first, last = gemini({"text": "Bon"}), gemini({"text": "jour."})
    open_end = [{**first["candidates"][0], "finishReason": None}]
    del open_end[0]["finishReason"]
    return _sse(first | {"candidates": open_end}, last)


def _response_stream() -> str:
    begun = RESPONSE | {"status": "in_progress", "output": [], "usage": None}
    message = RESPONSE["output"][1]
    made = call("Paris")
    said = {"output_index": 1, "content_index": 0, "item_id": "msg_1", "logprobs": []}
    called = {"output_index": 2, "item_id": made["id"]}
    added = {"output_index": 1, "item": message | {"status": "in_progress", "content": []}}
    part = {"type": "output_text", "text": "", "annotations": []}
    done = {"output_index": 2, "item": made}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("created", {"response": begun}),
        ("in_progress", {"response": begun}),
        ("output_item.added", {"output_index": 0, "item": RESPONSE["output"][0]}),
        ("output_item.done", {"output_index": 0, "item": RESPONSE["output"][0]}),
        ("output_item.added", added),
        ("content_part.added", said | {"part": part}),
        ("output_text.delta", said | {"delta": "Bon"}),
        ("output_text.delta", said | {"delta": "jour."}),
        ("output_text.done", said | {"text": "Bonjour."}),
        ("content_part.done", said | {"part": part | {"text": "Bonjour."}}),
        ("output_item.done", {"output_index": 1, "item": message}),
        (
            "output_item.added",
            {"output_index": 2, "item": made | {"arguments": "", "status": "in_progress"}},
        ),
        ("function_call_arguments.delta", called | {"delta": made["arguments"][:6]}),
        ("function_call_arguments.delta", called | {"delta": made["arguments"][6:]}),
        ("function_call_arguments.done", called | {"arguments": made["arguments"]}),
        ("output_item.done", done),
        ("completed", {"response": RESPONSE | {"output": [*RESPONSE["output"], made]}}),
    ]
    return _sse(
        *(
            {"type": f"response.{kind}", "sequence_number": number, **fields}
            for number, (kind, fields) in enumerate(steps)
        )
    )


STREAMS: Mapping[str, str] = {
    "anthropic": _claude_stream(),
    "gemini": _gemini_stream(),
    "responses": _response_stream(),
}
