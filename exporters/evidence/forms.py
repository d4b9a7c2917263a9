"""Which columns the canonical text of each kind of row has, by form; all of this is fixed.

`calls` and `contents` give their texts in the order of these lists.  Whoever adds a column to one
of the tables adds a form with the next number, for calls together with `schema_version`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_CALL = (
    *("ts", "call_id", "trace_id", "span_id", "parent_span_id", "session_id", "project"),
    *("environment", "team", "feature", "user_id", "key_id", "prompt_name", "prompt_version"),
    *("provider", "upstream", "region", "endpoint", "operation", "request_model"),
    *("response_model", "response_id", "service_tier", "stream", "attempt", "http_status"),
    *("outcome", "error_type", "error_message", "finish_reason", "usage", "usage_origin"),
    *("input_tokens_total", "output_tokens_total", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "cost_usd", "cost_input_usd", "cost_output_usd"),
    *("cost_cache_read_usd", "cost_cache_write_usd", "cost_other_usd", "reported_usd"),
    *("cost_status", "reasons", "tariff", "receipt", "duration_us", "first_byte_us"),
    *("first_token_us", "first_visible_us", "gap_p50_us", "gap_p95_us", "gap_max_us"),
    *("overhead_us", "caller_wait_us", "provider_us", "request_bytes", "response_bytes"),
    *("dropped_bytes", "tool_calls", "tags", "attributes", "node", "source", "schema_version"),
    *("counts", "credential_kind", "list_usd", "list_status", "socket_id"),
    *("counted_input_tokens", "counted_output_tokens", "client", "blocked_by", "request_id"),
    *("route", "route_version", "candidate", "propensity", "route_reason", "sticky"),
    *("translated", "losses"),
)
_CALL_2 = (*_CALL, "arm", "unit", "fault")
_CALL_3 = (*_CALL_2, "in_flight", "retry_after_s", "saved_cache_usd", "saved_batch_usd")
_SOCKET = (
    *("ts", "call_id", "trace_id", "span_id", "parent_span_id", "session_id", "project"),
    *("environment", "team", "feature", "user_id", "key_id", "provider", "upstream", "region"),
    *("endpoint", "operation", "request_model", "response_model", "http_status", "outcome"),
    *("error_type", "error_message", "reasons", "duration_us", "first_byte_us", "overhead_us"),
    *("caller_wait_us", "request_bytes", "response_bytes", "dropped_bytes", "tags"),
    *("attributes", "node", "source"),
)
_REFUSAL = (
    *("ts", "call_id", "trace_id", "session_id", "project", "environment", "team", "feature"),
    *("user_id", "key_id", "client", "provider", "upstream", "endpoint", "operation"),
    *("request_model", "stream", "attempt", "outcome", "error_type", "blocked_by"),
    *("request_bytes", "overhead_us", "tags", "node", "source"),
)
_CORRECTION = (
    *("ts", "call_id", "source", "revision", "at", "reason", "project", "environment", "team"),
    *("feature", "key_id", "provider", "operation", "request_model", "response_model"),
    *("outcome", "error_type", "old_cost_usd", "old_cost_input_usd", "old_cost_output_usd"),
    *("old_cost_cache_read_usd", "old_cost_cache_write_usd", "old_cost_other_usd"),
    *("old_cost_status", "old_counts", "cost_usd", "cost_input_usd", "cost_output_usd"),
    *("cost_cache_read_usd", "cost_cache_write_usd", "cost_other_usd", "cost_status"),
    *("reasons", "tariff", "receipt", "counts", "old_list_usd", "old_list_status", "list_usd"),
    *("list_status", "client", "user_id", "tags", "input_tokens_total", "output_tokens_total"),
)
_CORRECTION_2 = (
    *(*_CORRECTION, "old_saved_cache_usd", "old_saved_batch_usd"),
    *("saved_cache_usd", "saved_batch_usd"),
)
_CONTENT = (
    *("ts", "call_id", "source", "project", "environment", "team", "feature", "user_id"),
    *("session_id", "provider", "operation", "request_model", "response_model", "outcome"),
    *("request_cut", "response_cut", "output_cut", "redactions"),
)
_TEXTS = ("request", "response", "output")
_AUDIT = ("ts", "id", "node", "actor", "role", "action", "target", "before", "after")

_IDS = ("call_id", "id")
_BOOLS = ("stream", "translated", "request_cut", "response_cut", "output_cut")
_LISTS = ("reasons", "blocked_by", "losses")
_QUANTITIES = ("usage", "counts", "old_counts")
_MAPS = ("tags", "attributes", "redactions")
_INTS = (
    *("attempt", "http_status", "input_tokens_total", "output_tokens_total"),
    *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "tool_calls"),
    *("schema_version", "revision", "counted_input_tokens", "counted_output_tokens", "in_flight"),
)


@dataclass(frozen=True, slots=True)
class Form:
    """The columns of the row's text, and those of the content's."""

    row: tuple[str, ...]
    content: tuple[str, ...] = ()


# Kind → form → columns.
FORMS: Mapping[str, Mapping[int, Form]] = {
    "call": {1: Form(_CALL), 2: Form(_CALL_2), 3: Form(_CALL_3)},
    "socket": {1: Form(_SOCKET)},
    "refusal": {1: Form(_REFUSAL)},
    "correction": {1: Form(_CORRECTION), 2: Form(_CORRECTION_2)},
    "content": {1: Form(_CONTENT, _TEXTS)},
    "audit": {1: Form(_AUDIT)},
}
TABLES: Mapping[str, str] = {
    "call": "calls",
    "socket": "sockets",
    "refusal": "refusals",
    "correction": "corrections",
    "content": "contents",
    "audit": "audit",
}
# Where a column's value is in Python, if under another name.
_TS = {"ts": "ts_us"}
ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("call", "socket", "refusal", "content", "audit"), _TS),
}


def newest(kind: str) -> int:
    """The form of rows that are written now."""
    return max(FORMS[kind])


def type_of(column: str) -> str:
    """How a column is written; see `exporters.evidence.canonical`."""
    if column in ("ts", "at"):
        return "time"
    if column in ("propensity", "retry_after_s"):
        return "bits"
    if column.endswith("_usd"):
        return "money"
    if column in _INTS or column.endswith(("_us", "_bytes")):
        return "int"
    types = {"id": _IDS, "bool": _BOOLS, "list": _LISTS, "quantities": _QUANTITIES, "map": _MAPS}
    return next((name for name, columns in types.items() if column in columns), "text")
