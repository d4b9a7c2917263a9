"""Groq's SDK: it reports usage of streams unasked."""

# mypy: disable-error-code="import-not-found"

import json

import groq

ASKED = {
    "model": "openai/gpt-oss-120b",
    "messages": [{"role": "user", "content": "time people year"}],
}

with groq.Groq() as client:
    found = [client.chat.completions.create(**ASKED)]
    found += client.chat.completions.create(**ASKED, stream=True)
    print(json.dumps([one.to_dict() for one in found]))
