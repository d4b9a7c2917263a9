"""Conversations in OpenAI's words, and answers of providers as they send them.

The forms are those of the providers' documents and of calls that were recorded with their SDKs;
the words are ours.
"""

import json
from collections.abc import Mapping
from typing import Any

from support.media import PDF, PNG

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": WEATHER},
}
ASKED = {"role": "user", "content": "weather in Paris and Rome?"}
CALLS = [
    {
        "id": f"call_{city}",
        "type": "function",
        "function": {"name": "weather", "arguments": json.dumps({"city": city})},
    }
    for city in ("Paris", "Rome")
]
RESULTS = [
    {"role": "tool", "tool_call_id": f"call_{city}", "content": said}
    for city, said in (("Paris", "sunny"), ("Rome", "hot"))
]
# By name: what is asked, beside the model.
REQUESTS: Mapping[str, dict[str, Any]] = {
    "plain": {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "How are you?"},
        ],
        "max_tokens": 900,
    },
    "cooler": {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 900,
        "temperature": 0.5,
        "top_p": 0.9,
    },
    "stops": {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 900,
        "stop": ["END", "STOP"],
    },
    "tools": {
        "messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": CALLS}, *RESULTS],
        "tools": [TOOL],
        "max_tokens": 900,
    },
    "forced": {
        "messages": [ASKED],
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "max_tokens": 900,
    },
    "media": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PNG}"},
                    },
                    {
                        "type": "file",
                        "file": {
                            "filename": "a.pdf",
                            "file_data": f"data:application/pdf;base64,{PDF}",
                        },
                    },
                ],
            }
        ],
        "max_tokens": 900,
    },
    "schema": {
        "messages": [ASKED],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "weather", "schema": WEATHER, "strict": True},
        },
        "max_tokens": 900,
    },
    "effort": {"messages": [ASKED], "reasoning_effort": "low", "max_tokens": 4000},
}

# By API, then by name: whole answers.
CLAUDE: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-6",
    "content": [{"type": "text", "text": "Bonjour."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 2000,
        "output_tokens": 8,
    },
}
GEMINI: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "Bonjour."}]},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 2012,
        "cachedContentTokenCount": 2000,
        "candidatesTokenCount": 8,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 2050,
    },
    "modelVersion": "gemini-3-flash-preview",
    "responseId": "r1",
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1764000000,
    "status": "completed",
    "model": "gpt-5",
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Bonjour.", "annotations": []}],
        },
    ],
    "usage": {
        "input_tokens": 2012,
        "input_tokens_details": {"cached_tokens": 2000},
        "output_tokens": 38,
        "output_tokens_details": {"reasoning_tokens": 30},
        "total_tokens": 2050,
    },
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1,
}


def gemini(*parts: Any, reason: str = "STOP") -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": [*parts]}, "finishReason": reason}
    return GEMINI | {"candidates": [candidate | {"index": 0}]}


def call(city: str) -> dict[str, Any]:
    return {
        "id": f"fc_{city}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{city}",
        "name": "weather",
        "arguments": json.dumps({"city": city}),
    }


ANSWERS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "anthropic": {
        "text": CLAUDE,
        "cut": CLAUDE | {"stop_reason": "max_tokens"},
        "refused": CLAUDE | {"stop_reason": "refusal"},
        "sequence": CLAUDE | {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        "tools": CLAUDE
        | {
            "content": [
                {"type": "thinking", "thinking": "Two.", "signature": "EqQB"},
                {"type": "text", "text": "Looking."},
                *(
                    {"type": "tool_use", "id": f"call_{c}", "name": "weather", "input": {"city": c}}
                    for c in ("Paris", "Rome")
                ),
            ],
            "stop_reason": "tool_use",
        },
    },
    "gemini": {
        "text": GEMINI,
        "cut": gemini({"text": "Bonj"}, reason="MAX_TOKENS"),
        "refused": gemini({"text": ""}, reason="SAFETY"),
        "thought": gemini({"text": "Greet.", "thought": True}, {"text": "Bonjour."}),
        "tools": gemini(
            {"text": "Looking."},
            *(
                {"functionCall": {"name": "weather", "args": {"city": c}}}
                for c in ("Paris", "Rome")
            ),
        ),
    },
    "responses": {
        "text": RESPONSE,
        "cut": RESPONSE
        | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        "refused": RESPONSE
        | {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        "tools": RESPONSE | {"output": [*map(call, ("Paris", "Rome"))]},
    },
}
MODELS = {
    "anthropic": "claude-opus-4-6",
    "gemini": "gemini-3-flash-preview",
    "responses": "gpt-5",
}
