"""Every OpenTelemetry name we use, and the attributes of a call's span.  Pure.

Two generations of the GenAI conventions are in use.  `compat` follows core v1.41.1, which nearly
every backend reads, and adds the newer names where they differ; `latest` follows only the
standalone semantic-conventions-genai v0.1.0.  Both have the status "development", so a golden test
pins the whole set.  Facts without a name there go under `taximeter.`; we add nothing to `gen_ai.`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from exporters.otel.client_call import of_attempt
from exporters.otel.facts import AttributeValue, facts, flat
from exporters.otel.modalities import UNKNOWN, parts
from exporters.record import Record

Profile = Literal["compat", "latest"]
PROFILES: tuple[Profile, ...] = ("compat", "latest")
SCHEMAS: Mapping[Profile, str] = MappingProxyType(
    {
        "compat": "https://opentelemetry.io/schemas/1.41.1",
        "latest": "https://opentelemetry.io/schemas/gen-ai/0.1.0",
    }
)

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
# Of semantic-conventions-genai after v0.1.0.
CONVERSATION_ID = "gen_ai.conversation.id"
PROMPT_NAME = "gen_ai.prompt.name"
PROMPT_VERSION = "gen_ai.prompt.version"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"  # CACHE_WRITE until v1.41
REASONING = "gen_ai.usage.reasoning.output_tokens"
# Not in a convention; OpenLIT, Bifrost and Langfuse read it as US dollars.  The draft's
# `gen_ai.usage.cost.amount` must never be sent with it: a name cannot also be a namespace.
USAGE_COST = "gen_ai.usage.cost"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
OPENAI_API_TYPE = "openai.api.type"
USER_ID = "user.id"
OUTPUT_TYPE = "gen_ai.output.type"
OPENAI_RESPONSE_TIER = "openai.response.service_tier"

SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"

API_TYPES = {"openai.chat": "chat_completions", "openai.responses": "responses"}
OPENAI = ("openai", "azure.ai.openai")  # providers that the `openai.` attributes are for
KNOWN_ORIGINS = ("reported", "counted")  # estimates never go under `gen_ai.usage.`
HTTPS_PORT = 443  # of an upstream that names no port
OUTPUT_TYPES = {"image_generation": "image", "speech": "speech"}  # by operation
# Usage → the end of its attribute by modality; the conventions have none for the other usages.
BY_MODALITY = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read.input": "cache_read.input_tokens",
}
# OpenAI's Responses end in a status; its finish reason by the words of all other dialects.
RESPONSES = "openai.responses"
FINISHES = {
    "completed": "stop",
    "incomplete": "length",
    "max_output_tokens": "length",
    "max_tokens": "length",
    "failed": "error",
}


def span_name(record: Record) -> str:
    """`{operation} {model}`, or the operation alone."""
    return f"{record.operation} {record.request_model}".strip() or "call"


def failed(record: Record) -> bool:
    """Whether the span's status is ERROR."""
    return record.outcome != "ok"


def provider_name(record: Record, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """`gen_ai.provider.name`; `names` maps configured providers to it where the two differ."""
    return names.get(record.provider) or record.provider


def error_type(record: Record) -> str | None:
    """`error.type` of a call that failed."""
    return (record.error_type or record.outcome or "_OTHER") if failed(record) else None


def tokens_known(record: Record) -> bool:
    """Whether its token counts may go under `gen_ai.` names: estimates may not."""
    known = record.usage_origin in KNOWN_ORIGINS and record.operation != "fetch_response"
    return known and record.input_tokens_total is not None


def attributes(
    record: Record,
    profile: Profile = "compat",
    names: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, AttributeValue]:
    """All attributes of the span of `record`; an unknown attribute is absent, never empty.

    `names` maps configured providers to `gen_ai.provider.name` where the two differ.
    """
    provider = provider_name(record, names)
    found: dict[str, AttributeValue | None] = {
        OUTPUT_TYPE: OUTPUT_TYPES.get(record.operation),
        **_ours(record),
        **facts(record, openai=provider in OPENAI),
        **_call(record, provider),
        **_usage(record, profile),
        **_cost(record, profile),
    }
    return {
        # OTLP carries 64 bits; a caller's larger seed must not cost us the span.
        name: str(value) if isinstance(value, int) and abs(value) >= 2**63 else value
        for name, value in found.items()
        if value is not None and value != ""
    }


def meter_name(meter: str) -> str:
    """Without dots in the meter: a name may not be a namespace too (`input`, `input.audio`)."""
    return flat("taximeter.meter.", meter)


def _call(record: Record, provider: str) -> dict[str, AttributeValue | None]:
    """The request, who served it and how it ended."""
    host, port = server(record.upstream)
    first = record.first_byte_us
    return {
        OPERATION_NAME: record.operation,
        PROVIDER_NAME: provider,
        REQUEST_MODEL: record.request_model,
        REQUEST_STREAM: record.stream or None,
        RESPONSE_MODEL: record.response_model,
        RESPONSE_ID: record.response_id,
        FINISH_REASONS: finish_reasons(record) or None,
        TIME_TO_FIRST_CHUNK: first / 1e6 if record.stream and first is not None else None,
        CONVERSATION_ID: record.session_id,
        USER_ID: record.user_id,
        PROMPT_NAME: record.prompt_name,
        PROMPT_VERSION: record.prompt_version,
        ERROR_TYPE: error_type(record),
        SERVER_ADDRESS: host,
        SERVER_PORT: port if host else None,
        OPENAI_API_TYPE: API_TYPES.get(record.endpoint) if provider in OPENAI else None,
        OPENAI_RESPONSE_TIER: record.service_tier if provider in OPENAI else None,
    }


def finish_reasons(record: Record) -> tuple[str, ...]:
    """Why each choice ended, in the words that the dialects share where a provider has its own."""
    reasons = tuple(record.finish_reason.split(",")) if record.finish_reason else ()
    if record.endpoint.startswith(RESPONSES):
        ended = {**FINISHES, "completed": "tool_calls"} if record.tool_calls else FINISHES
        reasons = tuple(ended.get(reason, reason) for reason in reasons)
    if record.stream and failed(record) and not reasons:
        reasons = ("error",)  # a stream cut before it gave a reason
    return reasons


def server(upstream: str) -> tuple[str, int]:
    """Host and port of `host[:port]` or `[v6]:port`; the default port is 443."""
    host, colon, port = upstream.rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.endswith("]")):
        return host.strip("[]"), int(port)
    return upstream.strip("[]"), HTTPS_PORT


