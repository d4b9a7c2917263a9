"""OpenAI's SDK, version 2 or 3: each kind of call, streamed and not."""

import asyncio
import json
from typing import Any

import openai

ASKED: Any = {
    "model": "gpt-5.4-mini",
    "messages": [{"role": "user", "content": "time people year"}],
}
USAGE: Any = {"stream": True, "stream_options": {"include_usage": True}}
FORM = {"Content-Type": "multipart/form-data; boundary=always-the-same"}
SOUND = ("sound.wav", b"RIFF" + bytes(32_000), "audio/wav")


def calls() -> list[object]:
    """One after another, over one connection."""
    with openai.OpenAI() as client:
        found: list[Any] = [client.chat.completions.create(**ASKED)]
        found += client.chat.completions.create(**ASKED, **USAGE)
        response = client.responses.create(model="gpt-5.4", input="life hand")
        found += [response, client.responses.retrieve(response.id)]
        found += client.responses.create(model="gpt-5.4", input="life", stream=True)
        found.append(client.embeddings.create(model="text-embedding-3-small", input=["one", "two"]))
        found.append(
            client.audio.transcriptions.create(
                model="gpt-4o-transcribe", file=SOUND, extra_headers=FORM
            )
        )
        found.append(client.images.generate(model="gpt-image-1", prompt="a room", quality="low"))
        return [one.to_dict() for one in found]


async def later() -> list[object]:
    """The same SDK, asynchronous."""
    async with openai.AsyncOpenAI() as client:
        whole = await client.chat.completions.create(**ASKED)
        stream = await client.chat.completions.create(**ASKED, **USAGE)
        return [whole.to_dict(), *[chunk.to_dict() async for chunk in stream]]


print(json.dumps([calls(), asyncio.run(later())], default=str))
