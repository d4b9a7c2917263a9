"""DSPy, which calls through litellm."""

# mypy: disable-error-code="import-not-found"

import json
import os

import dspy

lm = dspy.LM("openai/gpt-5.4-mini", api_base=os.environ["OPENAI_BASE_URL"], cache=False)
print(json.dumps(lm("time people year")))
