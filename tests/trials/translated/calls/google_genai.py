"""Google's SDK for Gemini."""

# mypy: disable-error-code="import-not-found"

import json
import sys
from collections.abc import Callable
from typing import Any

from google import genai
from google.genai import types

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
client: Any = genai.Client(api_key=TOKEN, http_options=types.HttpOptions(base_url=BASE))


def failed(call: Callable[[], object]) -> str:
    """The class of the error that a call ends with."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 — whatever it is, it is told
        return type(error).__name__
    return ""


def ask(contents: Any, route: str = "to", **config: Any) -> Any:
    return client.models.generate_content(
        model=f"{route}-{MODEL}", contents=contents, config=config or None
    )


def streamed(route: str) -> list[Any]:
    return [*client.models.generate_content_stream(model=f"{route}-{MODEL}", contents="year")]


declared = types.FunctionDeclaration(name="weather", parameters_json_schema=WEATHER)
tools = [types.Tool(function_declarations=[declared])]
asked = types.Content(role="user", parts=[types.Part.from_text(text="weather")])
called = ask([asked], tools=tools)
told = types.Part.from_function_response(name="weather", response={"output": "sunny"})
after = ask(
    [asked, called.candidates[0].content, types.Content(role="user", parts=[told])], tools=tools
)
picture = types.Part.from_bytes(data=b"\x89PNG\r\n\x1a\n", mime_type="image/png")
shaped = ask("weather", response_mime_type="application/json", response_json_schema=SHAPE)
print(
    json.dumps(
        {
            "text": ask("time people").text,
            "stream": "".join(one.text or "" for one in streamed("to")),
            "tool": called.function_calls[0].args,
            "result": after.text,
            "image": ask(["what", picture]).text,
            "shape": json.loads(shaped.text),
            "errors": [
                failed(lambda: ask("time", "limited")),
                failed(lambda: ask("time", "wrong")),
                failed(lambda: streamed("broken")),
            ],
        }
    )
)
