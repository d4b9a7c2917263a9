"""LangChain's Anthropic model."""

# mypy: disable-error-code="import-not-found"

import json

from langchain_anthropic import ChatAnthropic

model = ChatAnthropic(model="claude-sonnet-5-5", max_tokens=200)
found = [model.invoke("time people year"), *model.stream("time people year")]
print(json.dumps([[one.content, one.usage_metadata] for one in found]))
