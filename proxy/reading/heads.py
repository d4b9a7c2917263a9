"""What the heads of a call say about it.  No I/O."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from proxy.dialects.draft import Attribute
from proxy.exchange import Reading

VALUE_CHARS_MAX = 128
COST_TEXT = re.compile(r"\d{1,12}(\.\d{1,24})?(e-\d{1,2})?", re.ASCII)
# Response headers → attributes.  Of a rate limit: what remains of it.
_NUMBERS = {
    "openai-processing-ms": "provider_ms",
    "x-envoy-upstream-service-time": "provider_ms",
    "x-ratelimit-remaining-requests": "ratelimit.remaining_requests",
    "x-ratelimit-remaining-tokens": "ratelimit.remaining_tokens",
    "anthropic-ratelimit-requests-remaining": "ratelimit.remaining_requests",
    "anthropic-ratelimit-tokens-remaining": "ratelimit.remaining_tokens",
    "x-portkey-retry-attempt-count": "gateway.retries",
    "x-litellm-attempted-retries": "gateway.retries",
    "x-litellm-attempted-fallbacks": "gateway.fallbacks",
    "x-openrouter-cache-age": "gateway.cache_age_s",
}
# Headers of gateways: https://portkey.ai/docs/api-reference/inference-api/response-schema,
# https://docs.litellm.ai/docs/proxy/response_headers and
# https://openrouter.ai/docs/guides/features/response-caching (2026-11).  LiteLLM must know the cost
# before it sends the head, so a stream has none.  TokenMix documents none of its own.
_GATEWAY = {
    "x-portkey-cache-status": "gateway.cache_status",
    "x-openrouter-cache-status": "gateway.cache_status",
    "x-portkey-provider": "gateway.provider",
    "x-portkey-last-used-option-index": "gateway.option",
    "x-litellm-model-api-base": "gateway.upstream",
    "x-litellm-model-id": "gateway.deployment",
}
# A gateway's own cache had the answer: no provider was called, and nobody bills it.
_HITS = ("HIT", "SEMANTIC HIT")
_CACHES = tuple(name for name, said in _GATEWAY.items() if said == "gateway.cache_status")
_COST = "x-litellm-response-cost"
_REQUEST_IDS = (
    *("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid"),
    *("x-generation-id", "x-litellm-call-id", "x-portkey-trace-id"),
)
# Request headers in which agents name a session (Claude Code, Codex CLI, and others).
SESSIONS = ("x-claude-code-session-id", "session-id", "session_id", "x-session-id")


def first(headers: Mapping[str, str], names: Iterable[str]) -> str:
    for name in names:
        if said := headers.get(name):
            return said[:VALUE_CHARS_MAX]
    return ""


def cost(reading: Reading, headers: Mapping[str, str]) -> Decimal | None:
    """The cost in the body, else the one in a gateway's header."""
    said = headers.get(_COST, "")
    if reading.reported_usd is not None or not COST_TEXT.fullmatch(said):
        return reading.reported_usd
    return Decimal(said)


def is_cached(headers: Mapping[str, str]) -> bool:
    """Whether a gateway answered from its own cache."""
    said = any(headers.get(name, "").upper() in _HITS for name in _CACHES)
    return said or _is_cached_by_litellm(headers)


def _is_cached_by_litellm(headers: Mapping[str, str]) -> bool:
    """It names the key of what its cache had, and costs nothing then (1.110.2)."""
    costs = headers.get(_COST, "")
    if not costs:
        return False
    free = COST_TEXT.fullmatch(costs) is not None and not Decimal(costs)
    return free and bool(headers.get("x-litellm-cache-key"))


def facts(headers: Mapping[str, str]) -> dict[str, Attribute]:
    """Attributes from the response head."""
    found: dict[str, Attribute] = {}
    for name, attribute in _NUMBERS.items():
        value = headers.get(name)
        if value and value.isascii() and value.isdigit() and len(value) < 16:
            found[attribute] = int(value)
    for name, attribute in _GATEWAY.items():
        if said := headers.get(name, ""):
            found[attribute] = said[:VALUE_CHARS_MAX]
    if _is_cached_by_litellm(headers):
        found["gateway.cache_status"] = _HITS[0]
    if request_id := first(headers, _REQUEST_IDS):
        found["provider_request_id"] = request_id
    return found
