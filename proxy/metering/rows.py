"""One exchange and its charge as one flat record.  Pure."""

from collections.abc import Container, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from exporters.otel.trace import CALL_PARENT, Trace, attempt_of, child_of, stored_at, trace_of
from exporters.receipt import Facts, facts
from exporters.record import EPOCH, Record, nine_places, rounded
from pricing import Meter, Origin, Subcall, Usage
from pricing.cause import texts
from pricing.usage import INPUT_METERS, OUTPUT_METERS, Quantity
from proxy.clients import client
from proxy.exchange import Exchange, GatewayNote, Outcome
from proxy.gateway.limits import retry_after_s
from proxy.metering.attempts import ends_call, fault_of
from proxy.metering.receipts import Basis, Priced, receipt
from proxy.settings.config import Config

ERROR_MESSAGE_MAX = 500  # characters of a provider's own error text
# Tags that have a column; any other stays in the map.
TAG_COLUMNS: Mapping[str, str] = {
    "project": "project",
    "environment": "environment",
    "team": "team",
    "feature": "feature",
    "user": "user_id",
    "user-id": "user_id",
    "session": "session_id",
    "session-id": "session_id",
    "prompt-name": "prompt_name",
    "prompt-version": "prompt_version",
}
PROBES = frozenset({"HEAD", "OPTIONS"})  # methods that ask for no content
SERVER_ERRORS = 500  # and above
_ORIGINS = tuple(Origin)
_CACHE_READS = frozenset(meter for meter in Meter if meter.value.startswith("cache_read"))
_CACHE_WRITES = frozenset(meter for meter in Meter if meter.value.startswith("cache_write"))
# The columns into which a cost is divided, with the meters of each; every other meter is "other".
_PARTS: Mapping[str, frozenset[Meter]] = {
    "cost_input_usd": INPUT_METERS - _CACHE_READS - _CACHE_WRITES,
    "cost_output_usd": OUTPUT_METERS,
    "cost_cache_read_usd": _CACHE_READS,
    "cost_cache_write_usd": _CACHE_WRITES,
    "cost_other_usd": frozenset(),
}
_PART_OF = dict.fromkeys(Meter, "cost_other_usd") | {
    meter: column for column, meters in _PARTS.items() for meter in meters
}
RETRY_HEADER = "x-stainless-retry-count"  # the OpenAI and Anthropic SDKs count their own retries


def outcome_of(exchange: Exchange) -> Outcome:
    """How the call ended, from the view of a bill.

    If a caller leaves or a relay dies after the final event, the call is complete: openai-python
    closes the connection right after `[DONE]`.
    """
    ended, reading = exchange.ended.outcome, exchange.reading
    if exchange.head is None:
        return ended
    if exchange.begun.method in PROBES and exchange.head.status < SERVER_ERRORS:
        return Outcome.OK  # Claude Code asks HEAD / whether we are there, and any answer is a yes
    if exchange.head.status >= 400:
        return Outcome.HTTP_ERROR
    if reading.error_type:
        return Outcome.STREAM_ERROR
    if ended in (Outcome.CLIENT_GONE, Outcome.INTERRUPTED) and reading.complete:
        return Outcome.OK
    return ended


def total_usage(subcalls: Sequence[Subcall]) -> dict[Meter, Quantity]:
    """Quantities by meter over all parts of a call."""
    if len(subcalls) == 1:
        return dict(subcalls[0].usage.quantities)
    total: dict[Meter, Quantity] = {}
    for subcall in subcalls:
        for meter, quantity in subcall.usage.quantities.items():
            total[meter] = total.get(meter, 0) + quantity
    return total


def usage_origin(subcalls: Sequence[Subcall]) -> Origin:
    """The worst origin of any part: one guess makes the total a guess."""
    return max((s.usage.origin for s in subcalls), key=_ORIGINS.index, default=Origin.NONE)


