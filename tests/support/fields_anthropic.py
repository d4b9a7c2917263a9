"""An example of each request field of Anthropic's messages."""

from collections.abc import Mapping
from typing import Any

from support.media import CLOSED, PDF, PNG, SOMETHING, Json


def _block(**block: Any) -> Json:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, block]}]}


def _text(**more: Any) -> Json:
    return _block(type="text", text="more", **more)


def _source(kind: str = "image", more: Json | None = None, **source: Any) -> Json:
    data = {"type": "base64", "media_type": "image/png", "data": PNG}
    return _block(type=kind, source=source or data, **(more or {}))


def _thought(**thought: Any) -> Json:
    asked = {"role": "user", "content": "hi"}
    return {"messages": [asked, {"role": "assistant", "content": [thought]}, asked]}


def _use(result: Json | None = None, **use: Any) -> Json:
    made = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}} | use
    told = {"type": "tool_result", "tool_use_id": "t1", "content": "one"} | (result or {})
    return {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [made]},
            {"role": "user", "content": [told]},
        ]
    }


def _inside(**block: Any) -> Json:
    return _use({"content": [{"type": "text", "text": "one"}, block]})


def _known(**tool: Any) -> Json:
    return {"tools": [{"name": "f", "input_schema": CLOSED} | tool]}


_PDF = {"type": "base64", "media_type": "application/pdf", "data": PDF}
_CACHE = {"type": "ephemeral"}
_HOUR = {"type": "ephemeral", "ttl": "1h"}
_ONE = _known() | {"tool_choice": {"type": "tool", "name": "f"}}
_SCHEMA = {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}}

ANTHROPIC: Mapping[str, Json] = {
    "model": {},
    "stream": {"stream": True},
    "max_tokens": {"max_tokens": 5},
    "system": {"system": "brief"},
    "system[].type": {"system": [{"type": "text", "text": "brief"}]},
    "system[].text": {"system": [{"type": "text", "text": "brief"}]},
    "system[].cache_control.type": {
        "system": [{"type": "text", "text": "brief", "cache_control": _CACHE}]
    },
    "system[].cache_control.ttl": {
        "system": [{"type": "text", "text": "brief", "cache_control": _HOUR}]
    },
    "system[].citations[].*": {
        "system": [{"type": "text", "text": "b", "citations": [{"type": "char_location"}]}]
    },
    "messages[].role": _thought(type="text", text="yes"),
    "messages[].content": {"messages": [{"role": "user", "content": "other"}]},
    "messages[].content[].type": _text(),
    "messages[].content[].text": _text(),
    "messages[].content[].citations.*": _source(
        "document", {"citations": {"enabled": True}}, **_PDF
    ),
    "messages[].content[].cache_control.type": _text(cache_control=_CACHE),
    "messages[].content[].cache_control.ttl": _text(cache_control=_HOUR),
    "messages[].content[].source.type": _source(),
    "messages[].content[].source.media_type": _source(),
    "messages[].content[].source.data": _source(),
    "messages[].content[].source.url": _source(type="url", url="https://example.org/a.png"),
    "messages[].content[].source.file_id": _source(type="file", file_id="file_1"),
    "messages[].content[].source.content.*": _source("document", type="content", content="x"),
    "messages[].content[].title": _source("document", {"title": "a"}, **_PDF),
    "messages[].content[].context": _source("document", {"context": "a"}, **_PDF),
    "messages[].content[].transformations.*": _source(more={"transformations": {"a": "b"}}),
    "messages[].content[].thinking": _thought(type="thinking", thinking="hm", signature=""),
    "messages[].content[].signature": _thought(
        type="thinking", thinking="hm", signature="taximeter:gemini:c2ln"
    ),
    "messages[].content[].data": _thought(type="redacted_thinking", data="taximeter:gemini:c2ln"),
    "messages[].content[].id": _use(),
    "messages[].content[].name": _use(name="g"),
    "messages[].content[].input": _use(input={"b": 2}),
    "messages[].content[].caller.type": _use(caller={"type": "direct"}),
    "messages[].content[].caller.tool_id": _use(caller={"type": "direct", "tool_id": "t"}),
    "messages[].content[].toolset_name": _use(toolset_name="s"),
    "messages[].content[].tool_use_id": _use(),
    "messages[].content[].content": _use({"content": "two"}),
    "messages[].content[].content[].type": _inside(type="text", text="two"),
    "messages[].content[].content[].text": _inside(type="text", text="two"),
    "messages[].content[].content[].source.*": _inside(
        type="image", source={"type": "base64", "media_type": "image/png", "data": PNG}
    ),
    "messages[].content[].content[].cache_control.type": _inside(
        type="text", text="two", cache_control=_CACHE
    ),
    "messages[].content[].content[].cache_control.ttl": _inside(
        type="text", text="two", cache_control=_HOUR
    ),
    "messages[].content[].content.*": _inside(type="search_result", title="t"),
    "messages[].content[].is_error": _use({"is_error": True}),
    "messages[].content[].file_id": _block(type="container_upload", file_id="f"),
    "tools[].name": _known(name="g"),
    "tools[].description": _known(description="does"),
    "tools[].input_schema.*": _known(),
    "tools[].strict": _known(strict=True),
    "tools[].type": _known(type="custom"),
    "tools[].cache_control.*": _known(cache_control=_CACHE),
    "tools[].allowed_callers": _known(allowed_callers=["code_execution_20260521"]),
    "tools[].defer_loading": _known(defer_loading=True),
    "tools[].eager_input_streaming": _known(eager_input_streaming=True),
    "tools[].input_examples": _known(input_examples=[{}]),
    "tool_choice.type": _known() | {"tool_choice": {"type": "any"}},
    "tool_choice.name": _ONE,
    "tool_choice.disable_parallel_tool_use": _known()
    | {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    "thinking.type": {"thinking": {"type": "disabled"}},
    "thinking.budget_tokens": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    "thinking.display": {"thinking": {"type": "adaptive", "display": "summarized"}},
    "output_config.effort": {"output_config": {"effort": "high"}},
    "output_config.format.type": _SCHEMA,
    "output_config.format.schema": _SCHEMA,
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "top_k": {"top_k": 5},
    "stop_sequences": {"stop_sequences": ["X"]},
    "metadata.user_id": {"metadata": {"user_id": "ann"}},
    "service_tier": {"service_tier": "auto"},
    "speed": {"speed": "fast"},
    "cache_control.*": {"cache_control": _CACHE},
    "container.*": {"container": {"id": "c"}},
    "diagnostics.*": {"diagnostics": {"previous_message_id": "m"}},
    "inference_geo": {"inference_geo": "us"},
    "user_profile_id": {"user_profile_id": "u"},
    "workspace_id": {"workspace_id": "w"},
}


def anthropic(name: str) -> Json:
    """An example for a row; options of the provider's own tools are alike."""
    if name in ANTHROPIC:
        return ANTHROPIC[name]
    return _known(**{name.removeprefix("tools[].").removesuffix(".*"): SOMETHING})
