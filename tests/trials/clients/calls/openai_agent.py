"""OpenAI's agents SDK, run and streamed."""

# mypy: disable-error-code="import-not-found"

import asyncio
import json

from agents import Agent, Runner

agent = Agent(name="helper", instructions="life hand", model="gpt-5.4-mini")


async def calls() -> list[object]:
    """A run, and the text of a streamed one."""
    whole = await Runner.run(agent, "time people year")
    streamed = Runner.run_streamed(agent, "time people year")
    kinds = [event.type async for event in streamed.stream_events()]
    return [whole.final_output, streamed.final_output, kinds]


print(json.dumps(asyncio.run(calls())))
