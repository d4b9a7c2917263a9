"""An example for each row of `proxy.gateway.translation.fields`: a request that has the field."""

from collections.abc import Mapping
from typing import Any

from proxy.gateway.translation.neutral import Signature
from proxy.gateway.translation.signatures import marked_64

Json = dict[str, Any]
PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQ="
CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
BASES: Mapping[str, Json] = {
    "openai": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "anthropic": {
        "model": "m",
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": "hi"}],
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


# -- OpenAI --------------------------------------------------------------------------------------


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

# -- Anthropic -----------------------------------------------------------------------------------


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

# -- Gemini --------------------------------------------------------------------------------------


def _gpart(role: str = "user", **part: Any) -> Json:
    asked = {"role": "user", "parts": [{"text": "hi"}]}
    return {"contents": [asked, {"role": role, "parts": [part]}, asked]}


def _answer(**answer: Any) -> Json:
    call = {"functionCall": {"id": "g1", "name": "f", "args": {"a": 1}}}
    made = {"id": "g1", "name": "f", "response": {"output": "one"}} | answer
    return {
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [call]},
            {"role": "user", "parts": [{"functionResponse": made}]},
        ]
    }


def _declared(**function: Any) -> Json:
    return {"tools": [{"functionDeclarations": [{"name": "f"} | function]}]}


def _calling(**calling: Any) -> Json:
    return _declared() | {"toolConfig": {"functionCallingConfig": calling}}


def _config(**config: Any) -> Json:
    return {"generationConfig": config}


_BLOB = {"mimeType": "image/png", "data": PNG}
_URI = {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}
_SIGNED = marked_64(Signature("anthropic", "sig"))
_SOMETHING: Json = {"x": 1}

GEMINI: Mapping[str, Json] = {
    "contents[].role": _gpart("model", text="yes"),
    "contents[].parts[].text": _gpart(text="more"),
    "contents[].parts[].thought": _gpart(
        "model", text="hm", thought=True, thoughtSignature=_SIGNED
    ),
    "contents[].parts[].thoughtSignature": _gpart(
        "model", text="hm", thought=True, thoughtSignature=_SIGNED
    ),
    "contents[].parts[].inlineData.mimeType": _gpart(inlineData=_BLOB),
    "contents[].parts[].inlineData.data": _gpart(inlineData=_BLOB),
    "contents[].parts[].fileData.mimeType": _gpart(fileData=_URI),
    "contents[].parts[].fileData.fileUri": _gpart(fileData=_URI),
    "contents[].parts[].functionCall.id": _answer(),
    "contents[].parts[].functionCall.name": _answer(),
    "contents[].parts[].functionCall.args": _answer(),
    "contents[].parts[].functionResponse.id": _answer(),
    "contents[].parts[].functionResponse.name": _answer(),
    "contents[].parts[].functionResponse.response": _answer(response={"output": "two"}),
    "contents[].parts[].functionResponse.parts[].inlineData.*": _answer(
        parts=[{"inlineData": _BLOB}]
    ),
    "systemInstruction.parts[].text": {"systemInstruction": {"parts": [{"text": "brief"}]}},
    "tools[].functionDeclarations[].name": _declared(name="g"),
    "tools[].functionDeclarations[].description": _declared(description="does"),
    "tools[].functionDeclarations[].parameters": _declared(parameters={"type": "OBJECT"}),
    "tools[].functionDeclarations[].parametersJsonSchema": _declared(parametersJsonSchema=CLOSED),
    "toolConfig.functionCallingConfig.mode": _calling(mode="ANY"),
    "toolConfig.functionCallingConfig.allowedFunctionNames": _calling(
        mode="ANY", allowedFunctionNames=["f"]
    ),
    "generationConfig.temperature": _config(temperature=0.5),
    "generationConfig.topP": _config(topP=0.5),
    "generationConfig.topK": _config(topK=5),
    "generationConfig.maxOutputTokens": _config(maxOutputTokens=5),
    "generationConfig.stopSequences": _config(stopSequences=["X"]),
    "generationConfig.seed": _config(seed=7),
    "generationConfig.presencePenalty": _config(presencePenalty=0.5),
    "generationConfig.frequencyPenalty": _config(frequencyPenalty=0.5),
    "generationConfig.responseMimeType": _config(responseMimeType="application/json"),
    "generationConfig.responseSchema": _config(
        responseSchema=CLOSED | {"type": "OBJECT"}, responseMimeType="application/json"
    ),
    "generationConfig.responseJsonSchema": _config(
        responseJsonSchema=CLOSED, responseMimeType="application/json"
    ),
    "generationConfig.thinkingConfig.thinkingBudget": _config(
        thinkingConfig={"thinkingBudget": 2000}
    ),
    "generationConfig.thinkingConfig.thinkingLevel": _config(
        thinkingConfig={"thinkingLevel": "HIGH"}
    ),
    "generationConfig.thinkingConfig.includeThoughts": _config(
        thinkingConfig={"includeThoughts": True}
    ),
    "generationConfig.candidateCount": _config(candidateCount=2),
    "generationConfig.responseLogprobs": _config(responseLogprobs=True),
    "generationConfig.responseModalities": _config(responseModalities=["IMAGE"]),
    "generationConfig.enableEnhancedCivicAnswers": _config(enableEnhancedCivicAnswers=True),
    "serviceTier": {"serviceTier": "flex"},
    "cachedContent": {"cachedContent": "cachedContents/1"},
    "labels": {"labels": {"a": "b"}},
    "store": {"store": True},
}


def gemini(name: str) -> Json:
    """An example for a row; most of those that nobody carries are alike."""
    if name in GEMINI:
        return GEMINI[name]
    above, _, last = name.removesuffix(".*").rpartition(".")
    key, many = last.removesuffix("[]"), last.endswith("[]")
    value: Any = [_SOMETHING] if many else _SOMETHING
    return {
        "contents[].parts[]": lambda: _gpart("model", **{key: value}),
        "contents[].parts[].inlineData": lambda: _gpart(inlineData=_BLOB | {key: "a"}),
        "contents[].parts[].fileData": lambda: _gpart(fileData=_URI | {key: "a"}),
        "contents[].parts[].functionCall": lambda: _gpart(
            "model", functionCall={"name": "f", key: value}
        ),
        "contents[].parts[].functionResponse": lambda: _answer(**{key: value}),
        "contents[].parts[].functionResponse.parts[]": lambda: _answer(parts=[{key: value}]),
        "tools[]": lambda: {"tools": [{key: value}]},
        "tools[].functionDeclarations[]": lambda: _declared(**{key: value}),
        "toolConfig": lambda: {"toolConfig": {key: value}},
        "toolConfig.functionCallingConfig": lambda: _calling(**{key: value}),
        "generationConfig": lambda: _config(**{key: value}),
        "": lambda: {key: value},
    }[above]()


def example(dialect: str, name: str) -> Json:
    """A whole request that has this field."""
    if dialect == "gemini":
        found = gemini(name)
    elif dialect == "anthropic" and name.startswith("tools[].") and name not in ANTHROPIC:
        key = name.removeprefix("tools[].").removesuffix(".*")
        found = _known(**{key: _SOMETHING})
    else:
        found = {"openai": OPENAI, "anthropic": ANTHROPIC}[dialect][name]
    return BASES[dialect] | found
