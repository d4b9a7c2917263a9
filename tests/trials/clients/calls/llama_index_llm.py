"""LlamaIndex's LLM for OpenAI, streamed and not."""

# mypy: disable-error-code="import-not-found"

import json
import os

from llama_index.llms.openai import OpenAI

llm = OpenAI(model="gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"])
found = [str(llm.complete("time people year"))]
found += [part.delta for part in llm.stream_complete("time people year")]
print(json.dumps(found))
