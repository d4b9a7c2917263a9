"""An example of each request field of OpenAI's Responses."""

from collections.abc import Mapping
from typing import Any

from proxy.gateway.translation.field_names_responses import (
    RESPONSES_OWN_ITEMS,
    RESPONSES_OWN_TOOLS,
)
from support.media import CLOSED, PDF, PNG, SOMETHING, Json

ASKED = {"role": "user", "content": "hi"}
_CACHE = {"mode": "explicit"}
_HOURS = {"mode": "explicit", "ttl": "12h"}
_URL = f"data:image/png;base64,{PNG}"
_FILE = {"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}"}
_TEXT = {"type": "input_text", "text": "more"}
_IMAGE = {"type": "input_image", "image_url": _URL}


def _items(*items: Any) -> Json:
    return {"input": [ASKED, *items]}


def _part(*parts: Any) -> Json:
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}, *parts]}]}


def _said(part: Json) -> Json:
    said = {"type": "message", "role": "assistant", "content": [part]}
    return _items(said, ASKED)


def _called(result: object = "one", **call: Any) -> Json:
    made = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'} | call
    return _items(made, {"type": "function_call_output", "call_id": "c1", "output": result})


def _thought(**thought: Any) -> Json:
    return _items({"type": "reasoning", "id": "rs_1", "summary": []} | thought, ASKED)


def _tool(**tool: Any) -> Json:
    return {"tools": [{"type": "function", "name": "f", "parameters": CLOSED} | tool]}


def _grouped(**tool: Any) -> Json:
    function = {"type": "function", "name": "f", "parameters": CLOSED} | tool
    group = {"type": "namespace", "name": "n", "description": "many", "tools": [function]}
    return {"tools": [group]}


def _form(**form: Any) -> Json:
    schema = {"type": "json_schema", "name": "shape", "schema": CLOSED}
    return {"text": {"format": schema | form}}


