"""LiteLLM as a library, in front of three providers at once; it names each by itself."""

# mypy: disable-error-code="import-not-found"

import json
import sys

import litellm

MESSAGES = [{"role": "user", "content": "time people year"}]
OWN = ("id", "created")  # made up by LiteLLM for each call


def plain(answer: object) -> object:
    """What is in an answer besides LiteLLM's own."""
    document = answer.model_dump()  # type: ignore[attr-defined]  # pydantic's
    return {key: value for key, value in document.items() if key not in OWN}


asked = {"model": sys.argv[2], "messages": MESSAGES, "api_base": sys.argv[1]}
whole = litellm.completion(**asked)
stream = litellm.completion(**asked, stream=True, stream_options={"include_usage": True})
print(json.dumps([plain(whole), *map(plain, stream)], default=str))
