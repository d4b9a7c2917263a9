"""Anthropic's SDK."""

# mypy: disable-error-code="import-not-found"

import json
import sys
from collections.abc import Callable
from typing import Any

import anthropic

BASE, TOKEN, MODEL = sys.argv[1:4]
WEATHER: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
    "required": ["city", "unit"],
}
SHAPE: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
client: Any = anthropic.Anthropic(base_url=BASE, api_key=TOKEN, max_retries=0)


def failed(call: Callable[[], object]) -> str:
    """The class of the error that a call ends with."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 — whatever it is, it is told
        return type(error).__name__
    return ""


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


def create(route: str = "to", **more: Any) -> Any:
    given = {"max_tokens": 500, "messages": [user("time people")]} | more
    return client.messages.create(model=f"{route}-{MODEL}", **given)


tools: Any = [{"name": "weather", "input_schema": WEATHER}]
asked = [user("weather")]
picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
with client.messages.stream(model=f"to-{MODEL}", max_tokens=500, messages=asked) as stream:
    said = "".join(stream.text_stream)
with client.messages.stream(
    model=f"to-{MODEL}", max_tokens=500, messages=asked, tools=tools
) as stream:
    called = stream.get_final_message()
use: Any = next(one for one in called.content if one.type == "tool_use")
told = user([{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}])
turn = {"role": "assistant", "content": called.content}
seen = user([{"type": "text", "text": "what"}, {"type": "image", "source": picture}])
form = {"type": "json_schema", "schema": SHAPE}
shaped = create(messages=asked, output_config={"format": form})
print(
    json.dumps(
        {
            "text": create().content[0].text,
            "stream": said,
            "tool": use.input,
            "result": create(messages=[*asked, turn, told], tools=tools).content[0].text,
            "image": create(messages=[seen]).content[0].text,
            "shape": json.loads(shaped.content[0].text),
            "errors": [
                failed(lambda: create("limited")),
                failed(lambda: create("wrong")),
                failed(lambda: [*create("broken", stream=True)]),
            ],
        }
    )
)
