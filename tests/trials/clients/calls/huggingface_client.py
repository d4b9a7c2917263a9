"""Hugging Face's inference client, as OpenAI's dialect."""

# mypy: disable-error-code="import-not-found"

import json
import os
import sys

from huggingface_hub import InferenceClient

MESSAGES = [{"role": "user", "content": "time people year"}]
client = InferenceClient(base_url=f"{sys.argv[1]}/v1", api_key=os.environ["OPENAI_API_KEY"])
whole = client.chat_completion(MESSAGES, model="openai/gpt-oss-120b")
stream = client.chat_completion(
    MESSAGES, model="openai/gpt-oss-120b", stream=True, stream_options={"include_usage": True}
)
print(json.dumps([whole.choices[0].message.content, [repr(part.choices) for part in stream]]))
