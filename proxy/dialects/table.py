"""Which endpoint a call goes to: by method and by the end of its path.

A dialect is added by a line in `MODULES`.  The first route that matches wins, so a module whose
paths are narrower stands before one whose paths are wider.
"""

from functools import lru_cache

from proxy.dialects import (
    Endpoint,
    Route,
    anthropic,
    bedrock,
    bedrock_invoke,
    cohere,
    dashscope,
    gemini,
    gemini_batch,
    gemini_embed,
    gemini_interactions,
    gemini_live,
    local_servers,
    mistral,
    ollama,
    openai_batch,
    openai_chat,
    openai_media,
    openai_realtime,
    openai_responses,
    openai_vectors,
    other,
    rerank,
)

MODULES = (
    anthropic,
    gemini,
    gemini_batch,
    gemini_embed,
    gemini_interactions,
    gemini_live,
    bedrock,
    bedrock_invoke,
    local_servers,
    cohere,
    dashscope,
    mistral,
    ollama,
    rerank,
    openai_batch,
    openai_responses,
    openai_realtime,
    openai_chat,
    openai_vectors,
    openai_media,
)
ROUTES: tuple[Route, ...] = tuple(route for module in MODULES for route in module.ROUTES)

FOUND_MAX = 1024
UNCHARGED_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


@lru_cache(maxsize=FOUND_MAX)  # paths hold ids that callers choose
def find(method: str, path: str, family: str = "openai") -> Endpoint:
    """The endpoint of a call; never fails: an unknown one is read generically.

    `path` has no query; `family` is the provider's dialect and settles shared paths only.
    """
    method = method.upper()
    for route in ROUTES:
        if route.matches(method, path, family):
            return route.endpoint
    return other.UNCHARGED if method in UNCHARGED_METHODS else other.UNKNOWN
