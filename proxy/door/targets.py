"""Where an attempt goes at its provider, and with which headers: by the provider's dialect."""

from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from proxy.relay.fields import Pairs
from proxy.settings.config import Provider

PATHS = {"openai": "/chat/completions", "responses": "/responses", "anthropic": "/messages"}
EMBEDDINGS = {"openai": "/embeddings", "cohere": "/embed"}
ANTHROPIC_VERSION = (b"anthropic-version", b"2023-06-01")
# How a dialect, or a provider that differs, is sent its key; all others take a bearer token.
# https://learn.microsoft.com/azure/ai-foundry/openai/reference, https://portkey.ai/docs/
# api-reference/headers (2026-11).
KEY_HEADERS = {
    "anthropic": b"x-api-key",
    "gemini": b"x-goog-api-key",
    "azure": b"api-key",
    "portkey": b"x-portkey-api-key",
}
# What the caller's own credential and its body's framing are told by.
REPLACED = frozenset(
    (
        *(b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie"),
        *(b"x-portkey-api-key", b"content-length", b"expect"),
    )
)
# What means something to providers of the caller's dialect alone.
OWN = (b"anthropic-", b"openai-", b"x-goog-", b"accept-encoding", b"content-type")


def own_path(provider: Provider, path: str, query: str, model: str) -> str:
    """Of the caller's dialect: as it asked, with the model where the path has it."""
    _, mark, method = path.rpartition(":")
    named = f"/models/{quote(model, safe='')}:{method}"
    path = named if mark else path.removeprefix("/v1")
    kept = "&".join(one for one in query.split("&") if one and not one.startswith("key="))
    return base(provider) + path + (f"?{kept}" if kept else "")


def foreign_path(provider: Provider, api: str, model: str, operation: str, *, stream: bool) -> str:
    """Of another API, for what the caller asks."""
    if api != "gemini":
        paths = EMBEDDINGS if operation == "embeddings" else PATHS
        return base(provider) + paths[api]
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    if operation == "embeddings":
        method = "batchEmbedContents"
    return f"{base(provider)}/models/{quote(model, safe='')}:{method}"


def base(provider: Provider) -> str:
    """The path where a provider's API begins."""
    return urlsplit(provider.base_url).path.rstrip("/") + provider.api_path


def headers(
    sent: Pairs, provider: Provider, key: str, *, foreign: bool
) -> list[tuple[bytes, bytes]]:
    """The caller's, without what is not the provider's business, and with its credential."""
    pairs = [pair for pair in sent if pair[0].lower() not in REPLACED]
    if foreign:
        pairs = [pair for pair in pairs if not pair[0].lower().startswith(OWN)]
        pairs.append((b"Accept-Encoding", b"identity"))  # the answer has to be read
        pairs.append((b"Content-Type", b"application/json"))
        if provider.dialect == "anthropic":
            pairs.append(ANTHROPIC_VERSION)
    return [*pairs, credential(provider, key)]


def credential(provider: Provider, key: str) -> tuple[bytes, bytes]:
    """The header that the provider reads its key from."""
    name = KEY_HEADERS.get(provider.name) or KEY_HEADERS.get(provider.dialect)
    return (name, key.encode()) if name else (b"Authorization", b"Bearer " + key.encode())


def lost(sent: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
    """Headers that ask for something, and that no other dialect has."""
    names = {name.lower() for name, _ in sent}
    return ("anthropic-beta",) if b"anthropic-beta" in names else ()
