"""Pydantic AI: OpenAI's chat or Responses, or Anthropic's."""

# mypy: disable-error-code="import-not-found"

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Any

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

BASE, TOKEN, MODEL, API = sys.argv[1:5]


class Shape(BaseModel):
    """A city."""

    city: str
    people: int


def model(route: str = "to") -> Any:
    name = f"{route}-{MODEL}"
    if API == "anthropic":
        client = AsyncAnthropic(base_url=BASE, api_key=TOKEN, max_retries=0)
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))
    provider = OpenAIProvider(
        openai_client=AsyncOpenAI(base_url=f"{BASE}/v1", api_key=TOKEN, max_retries=0)
    )
    kind = OpenAIChatModel if API == "chat" else OpenAIResponsesModel
    return kind(name, provider=provider)


async def streamed(route: str) -> str:
    """The text of a streamed run."""
    async with Agent(model(route)).run_stream("year") as run:
        return "".join([piece async for piece in run.stream_text(delta=True)])


async def failed(call: Coroutine[Any, Any, object]) -> str:
    """The class of the error that a call ends with."""
    try:
        await call
    except Exception as error:  # noqa: BLE001 — whatever it is, it is told
        return type(error).__name__
    return ""


async def main() -> dict[str, Any]:
    """What the agent makes of each kind of answer."""
    agent = Agent(model(), instructions="be brief")
    called: list[Any] = []

    def weather(city: str, unit: str) -> str:
        """The weather of a city."""
        called.append({"city": city, "unit": unit})
        return "sunny"

    able = Agent(model(), tools=[weather])
    shape: Any = None
    if API != "anthropic":  # of a Claude that it does not know, it asks for a tool instead
        shape = (await Agent(model(), output_type=NativeOutput(Shape)).run("weather")).output
    picture = BinaryContent(data=b"\x89PNG\r\n\x1a\n", media_type="image/png")
    return {
        "text": (await agent.run("time people")).output,
        "stream": await streamed("to"),
        "result": (await able.run("weather")).output,
        "tool": called[0],
        "image": (await agent.run(["what", picture])).output,
        "shape": shape and shape.model_dump(),
        "errors": [
            await failed(Agent(model("limited")).run("time")),
            await failed(Agent(model("wrong")).run("time")),
            await failed(streamed("broken")),
        ],
    }


print(json.dumps(asyncio.run(main())))
