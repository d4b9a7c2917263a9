"""What dialects note in `Record.attributes`, as span attributes of the right name and type.  Pure.

A row holds these facts as text, because its column is a map of texts; here each gets its type back.
A fact that is in no table stays text under our own name, and a test finds it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

from exporters.otel.trace import BAGGAGE, CONTEXT_KEYS
from exporters.record import Record

AttributeValue = str | bool | int | float | Sequence[str]

OPENAI_REQUEST_TIER = "openai.request.service_tier"
CHOICE_COUNT = "gen_ai.request.choice.count"
ENCODING_FORMATS = "gen_ai.request.encoding_formats"
STOP_SEQUENCES = "gen_ai.request.stop_sequences"
EMBEDDING_SIZE = "gen_ai.embeddings.dimension.count"
REALTIME_SESSION_ID = "gen_ai.realtime_session.id"


def texts(value: str) -> tuple[str, ...]:
    """The texts of a JSON list, or the one text.  Raises ValueError for a list of anything else."""
    if not value.startswith("["):
        return (value,)
    try:
        return msgspec.json.decode(value, type=tuple[str, ...])
    except msgspec.DecodeError as error:
        raise ValueError("not a list of texts") from error


def flag(value: str) -> bool:
    """`True` or `False` as Python writes them.  Raises ValueError for anything else."""
    if value not in ("True", "False"):
        raise ValueError("not a flag")
    return value == "True"


# Those that the conventions name.
NAMED: Mapping[str, tuple[str, Callable[[str], AttributeValue]]] = MappingProxyType(
    {
        "request.temperature": ("gen_ai.request.temperature", float),
        "request.top_p": ("gen_ai.request.top_p", float),
        "request.top_k": ("gen_ai.request.top_k", int),
        "request.max_tokens": ("gen_ai.request.max_tokens", int),
        "request.frequency_penalty": ("gen_ai.request.frequency_penalty", float),
        "request.presence_penalty": ("gen_ai.request.presence_penalty", float),
        "request.seed": ("gen_ai.request.seed", int),
        "request.choice.count": (CHOICE_COUNT, int),
        "request.reasoning.level": ("gen_ai.request.reasoning.level", str),
        "request.previous_response.id": ("gen_ai.request.previous_response.id", str),
        "request.stop_sequences": (STOP_SEQUENCES, texts),
        "request.encoding_formats": (ENCODING_FORMATS, texts),
        "embeddings.dimension.count": (EMBEDDING_SIZE, int),
        "output.type": ("gen_ai.output.type", str),
        "realtime_session.id": (REALTIME_SESSION_ID, str),
        "response.system_fingerprint": ("openai.response.system_fingerprint", str),
    }
)
# Those under our own name that are no texts.
TYPED: Mapping[str, Callable[[str], AttributeValue]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("ratelimit.remaining_requests", "ratelimit.remaining_tokens", "gateway.retries"),
                *("gateway.fallbacks", "gateway.cache_age_s"),
                *("usage.seen_input_tokens", "usage.seen_output_tokens"),
                *("usage.seen_cached_tokens", "cache.stored_tokens", "document.bytes"),
                *("session.responses", "response.code_executions"),
            ),
            int,
        ),
        **dict.fromkeys(("provider_ms", "provider.load_ms", "response.byok_upstream_usd"), float),
        **dict.fromkeys(("response.code", "response.content_filter", "response.byok"), flag),
    }
)
TEXTS = frozenset(
    (
        *("request.service_tier", "request.speed", "request.thinking", "request.cached_content"),
        *("response.block_reason", "response.container_id", "response.provider"),
        *("response.refusal", "batch.state", "cache.expires_at", "provider_request_id"),
        *("gateway.cache_status", "gateway.upstream", "gateway.provider", "gateway.option"),
        *("gateway.deployment", "remote_host"),
    )
)
BATCH = "batch."  # how many items of a batch ended in which way, and its state
REFUSAL = "response.refusal"  # a flag, or the category in which a provider puts it


def facts(record: Record, *, openai: bool) -> dict[str, AttributeValue]:
    """The facts of `record`; `openai` says whether its provider has the `openai.` attributes."""
    found: dict[str, AttributeValue] = {}
    for key, text in record.attributes.items():
        if key not in CONTEXT_KEYS:
            found |= _fact(key, text, openai)
    if found.get(CHOICE_COUNT) == 1:
        del found[CHOICE_COUNT]  # the convention wants it only if it is not 1
    if found.get(OPENAI_REQUEST_TIER) == "auto":
        del found[OPENAI_REQUEST_TIER]
    return found


def _fact(key: str, text: str, openai: bool) -> Iterator[tuple[str, AttributeValue]]:
    ours = f"taximeter.{key}"
    if key.startswith(BAGGAGE):
        yield flat("taximeter.baggage.", key.removeprefix(BAGGAGE)), text
    elif key == "request.service_tier" and openai:
        yield OPENAI_REQUEST_TIER, text
    elif key == REFUSAL:
        yield ours, True
        if text != "True":
            yield f"{ours}_category", text
    else:
        name, convert = NAMED.get(key) or (ours, TYPED.get(key) or _of_batch(key))
        try:
            yield name, convert(text)
        except ValueError:
            yield ours, text


def _of_batch(key: str) -> Callable[[str], AttributeValue]:
    return int if key.startswith(BATCH) and key not in TEXTS else str


def flat(namespace: str, name: str) -> str:
    """`name` in a namespace, without dots in it: a name may not be a namespace too (`a`, `a.b`)."""
    return namespace + name.replace(".", "_")
