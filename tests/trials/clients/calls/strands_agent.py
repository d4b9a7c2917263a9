"""Strands' agent on Anthropic's API."""

# mypy: disable-error-code="import-not-found"

import json
import os

from strands import Agent
from strands.models.anthropic import AnthropicModel

model = AnthropicModel(
    client_args={"base_url": os.environ["ANTHROPIC_BASE_URL"]},
    model_id="claude-sonnet-5-5",
    max_tokens=100,
)
print(json.dumps(str(Agent(model=model, callback_handler=None)("time people year"))))
