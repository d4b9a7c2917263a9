"""Anthropic's SDK, version 1 or 2."""

import asyncio
import json
from typing import Any

import anthropic

ASKED: Any = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "time people year"}],
}
TOOL: Any = {"name": "find_order", "input_schema": {"type": "object"}}


def calls() -> list[object]:
    """One after another."""
    with anthropic.Anthropic() as client:
        found: list[Any] = [
            client.messages.create(**ASKED),
            client.messages.count_tokens(**COUNTED),
        ]
        found += client.messages.create(**ASKED, stream=True)
        with client.messages.stream(**ASKED, tools=[TOOL]) as stream:
            found.append(stream.get_final_message())
        return [one.to_dict() for one in found]


async def later() -> list[object]:
    """The same SDK, asynchronous."""
    async with anthropic.AsyncAnthropic() as client:
        whole = await client.messages.create(**ASKED)
        async with client.messages.stream(**ASKED) as stream:
            return [whole.to_dict(), (await stream.get_final_message()).to_dict()]


COUNTED = {key: ASKED[key] for key in ("model", "messages")}
print(json.dumps([calls(), asyncio.run(later())], default=str))
