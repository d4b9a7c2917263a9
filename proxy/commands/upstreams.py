"""The base-URL variables of well-known SDKs, and what a user's own values of them mean.

Each variable holds a URL up to a point that its SDK decided on; the rest here is the `suffix` that
the SDK expects at the end.  A value that the user had set says where that provider is for them:
it becomes the provider's address behind us.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# variable → provider, suffix.  Seen on the wire or read in the source (2026-11): openai, anthropic,
# google-genai, groq, cohere, dashscope, ollama, langchain-openai, langchain-anthropic.  By the
# convention of their generator: together, cerebras, perplexity.  langchain-mistralai; mistralai has
# none.  Not here: AWS_ENDPOINT_URL_BEDROCK_RUNTIME, for a signature covers the host it is made for.
VARIABLES: Mapping[str, tuple[str, str]] = {
    "OPENAI_BASE_URL": ("openai", "/v1"),
    "OPENAI_API_BASE": ("openai", "/v1"),
    "ANTHROPIC_BASE_URL": ("anthropic", ""),
    "ANTHROPIC_API_URL": ("anthropic", ""),
    "GOOGLE_GEMINI_BASE_URL": ("gemini", ""),
    "GOOGLE_VERTEX_BASE_URL": ("vertex", ""),
    "AZURE_OPENAI_ENDPOINT": ("azure", ""),
    "GROQ_BASE_URL": ("groq", ""),
    "CO_API_URL": ("cohere", ""),
    "MISTRAL_BASE_URL": ("mistral", "/v1"),
    "DASHSCOPE_HTTP_BASE_URL": ("qwen", "/api/v1"),
    "DASHSCOPE_COMPATIBLE_BASE_URL": ("qwen", "/compatible-mode/v1"),
    "DASHSCOPE_WEBSOCKET_BASE_URL": ("qwen", "/api-ws/v1/inference"),
    "TOGETHER_BASE_URL": ("together", "/v1"),
    "CEREBRAS_BASE_URL": ("cerebras", ""),
    "PERPLEXITY_BASE_URL": ("perplexity", ""),
    "OLLAMA_HOST": ("ollama", ""),
}
WEBSOCKET = {"https": "wss", "http": "ws"}
PROXY_VARIABLES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class SdkBaseUrls:
    """What the user's environment says of providers."""

    base_urls: Mapping[str, str] = field(default_factory=dict)  # by provider
    paths: Mapping[str, str] = field(default_factory=dict)  # by variable: what follows /provider
    left: tuple[str, ...] = ()  # variables that stay as they are; their calls do not pass here


def read(environ: Mapping[str, str], configured: Mapping[str, str]) -> SdkBaseUrls:
    """Which variables to set, and where the providers are.

    `configured` has the base URL of each provider; "" is none, so its variables are not set.
    """
    base_urls: dict[str, str] = {}
    paths: dict[str, str] = {}
    left: list[str] = []
    for variable, (provider, suffix) in VARIABLES.items():
        value = environ.get(variable, "").rstrip("/")
        if not value:
            continue
        base_url = _http(value.removesuffix(suffix))
        if base_url is None or base_urls.setdefault(provider, base_url) != base_url:
            left.append(variable)
        else:
            paths[variable] = suffix if value.endswith(suffix) else ""
    for variable, (provider, suffix) in VARIABLES.items():
        there = base_urls.get(provider) or configured.get(provider)
        if there and variable not in paths and variable not in left:
            paths[variable] = suffix
    return SdkBaseUrls(base_urls, paths, tuple(left))


def variables(found: SdkBaseUrls, proxy_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What to add to a command's environment so that its calls come to `proxy_url`."""
    added = {}
    for variable, path in found.paths.items():
        url = f"{proxy_url}/{VARIABLES[variable][0]}{path}"
        added[variable] = "ws" + url.removeprefix("http") if "WEBSOCKET" in variable else url
    if any(environ.get(name) for name in PROXY_VARIABLES):  # we are not behind that proxy
        for name in ("no_proxy", "NO_PROXY"):
            added[name] = ",".join(filter(None, (environ.get(name, ""), "127.0.0.1")))
    return added


def _http(url: str) -> str | None:
    """`url` with an HTTP scheme; None if calls could not be sent there as they are."""
    for scheme, websocket in WEBSOCKET.items():
        if url.startswith(f"{websocket}://"):
            url = scheme + url.removeprefix(websocket)
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    plain = parts.scheme in WEBSOCKET and parts.hostname and not parts.username and not parts.query
    return url if plain else None
