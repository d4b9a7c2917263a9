"""Cohere's SDK, second version of its API."""

# mypy: disable-error-code="import-not-found"

import json

import cohere

MESSAGES = [{"role": "user", "content": "time people year"}]

client = cohere.ClientV2()
whole = client.chat(model="command-a-03-2025", messages=MESSAGES)
stream = client.chat_stream(model="command-a-03-2025", messages=MESSAGES)
found = [whole, *stream]
found.append(
    client.embed(
        model="embed-v4.0",
        texts=["time people", "year"],
        input_type="search_document",
        embedding_types=["float"],
    )
)
print(json.dumps([one.dict() for one in found], default=str))