def row(
    exchange: Exchange,
    priced: Priced,
    subcalls: Sequence[Subcall],
    basis: Basis,
    config: Config,
) -> Record:
    """The record of a call.  Raises ValueError for a cost that no call can have."""
    headers = exchange.begun.by_name
    above = _above(exchange, headers, config)
    trace = _trace(exchange, above)
    times, used = _times(exchange), _usage(subcalls)
    given = facts(exchange.begun.wall_ns // 1000, times["duration_us"], used["usage"])
    made = Record(
        **_identity(exchange, config, headers, trace),
        **_answer(exchange, trace),
        **used,
        **price_fields(priced, subcalls, basis, given),
        **times,
        reported_usd=rounded(priced.charge.reported_usd),
    )
    return _with_call(made, above, config) if exchange.begun.gateway else made


def _above(exchange: Exchange, headers: Mapping[str, str], config: Config) -> Trace:
    """The span of what the call is a part of: a socket, a client's call at the gateway, itself."""
    note = exchange.begun.gateway
    whole = note.request_id if note else exchange.socket_id or exchange.begun.call_id
    return trace_of(headers, whole, config.otlp.incoming, config.otlp.baggage)


def _trace(exchange: Exchange, above: Trace) -> Trace:
    """As its row keeps it; that of a response or of an attempt is below the span of the whole."""
    own, socket = exchange.begun.call_id, exchange.socket_id
    if exchange.begun.gateway:
        found = attempt_of(above, own)
    else:
        found = child_of(above, own) if socket and socket != own else above
    if socket == own or exchange.ended.outcome is Outcome.REFUSED:
        return found  # other tables keep ids in full
    return stored_at(found, own)


def _with_call(record: Record, above: Trace, config: Config) -> Record:
    """How an attempt failed; and of the last of a client's call, what that call's span is below."""
    record = msgspec.structs.replace(record, fault=fault_of(record))
    route = config.gateway.routes.get(record.route)
    if not ends_call(record, retry_ambiguous=route is not None and route.retry_ambiguous):
        return record
    more = {**record.attributes, CALL_PARENT: above.parent_span_id}
    return msgspec.structs.replace(record, attributes=more)


def _identity(
    exchange: Exchange, config: Config, headers: Mapping[str, str], trace: Trace
) -> dict[str, Any]:
    """Who called which provider, and the ids of the call."""
    begun = exchange.begun
    tags = dict(begun.tags)
    columns = {column: tags.pop(tag) for tag, column in TAG_COLUMNS.items() if tag in tags}
    columns.setdefault("session_id", exchange.reading.session_id)
    provider = config.providers.get(begun.provider)
    retries = headers.get(RETRY_HEADER, "")
    return {
        **columns,
        "ts_us": begun.wall_ns // 1000,
        "call_id": begun.call_id,
        "socket_id": exchange.socket_id,
        "trace_id": trace.trace_id,
        "span_id": trace.span_id,
        "parent_span_id": trace.parent_span_id,
        "key_id": config.key_names.get(begun.key_id, begun.key_id),
        "provider": begun.provider,
        "upstream": urlsplit(begun.upstream).netloc.rpartition("@")[2],
        "credential_kind": begun.credential_kind,
        "in_flight": begun.in_flight,
        "region": provider.region if provider else "",
        "client": client(headers),
        "attempt": min(int(retries) + 1, 255) if retries.isdecimal() else 1,
        "request_bytes": exchange.ended.request_bytes,
        "response_bytes": exchange.ended.response_bytes,
        "dropped_bytes": exchange.ended.dropped_bytes,
        "tags": tags,
        "node": config.node,
        "source": exchange.source,
        "blocked_by": exchange.ended.blocked_by,
        **_gateway(begun.gateway),
    }


def _gateway(note: GatewayNote | None) -> dict[str, Any]:
    """What the gateway says of its attempt, which it counts itself."""
    if note is None:
        return {}
    facts = msgspec.structs.asdict(note)
    facts["route_reason"] = facts.pop("reason")
    return facts


def _answer(exchange: Exchange, trace: Trace) -> dict[str, Any]:
    """What came back, and how it ended."""
    reading = exchange.reading
    outcome = outcome_of(exchange)
    error = reading.error_type or exchange.ended.error
    if not error and outcome is Outcome.HTTP_ERROR and exchange.head:
        error = str(exchange.head.status)
    return {
        "endpoint": reading.endpoint,
        "operation": reading.operation.value,
        "request_model": reading.request_model,
        "response_model": reading.response_model,
        "response_id": reading.response_id,
        "service_tier": reading.service_tier,
        "stream": reading.stream,
        "http_status": exchange.head.status if exchange.head else 0,
        "outcome": outcome.value,
        "error_type": "" if outcome is Outcome.OK else error or outcome.value,
        "error_message": reading.error_message[:ERROR_MESSAGE_MAX],
        "finish_reason": ",".join(reading.finish_reasons),
        "tool_calls": reading.tool_calls,
        "retry_after_s": _asked_to_wait(exchange),
        "attributes": {
            **{name: str(value) for name, value in reading.attributes.items()},
            **trace.attributes,
        },
    }


def _asked_to_wait(exchange: Exchange) -> float | None:
    """The seconds after which its answer asks to try again; None: it does not ask."""
    if exchange.head is None:
        return None
    after_ns = exchange.duration_ns if exchange.first_byte_ns is None else exchange.first_byte_ns
    at = EPOCH + timedelta(microseconds=(exchange.begun.wall_ns + after_ns) // 1000)
    said = retry_after_s(exchange.head.by_name, at)
    return exchange.reading.retry_after_s if said is None else said


def _usage(subcalls: Sequence[Subcall]) -> dict[str, Any]:
    """Quantities: the partition and the inclusive totals, which are None if usage is unknown."""
    usage = total_usage(subcalls)
    origin = usage_origin(subcalls)
    known = origin is not Origin.NONE
    totals = Usage(usage, origin)
    return {
        "usage": {str(meter): Decimal(quantity) for meter, quantity in usage.items()},
        "usage_origin": origin.value,
        "input_tokens_total": totals.input_tokens if known else None,
        "output_tokens_total": totals.output_tokens if known else None,
        "cache_read_tokens": _sum(usage, _CACHE_READS),
        "cache_write_tokens": _sum(usage, _CACHE_WRITES),
        "reasoning_tokens": int(usage.get(Meter.OUTPUT_REASONING, 0)),
    }


def _sum(usage: Mapping[Meter, Quantity], meters: Container[Meter]) -> int:
    return sum([int(n) for meter, n in usage.items() if meter in meters])


def price_fields(
    priced: Priced, subcalls: Sequence[Subcall], basis: Basis, given: Facts
) -> dict[str, Any]:
    """The price fields of a record; dollars rounded once, parts None if the sum is.

    `given` is what the record says itself, which its receipt need not repeat.
    """
    charge, listed = priced.charge, priced.listed
    parts = dict.fromkeys(_PARTS, Decimal(0))
    for line in charge.lines:
        parts[_PART_OF[line.meter]] += line.usd
    known = charge.usd is not None
    return {
        "cost_usd": rounded(charge.usd),
        **{name: rounded(usd) if known else None for name, usd in parts.items()},
        "cost_status": charge.status.value,
        "tariff": charge.tariff,
        "reasons": texts(charge.reasons),
        "receipt": receipt(priced, subcalls, basis, given),
        "counts": {name: nine_places(Decimal(n)) for name, n in charge.counts.items() if n},
        "list_usd": rounded(listed.usd),
        "list_status": listed.status.value,
        "saved_cache_usd": rounded(charge.saved_cache_usd),
        "saved_batch_usd": rounded(charge.saved_batch_usd),
    }


def _times(exchange: Exchange) -> dict[str, Any]:
    """Microseconds since the call began; None for events that did not happen."""
    timing, ended = exchange.reading.timing, exchange.ended
    provider_ms = exchange.reading.attributes.get("provider_ms")
    return {
        "duration_us": exchange.duration_ns // 1000,
        "first_byte_us": _us(exchange.first_byte_ns),
        "first_token_us": _us(timing.first_token_ns),
        "first_visible_us": _us(timing.first_visible_ns),
        "gap_p50_us": timing.gap_p50_us,
        "gap_p95_us": timing.gap_p95_us,
        "gap_max_us": timing.gap_max_us,
        "overhead_us": ended.overhead_us,
        "caller_wait_us": ended.caller_wait_us,
        "provider_us": round(provider_ms * 1000) if isinstance(provider_ms, int | float) else None,
    }


def _us(ns: int | None) -> int | None:
    return None if ns is None else ns // 1000
