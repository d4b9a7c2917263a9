"""LangChain's chat models: OpenAI's chat or Responses, or Anthropic's."""

# mypy: disable-error-code="import-not-found"

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

BASE, TOKEN, MODEL, API = sys.argv[1:5]
PNG = "data:image/png;base64,iVBORw0KGgo="
SHAPE: Any = {
    "title": "shape",
    "description": "a city",
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}


NAMED = {"anthropic": ("langchain_anthropic", "ChatAnthropic")}
MODULE, CLASS = NAMED.get(API, ("langchain_openai", "ChatOpenAI"))  # one is installed
APIS: dict[str, dict[str, Any]] = {
    "anthropic": {"base_url": BASE, "max_tokens": 500},
    "chat": {"base_url": f"{BASE}/v1"},
    "responses": {"base_url": f"{BASE}/v1", "use_responses_api": True},
}


def model(route: str = "to") -> Any:
    kind = getattr(import_module(MODULE), CLASS)
    return kind(model=f"{route}-{MODEL}", api_key=TOKEN, max_retries=0, **APIS[API])


def failed(call: Callable[[], object]) -> str:
    """The class of the error that a call ends with."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 — whatever it is, it is told
        return type(error).__name__
    return ""


def weather(city: str, unit: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}, {unit}"


def text(message: Any) -> str:
    return str(message.text if isinstance(message.text, str) else message.text())


able = model().bind_tools([weather])
called = able.invoke("weather")
call = called.tool_calls[0]
told = {"role": "tool", "tool_call_id": call["id"], "content": weather(**call["args"])}
image = {"type": "image_url", "image_url": {"url": PNG}}
seen = {"role": "user", "content": [{"type": "text", "text": "what"}, image]}
shape = model().with_structured_output(SHAPE, method="json_schema")
print(
    json.dumps(
        {
            "text": text(model().invoke("time people")),
            "stream": "".join(text(one) for one in model().stream("year")),
            "tool": call["args"],
            "result": text(able.invoke([{"role": "user", "content": "weather"}, called, told])),
            "image": text(model().invoke([seen])),
            "shape": shape.invoke("weather"),
            "errors": [
                failed(lambda: model("limited").invoke("time")),
                failed(lambda: model("wrong").invoke("time")),
                failed(lambda: [*model("broken").stream("time")]),
            ],
        }
    )
)
