"""The base-URL variables of well-known SDKs, and the meaning of values that the user set.

SDKs differ in how much of the path the URL includes; `suffix` is the path that an SDK expects at
its end.  A value that the user has set becomes the provider's address behind the proxy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Variable → provider, suffix.  Seen on the wire or read in the source (2026-11): openai, anthropic,
# google-genai, groq, cohere, dashscope, ollama, langchain-openai, langchain-anthropic, together,
# cerebras, perplexity, and those in _API_BASE of litellm, which aider, dspy and crewai use.
# MISTRAL_BASE_URL is that of langchain-mistralai; mistralai has none.  Left out are GROQ_API_BASE,
# which means one thing in litellm and another in langchain-groq, and, because a signature covers
# the host, AWS_ENDPOINT_URL_BEDROCK_RUNTIME.
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
    "TOGETHER_BASE_URL": ("together", ""),
    "CEREBRAS_BASE_URL": ("cerebras", ""),
    "FIREWORKS_BASE_URL": ("fireworks", ""),
    "PERPLEXITY_BASE_URL": ("perplexity", ""),
    "OLLAMA_HOST": ("ollama", ""),
    "ANTHROPIC_API_BASE": ("anthropic", ""),
    "CEREBRAS_API_BASE": ("cerebras", "/v1"),
    "DEEPSEEK_API_BASE": ("deepseek", "/beta"),
    "FIREWORKS_API_BASE": ("fireworks", "/inference/v1"),
    "MISTRAL_API_BASE": ("mistral", "/v1"),
    "OLLAMA_API_BASE": ("ollama", ""),
    "OPENROUTER_API_BASE": ("openrouter", "/api/v1"),
    "TOGETHER_AI_API_BASE": ("together", "/v1"),
    "XAI_API_BASE": ("xai", "/v1"),
}
WEBSOCKET = {"https": "wss", "http": "ws"}
PROXY_VARIABLES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class SdkBaseUrls:
    """What the user's environment says about providers."""

    base_urls: Mapping[str, str] = field(default_factory=dict)  # by provider
    paths: Mapping[str, str] = field(default_factory=dict)  # by variable: what follows /provider
    providers: Mapping[str, str] = field(default_factory=dict)  # by variable, if not its usual one
    unchanged: tuple[str, ...] = ()  # variables that keep their value: their calls are not metered


def read(environ: Mapping[str, str], configured: Mapping[str, str]) -> SdkBaseUrls:
    """Which variables to set, and where the providers are.

    `configured` has the base URL of each provider; variables of one with "" are not set.
    """
    base_urls: dict[str, str] = {}
    paths: dict[str, str] = {}
    providers: dict[str, str] = {}
    unchanged: list[str] = []
    for variable, (provider, suffix) in VARIABLES.items():
        value = environ.get(variable, "").rstrip("/")
        if not value:
            continue
        if other := _provider_at(value, configured, provider):
            providers[variable], paths[variable] = other, _path_below(value, configured[other])
            continue
        base_url = _http(value.removesuffix(suffix))
        if base_url is None or base_urls.setdefault(provider, base_url) != base_url:
            unchanged.append(variable)
        else:
            paths[variable] = suffix if value.endswith(suffix) else ""
    for variable, (provider, suffix) in VARIABLES.items():
        known = base_urls.get(provider) or configured.get(provider)
        if known and variable not in paths and variable not in unchanged:
            paths[variable] = suffix
    return SdkBaseUrls(base_urls, paths, providers, tuple(unchanged))


def _provider_at(value: str, configured: Mapping[str, str], usual: str) -> str:
    """The provider whose host `value` names, if that is another than the usual one.

    DeepSeek in OPENAI_BASE_URL is DeepSeek, with its own prices.
    """
    host = urlsplit(value).hostname
    at = [name for name, url in configured.items() if url and urlsplit(url).hostname == host]
    local = host is None or "." not in host or host.replace(".", "").isdigit()
    return "" if local or usual in at or len(at) != 1 else at[0]


def _path_below(value: str, base_url: str) -> str:
    return urlsplit(value).path.removeprefix(urlsplit(base_url).path)


def variables(found: SdkBaseUrls, proxy_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables to set for a command so that its calls go to `proxy_url`."""
    added = {}
    for variable, path in found.paths.items():
        provider = found.providers.get(variable) or VARIABLES[variable][0]
        url = f"{proxy_url}/{provider}{path}"
        added[variable] = "ws" + url.removeprefix("http") if "WEBSOCKET" in variable else url
    if any(environ.get(name) for name in PROXY_VARIABLES):  # reach us without that proxy
        for name in ("no_proxy", "NO_PROXY"):
            added[name] = ",".join(filter(None, (environ.get(name, ""), "127.0.0.1")))
    return added


def _http(url: str) -> str | None:
    """`url` with an HTTP scheme; None if it cannot be the address of a provider."""
    for scheme, websocket in WEBSOCKET.items():
        if url.startswith(f"{websocket}://"):
            url = scheme + url.removeprefix(websocket)
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    plain = parts.scheme in WEBSOCKET and parts.hostname and not parts.username and not parts.query
    return url if plain else None