_CHOSEN = _tool() | {"tool_choice": {"type": "function", "name": "f"}}
_HM = [{"type": "summary_text", "text": "hm"}]
RESPONSES: Mapping[str, Json] = {
    "model": {},
    "stream": {"stream": True},
    "stream_options.include_obfuscation": {"stream_options": {"include_obfuscation": True}},
    "instructions": {"instructions": "brief"},
    "input": {"input": "time"},
    "input[].type": _items({"type": "message"} | ASKED),
    "input[].id": _items(ASKED | {"id": "msg_1"}),
    "input[].status": _items(ASKED | {"status": "completed"}),
    "input[].role": _said({"type": "output_text", "text": "yes"}),
    "input[].phase": _items({"role": "assistant", "content": "yes", "phase": "commentary"}, ASKED),
    "input[].content": _items(ASKED),
    "input[].content[].type": _part(_TEXT),
    "input[].content[].text": _part(_TEXT),
    "input[].content[].refusal": _said({"type": "refusal", "refusal": "never"}),
    "input[].content[].image_url": _part(_IMAGE),
    "input[].content[].detail": _part(_IMAGE | {"detail": "high"}),
    "input[].content[].file_data": _part(_FILE),
    "input[].content[].filename": _part(_FILE | {"filename": "a.pdf"}),
    "input[].content[].file_url": _part({"type": "input_file", "file_url": "https://a.example/b"}),
    "input[].content[].file_id": _part({"type": "input_file", "file_id": "file-1"}),
    "input[].content[].annotations[].*": _said(
        {"type": "output_text", "text": "yes", "annotations": [{"type": "url_citation"}]}
    ),
    "input[].content[].logprobs[].*": _said(
        {"type": "output_text", "text": "yes", "logprobs": [{"token": "yes"}]}
    ),
    "input[].content[].prompt_cache_breakpoint.mode": _part(
        _TEXT | {"prompt_cache_breakpoint": _CACHE}
    ),
    "input[].content[].prompt_cache_breakpoint.ttl": _part(
        _TEXT | {"prompt_cache_breakpoint": _HOURS}
    ),
    "input[].call_id": _called(),
    "input[].name": _called(),
    "input[].namespace": _called(namespace="n"),
    "input[].arguments": _called(),
    "input[].async": _called(**{"async": True}),
    "input[].caller.type": _called(caller={"type": "direct"}),
    "input[].caller.caller_id": _called(caller={"type": "program", "caller_id": "p"}),
    "input[].output": _called(),
    "input[].output[].type": _called([_TEXT]),
    "input[].output[].text": _called([_TEXT]),
    "input[].output[].image_url": _called([_IMAGE]),
    "input[].output[].detail": _called([_IMAGE | {"detail": "high"}]),
    "input[].output[].file_data": _called([_FILE]),
    "input[].output[].filename": _called([_FILE | {"filename": "a.pdf"}]),
    "input[].output[].file_url": _called(
        [{"type": "input_file", "file_url": "https://a.example/b"}]
    ),
    "input[].output[].file_id": _called([{"type": "input_file", "file_id": "file-1"}]),
    "input[].output[].prompt_cache_breakpoint.mode": _called(
        [_TEXT | {"prompt_cache_breakpoint": _CACHE}]
    ),
    "input[].output[].prompt_cache_breakpoint.ttl": _called(
        [_TEXT | {"prompt_cache_breakpoint": _HOURS}]
    ),
    "input[].output[].outcome.*": _called([_TEXT | {"outcome": {"type": "exit", "exit_code": 0}}]),
    "input[].output[].stderr": _called([_TEXT | {"stderr": "x"}]),
    "input[].output[].stdout": _called([_TEXT | {"stdout": "x"}]),
    "input[].output.*": _items({"type": "computer_call_output", "output": SOMETHING}),
    "input[].summary[].type": _thought(summary=_HM),
    "input[].summary[].text": _thought(summary=_HM),
    "input[].encrypted_content": _thought(encrypted_content="taximeter:anthropic:s"),
    "tools[].type": _tool(),
    "tools[].name": _tool(name="g"),
    "tools[].description": _tool(description="does"),
    "tools[].parameters": _tool(),
    "tools[].strict": _tool(strict=True),
    "tools[].allowed_callers": _tool(allowed_callers=["programmatic"]),
    "tools[].async": _tool(**{"async": True}),
    "tools[].defer_loading": _tool(defer_loading=True),
    "tools[].output_schema": _tool(output_schema=CLOSED),
    "tools[].tools[].type": _grouped(),
    "tools[].tools[].name": _grouped(name="g"),
    "tools[].tools[].description": _grouped(description="does"),
    "tools[].tools[].parameters": _grouped(),
    "tools[].tools[].strict": _grouped(strict=True),
    "tools[].tools[].allowed_callers": _grouped(allowed_callers=["programmatic"]),
    "tools[].tools[].async": _grouped(**{"async": True}),
    "tools[].tools[].defer_loading": _grouped(defer_loading=True),
    "tools[].tools[].output_schema": _grouped(output_schema=CLOSED),
    "tools[].tools[].format.*": _grouped(type="custom", format={"type": "text"}),
    "tool_choice": _tool() | {"tool_choice": "required"},
    "tool_choice.type": _CHOSEN,
    "tool_choice.name": _CHOSEN,
    "tool_choice.mode": _tool() | {"tool_choice": {"type": "allowed_tools", "mode": "auto"}},
    "tool_choice.server_label": _tool() | {"tool_choice": {"type": "mcp", "server_label": "s"}},
    "tool_choice.tools[].*": _tool() | {"tool_choice": {"type": "allowed_tools", "tools": []}},
    "parallel_tool_calls": _tool() | {"parallel_tool_calls": False},
    "text.format.type": _form(),
    "text.format.name": _form(name="other"),
    "text.format.description": _form(description="what"),
    "text.format.schema": _form(),
    "text.format.strict": _form(strict=True),
    "text.verbosity": {"text": {"verbosity": "low"}},
    "max_output_tokens": {"max_output_tokens": 5},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "reasoning.effort": {"reasoning": {"effort": "high"}},
    "reasoning.summary": {"reasoning": {"summary": "auto"}},
    "reasoning.generate_summary": {"reasoning": {"generate_summary": "auto"}},
    "reasoning.context": {"reasoning": {"context": "all_turns"}},
    "reasoning.mode": {"reasoning": {"mode": "pro"}},
    "user": {"user": "ann"},
    "safety_identifier": {"safety_identifier": "ann"},
    "service_tier": {"service_tier": "flex"},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_options.*": {"prompt_cache_options": {"ttl": "30m"}},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "previous_response_id": {"previous_response_id": "resp_1"},
    "conversation.*": {"conversation": {"id": "conv_1"}},
    "prompt.*": {"prompt": {"id": "pmpt_1"}},
    "store": {"store": True},
    "include": {"include": ["message.output_text.logprobs"]},
    "metadata": {"metadata": {"a": "b"}},
    "background": {"background": True},
    "background_options.*": {"background_options": {"completion_window": "24h"}},
    "context_management[].*": {"context_management": [{"type": "compaction"}]},
    "truncation": {"truncation": "auto"},
    "top_logprobs": {"top_logprobs": 2},
    "max_tool_calls": {"max_tool_calls": 2},
    "moderation.*": {"moderation": {"model": "omni"}},
    "access_programs.*": {"access_programs": {"cyber": True}},
    "client_metadata.*": {"client_metadata": {"a": "b"}},
    "image.*": {"image": {"context_compression": "auto"}},
    **{f"input[].{n}.*": _items({"type": "own_item", n: SOMETHING}) for n in RESPONSES_OWN_ITEMS},
    **{f"tools[].{n}.*": {"tools": [{"type": "own", n: SOMETHING}]} for n in RESPONSES_OWN_TOOLS},
}
