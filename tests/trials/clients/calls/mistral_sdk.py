"""Mistral's SDK, which takes its base URL as an argument only."""

# mypy: disable-error-code="import-not-found"

import json
import sys

from mistralai.client import Mistral

MESSAGES = [{"role": "user", "content": "time people year"}]

with Mistral(api_key="sk-standin-clients", server_url=sys.argv[1]) as client:
    whole = client.chat.complete(model="mistral-large-2512", messages=MESSAGES)
    stream = client.chat.stream(model="mistral-large-2512", messages=MESSAGES)
    print(json.dumps([whole.model_dump(), *[event.data.model_dump() for event in stream]]))
