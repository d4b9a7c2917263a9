"""Alibaba's own SDK and API: streams repeat text and usage, or bring the text in pieces."""

# mypy: disable-error-code="import-not-found"

import json

from dashscope import Generation

ASKED = {
    "model": "qwen-plus",
    "messages": [{"role": "user", "content": "time people year"}],
    "result_format": "message",
}

found = [Generation.call(**ASKED)]
found += Generation.call(**ASKED, stream=True)
found += Generation.call(**ASKED, stream=True, incremental_output=True)
print(json.dumps([{"output": one.output, "usage": one.usage} for one in found]))
