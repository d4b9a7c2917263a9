"""Google's SDK for Gemini."""

import asyncio
import json

from google import genai

MODEL, PROMPT = "gemini-2.5-flash", "time people year"
HEAD = {"sdk_http_response"}  # the SDK's copy of the HTTP head, which holds the date


def calls() -> list[object]:
    """One after another."""
    with genai.Client() as client:
        whole = client.models.generate_content(model=MODEL, contents=PROMPT)
        chunks = [*client.models.generate_content_stream(model=MODEL, contents=PROMPT)]
        counted = client.models.count_tokens(model=MODEL, contents=PROMPT)
        return [one.model_dump(mode="json", exclude=HEAD) for one in (whole, *chunks, counted)]


async def later() -> list[object]:
    """The same SDK, asynchronous."""
    async with genai.Client().aio as client:
        stream = await client.models.generate_content_stream(model=MODEL, contents=PROMPT)
        return [chunk.model_dump(mode="json", exclude=HEAD) async for chunk in stream]


print(json.dumps([calls(), asyncio.run(later())], default=str))
