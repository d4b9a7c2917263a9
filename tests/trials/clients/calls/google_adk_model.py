"""Google's Agent Development Kit: its Gemini model."""

# mypy: disable-error-code="import-not-found, import-untyped"

import asyncio
import json

from google.adk.models.google_llm import Gemini
from google.adk.models.llm_request import LlmRequest
from google.genai import types

CONTENT = types.Content(role="user", parts=[types.Part(text="time people year")])


async def main() -> list[str]:
    found = []
    for stream in (False, True):
        request = LlmRequest(model="gemini-2.5-flash", contents=[CONTENT])
        model = Gemini(model="gemini-2.5-flash")
        found += [repr(one.content) async for one in model.generate_content_async(request, stream)]
    return found


print(json.dumps(asyncio.run(main())))
