"""CrewAI's LLM for OpenAI."""

# mypy: disable-error-code="import-not-found"

import json
import os

from crewai import LLM

llm = LLM(model="openai/gpt-5.4-mini", base_url=os.environ["OPENAI_BASE_URL"])
print(json.dumps(llm.call("time people year")))
