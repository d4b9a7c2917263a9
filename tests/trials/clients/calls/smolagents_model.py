"""smolagents' model for OpenAI's dialect."""

# mypy: disable-error-code="import-not-found"

import json
import os

from smolagents import ChatMessage, OpenAIServerModel

model = OpenAIServerModel("gpt-5.4-mini", api_base=os.environ["OPENAI_BASE_URL"])
messages = [ChatMessage(role="user", content="time people year")]
answer = model.generate(messages)
parts = [part.content for part in model.generate_stream(messages)]
print(json.dumps([answer.content, parts]))
