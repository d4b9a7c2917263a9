"""An example of each request field of OpenAI's chat completions."""

from collections.abc import Mapping
from typing import Any

from support.media import CLOSED, PDF, PNG, Json


def _part(**part: Any) -> Json:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, part]}]}


def _image(**image: Any) -> Json:
    return _part(type="image_url", image_url={"url": f"data:image/png;base64,{PNG}"} | image)


def _file(**file: Any) -> Json:
    return _part(type="file", file=file)


def _said(**message: Any) -> Json:
    asked = {"role": "user", "content": "hi"}
    return {"messages": [asked, {"role": "assistant", "content": "yes"} | message, asked]}


def _called(**call: Any) -> Json:
    function = {"name": "f", "arguments": '{"a":1}'}
    made = {"id": "c1", "type": "function", "function": function} | call
    asked = {"role": "user", "content": "hi"}
    told = {"role": "tool", "tool_call_id": "c1", "content": "one"}
    return {"messages": [asked, {"role": "assistant", "tool_calls": [made]}, told]}


def _tool(**function: Any) -> Json:
    return {"tools": [{"type": "function", "function": {"name": "f"} | function}]}


def _form(**form: Any) -> Json:
    schema = {"name": "shape", "schema": CLOSED} | form
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _details(kind: str, **detail: Any) -> Json:
    return _said(reasoning_details=[{"type": kind, "index": 0} | detail])


_DATA = {"file_data": f"data:application/pdf;base64,{PDF}"}
_AUDIO = _part(type="input_audio", input_audio={"data": PNG, "format": "wav"})
_CHOSEN = _tool() | {"tool_choice": {"type": "function", "function": {"name": "f"}}}

OPENAI: Mapping[str, Json] = {
    "model": {},
    "stream": {"stream": True},
    "stream_options.include_usage": {"stream": True, "stream_options": {"include_usage": True}},
    "stream_options.include_obfuscation": {"stream_options": {"include_obfuscation": True}},
    "messages[].role": _said(),
    "messages[].content": _said(content="no"),
    "messages[].content[].type": _part(type="text", text="more"),
    "messages[].content[].text": _part(type="text", text="more"),
    "messages[].content[].refusal": _said(content=[{"type": "refusal", "refusal": "never"}]),
    "messages[].content[].image_url.url": _image(),
    "messages[].content[].image_url.detail": _image(detail="high"),
    "messages[].content[].file.file_data": _file(**_DATA),
    "messages[].content[].file.filename": _file(filename="a.pdf", **_DATA),
    "messages[].content[].file.file_id": _file(file_id="file-1"),
    "messages[].content[].input_audio.data": _AUDIO,
    "messages[].content[].input_audio.format": _AUDIO,
    "messages[].content[].prompt_cache_breakpoint.mode": _part(
        type="text", text="more", prompt_cache_breakpoint={"mode": "explicit"}
    ),
    "messages[].content[].prompt_cache_breakpoint.ttl": _part(
        type="text", text="more", prompt_cache_breakpoint={"mode": "explicit", "ttl": "12h"}
    ),
    "messages[].name": {"messages": [{"role": "user", "content": "hi", "name": "Ann"}]},
    "messages[].refusal": _said(content=None, refusal="never"),
    "messages[].tool_call_id": _called(),
    "messages[].tool_calls[].id": _called(),
    "messages[].tool_calls[].type": _called(),
    "messages[].tool_calls[].function.name": _called(),
    "messages[].tool_calls[].function.arguments": _called(),
    "messages[].tool_calls[].custom.*": _said(
        tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "c", "input": "x"}}]
    ),
    "messages[].tool_calls[].extra_content.google.thought_signature": _called(
        extra_content={"google": {"thought_signature": "c2ln"}}
    ),
    "messages[].function_call.*": _said(function_call={"name": "f", "arguments": "{}"}),
    "messages[].audio.*": _said(audio={"id": "audio-1"}),
    "messages[].reasoning_content": _said(reasoning_content="hm"),
    "messages[].reasoning_details[].text": _details("reasoning.text", text="hm"),
    "messages[].reasoning_details[].signature": _details(
        "reasoning.text", text="hm", signature="s", format="anthropic-claude-v1"
    ),
    "messages[].reasoning_details[].data": _details(
        "reasoning.encrypted", data="c2ln", format="google-gemini-v1"
    ),
    "tools[].type": _tool(),
    "tools[].function.name": _tool(name="g"),
    "tools[].function.description": _tool(description="does"),
    "tools[].function.parameters": _tool(parameters=CLOSED),
    "tools[].function.strict": _tool(strict=True),
    "tools[].custom.*": {"tools": [{"type": "custom", "custom": {"name": "c"}}]},
    "tool_choice": _tool() | {"tool_choice": "required"},
    "tool_choice.type": _CHOSEN,
    "tool_choice.function.name": _CHOSEN,
    "tool_choice.allowed_tools.*": _tool()
    | {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
    "tool_choice.custom.*": _tool() | {"tool_choice": {"type": "custom", "custom": {"name": "c"}}},
    "parallel_tool_calls": _tool() | {"parallel_tool_calls": False},
    "response_format.type": _form(),
    "response_format.json_schema.name": _form(name="other"),
    "response_format.json_schema.description": _form(description="what"),
    "response_format.json_schema.schema": _form(),
    "response_format.json_schema.strict": _form(strict=True),
    "max_tokens": {"max_tokens": 5},
    "max_completion_tokens": {"max_completion_tokens": 5},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "top_k": {"top_k": 5},
    "stop": {"stop": ["X"]},
    "seed": {"seed": 7},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "reasoning_effort": {"reasoning_effort": "high"},
    "user": {"user": "ann"},
    "safety_identifier": {"safety_identifier": "ann"},
    "service_tier": {"service_tier": "flex"},
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 2},
    "logit_bias": {"logit_bias": {"50": 1}},
    "store": {"store": True},
    "metadata": {"metadata": {"a": "b"}},
    "modalities": {"modalities": ["text", "audio"]},
    "audio.*": {"audio": {"voice": "alloy", "format": "wav"}},
    "prediction.*": {"prediction": {"type": "content", "content": "x"}},
    "moderation.*": {"moderation": {"model": "omni"}},
    "verbosity": {"verbosity": "low"},
    "web_search_options.*": {"web_search_options": {}},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_options.*": {"prompt_cache_options": {"ttl": "30m"}},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "functions[].*": {"functions": [{"name": "f"}]},
    "function_call.*": {"function_call": {"name": "f"}},
}
