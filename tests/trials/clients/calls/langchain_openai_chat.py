"""LangChain's OpenAI model, and its embeddings, which send token ids unless told otherwise."""

# mypy: disable-error-code="import-not-found"

import json

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

model = ChatOpenAI(model="gpt-5.4-mini", stream_usage=True)
found = [model.invoke("time people year"), *model.stream("time people year")]
texts = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
print(json.dumps([[one.content for one in found], texts.embed_documents(["life", "hand"])]))
