"""Ollama's SDK and API."""

# mypy: disable-error-code="import-not-found"

import json

import ollama

ASKED = {"model": "llama3.2", "messages": [{"role": "user", "content": "time people year"}]}

found = [ollama.chat(**ASKED), *ollama.chat(**ASKED, stream=True)]
found.append(ollama.embed(model="nomic-embed-text", input=["time people", "year"]))
print(json.dumps([one.model_dump() for one in found]))