def _usage(record: Record, profile: Profile) -> dict[str, AttributeValue | None]:
    """Inclusive totals: `input_tokens` includes cached tokens, `output_tokens` reasoning."""
    if not tokens_known(record):
        estimated = record.usage_origin == "estimated"
        return {
            "taximeter.usage.input_tokens": record.input_tokens_total if estimated else None,
            "taximeter.usage.output_tokens": record.output_tokens_total if estimated else None,
        }
    return {
        INPUT_TOKENS: record.input_tokens_total,
        OUTPUT_TOKENS: record.output_tokens_total,
        CACHE_READ: record.cache_read_tokens or None,
        CACHE_WRITE: record.cache_write_tokens or None,
        CACHE_CREATION: (record.cache_write_tokens or None) if profile == "compat" else None,
        REASONING: record.reasoning_tokens or None,
        **(_modalities(record) if profile == "latest" else {}),
    }


def _modalities(record: Record) -> dict[str, AttributeValue | None]:
    """Tokens by modality, where it is known.

    Only in `latest`: receivers of the older conventions add up every name below `gen_ai.usage.`.
    """
    return {
        f"gen_ai.usage.{modality}.{BY_MODALITY[kind]}": count
        for kind, modality, count in parts(record)
        if modality != UNKNOWN and kind in BY_MODALITY and count
    }


def _cost(record: Record, profile: Profile) -> dict[str, AttributeValue | None]:
    """US dollars as doubles: OTLP has no decimals.  An unknown cost has a status and no amount."""
    amounts = {
        "taximeter.cost.total": record.cost_usd,
        "taximeter.cost.input": record.cost_input_usd,
        "taximeter.cost.output": record.cost_output_usd,
        "taximeter.cost.cache_read": record.cost_cache_read_usd,
        "taximeter.cost.cache_write": record.cost_cache_write_usd,
        "taximeter.cost.other": record.cost_other_usd,
        "taximeter.cost.reported": record.reported_usd,
        "taximeter.cost.list": record.list_usd,
        USAGE_COST: record.cost_usd if profile == "compat" else None,
    }
    return {
        **{name: None if usd is None else float(usd) for name, usd in amounts.items()},
        "taximeter.cost.currency": "USD" if record.cost_usd is not None else None,
        "taximeter.cost.status": record.cost_status,
        "taximeter.cost.list_status": record.list_status,
        "taximeter.cost.price_version": record.tariff,
        "taximeter.cost.reasons": tuple(record.reasons) or None,
    }


def _ours(record: Record) -> dict[str, AttributeValue | None]:
    """Attributes that no convention names."""
    seconds = {
        "taximeter.time_to_first_token": record.first_token_us,
        "taximeter.time_to_first_visible_token": record.first_visible_us,
        "taximeter.time_between_chunks.p50": record.gap_p50_us,
        "taximeter.time_between_chunks.p95": record.gap_p95_us,
        "taximeter.time_between_chunks.max": record.gap_max_us,
        "taximeter.overhead": record.overhead_us,
        "taximeter.caller_wait": record.caller_wait_us,
        "taximeter.provider_time": record.provider_us,
    }
    return {
        **{flat("taximeter.tag.", name): value for name, value in record.tags.items()},
        **{meter_name(name): float(number) for name, number in record.usage.items()},
        **{name: None if us is None else us / 1e6 for name, us in seconds.items()},
        "taximeter.call.id": record.call_id,
        "taximeter.provider.name": record.provider,
        "taximeter.endpoint": record.endpoint,
        "taximeter.region": record.region,
        "taximeter.service_tier": record.service_tier,
        "taximeter.outcome": record.outcome,
        "taximeter.attempt": record.attempt,
        **of_attempt(record),
        "taximeter.http.status_code": record.http_status or None,
        "taximeter.usage.origin": record.usage_origin,
        "taximeter.tool_calls": record.tool_calls or None,
        "taximeter.request.bytes": record.request_bytes,
        "taximeter.response.bytes": record.response_bytes,
        "taximeter.dropped.bytes": record.dropped_bytes or None,
        "taximeter.project": record.project,
        "taximeter.environment": record.environment,
        "taximeter.team": record.team,
        "taximeter.feature": record.feature,
        "taximeter.user.id": record.user_id,
        "taximeter.key.id": record.key_id,
        "taximeter.credential.kind": record.credential_kind,
        "taximeter.node": record.node,
        "taximeter.client": record.client,
    }
