"""OpenAI's SDK: chat completions, or Responses if the last argument says so."""

# mypy: disable-error-code="import-not-found"

import json
import sys
from collections.abc import Callable
from typing import Any

import openai

BASE, TOKEN, MODEL, API = sys.argv[1:5]
PNG = "data:image/png;base64,iVBORw0KGgo="
WEATHER: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
SHAPE: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
client: Any = openai.OpenAI(base_url=f"{BASE}/v1", api_key=TOKEN, max_retries=0)


def failed(call: Callable[[], object]) -> str:
    """The class of the error that a call ends with."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 — whatever it is, it is told
        return type(error).__name__
    return ""


def user(*parts: Any) -> Any:
    return {"role": "user", "content": list(parts) if len(parts) > 1 else parts[0]}


def chat() -> dict[str, Any]:
    """What the SDK makes of each kind of answer."""
    create: Any = client.chat.completions.create
    model = f"to-{MODEL}"
    whole = create(model=model, messages=[user("time people")])
    chunks = [*create(model=model, messages=[user("year")], stream=True)]
    tools = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    asked = [user("weather")]
    with client.chat.completions.stream(model=model, messages=asked, tools=tools) as stream:
        called = stream.get_final_completion().choices[0].message
    call = called.tool_calls[0]
    told = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    after = create(model=model, messages=[*asked, called, told], tools=tools)
    text, image = {"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": PNG}}
    seen = create(model=model, messages=[user(text, image)])
    form = {"type": "json_schema", "json_schema": {"name": "shape", "schema": SHAPE}}
    shaped = create(model=model, messages=asked, response_format=form)
    again = {"messages": asked, "stream": True}
    return {
        "text": whole.choices[0].message.content,
        "stream": "".join(one.choices[0].delta.content or "" for one in chunks if one.choices),
        "tool": json.loads(call.function.arguments),
        "result": after.choices[0].message.content,
        "image": seen.choices[0].message.content,
        "shape": json.loads(shaped.choices[0].message.content),
        "errors": [
            failed(lambda: create(model=f"limited-{MODEL}", messages=asked)),
            failed(lambda: create(model=f"wrong-{MODEL}", messages=asked)),
            failed(lambda: [*create(model=f"broken-{MODEL}", **again)]),
        ],
    }


def responses() -> dict[str, Any]:
    """Likewise."""
    create: Any = client.responses.create
    model = f"to-{MODEL}"
    whole = create(model=model, input="time people")
    with client.responses.stream(model=model, input="year") as stream:
        said = "".join(one.delta for one in stream if one.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == said
    tools = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}]
    asked: list[Any] = [user("weather")]
    with client.responses.stream(model=model, input=asked, tools=tools) as stream:
        *_, last = stream
    called = next(one for one in last.response.output if one.type == "function_call")
    told = {"type": "function_call_output", "call_id": called.call_id, "output": "sunny"}
    after = create(model=model, input=[*asked, *last.response.output, told], tools=tools)
    text, image = {"type": "input_text", "text": "what"}, {"type": "input_image", "image_url": PNG}
    seen = create(model=model, input=[user(text, image)])
    form = {"type": "json_schema", "name": "shape", "schema": SHAPE}
    shaped = create(model=model, input=asked, text={"format": form})
    return {
        "text": whole.output_text,
        "stream": said,
        "tool": json.loads(called.arguments),
        "result": after.output_text,
        "image": seen.output_text,
        "shape": json.loads(shaped.output_text),
        "errors": [
            failed(lambda: create(model=f"limited-{MODEL}", input=asked)),
            failed(lambda: create(model=f"wrong-{MODEL}", input=asked)),
            failed(lambda: [*create(model=f"broken-{MODEL}", input=asked, stream=True)]),
        ],
    }


print(json.dumps(chat() if API == "chat" else responses()))
