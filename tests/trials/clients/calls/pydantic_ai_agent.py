"""A Pydantic AI agent, run and streamed."""

# mypy: disable-error-code="import-not-found"

import asyncio
import json
import sys

from pydantic_ai import Agent

agent = Agent(sys.argv[2], instructions="life hand")


async def streamed() -> str:
    """The text of a streamed run."""
    async with agent.run_stream("time people year") as run:
        return "".join([piece async for piece in run.stream_text(delta=True)])


whole = agent.run_sync("time people year")
print(json.dumps([whole.output, asyncio.run(streamed())]))
