"""Voyage's SDK: embeddings and reranking."""

# mypy: disable-error-code="import-not-found"

import json
import os
import sys

import voyageai

client = voyageai.Client(api_key=os.environ["OPENAI_API_KEY"], base_url=f"{sys.argv[1]}/v1")
embedded = client.embed(["life"], model="voyage-3.5")
print(json.dumps([embedded.embeddings, embedded.total_tokens]))
