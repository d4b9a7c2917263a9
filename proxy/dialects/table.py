"""Which endpoint a call goes to: by method and by the end of its path.

To add a dialect, add its module to `MODULES`.  The first route that matches wins, so modules with
narrow paths come before those with wide ones.
"""

from functools import lru_cache

from proxy.dialects import cohere, dashscope, jobs, local_servers, mistral, ollama, other, rerank
from proxy.dialects.anthropic import batch as anthropic_batch
from proxy.dialects.anthropic import messages as anthropic
from proxy.dialects.bedrock import converse as bedrock
from proxy.dialects.bedrock import invoke as bedrock_invoke
from proxy.dialects.contract import Endpoint, EndpointPath
from proxy.dialects.gemini import batch as gemini_batch
from proxy.dialects.gemini import embed as gemini_embed
from proxy.dialects.gemini import generate as gemini
from proxy.dialects.gemini import interactions as gemini_interactions
from proxy.dialects.gemini import live as gemini_live
from proxy.dialects.openai import batch as openai_batch
from proxy.dialects.openai import chat as openai_chat
from proxy.dialects.openai import media as openai_media
from proxy.dialects.openai import realtime as openai_realtime
from proxy.dialects.openai import responses as openai_responses
from proxy.dialects.openai import responses_socket as openai_responses_socket
from proxy.dialects.openai import vectors as openai_vectors

MODULES = (
    anthropic,
    anthropic_batch,
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
    jobs,
    mistral,
    ollama,
    rerank,
    openai_batch,
    openai_responses,
    openai_responses_socket,
    openai_realtime,
    openai_chat,
    openai_vectors,
    openai_media,
)
ROUTES: tuple[EndpointPath, ...] = tuple(route for module in MODULES for route in module.ROUTES)

FOUND_MAX = 1024


@lru_cache(maxsize=FOUND_MAX)  # paths contain ids, so there must be a limit
def find(method: str, path: str, family: str = "openai") -> Endpoint:
    """The endpoint of a call.  Never fails: an unknown one is read generically.

    `path` has no query.  `family` is the provider's dialect, which only decides shared paths.
    """
    method = method.upper()
    for route in ROUTES:
        if route.matches(method, path, family):
            return route.endpoint
    return other.UNKNOWN
