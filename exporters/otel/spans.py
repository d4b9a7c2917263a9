"""Sends one span per record over OTLP.

The span is built after the call from the record alone, so a record that is sent again gives the
same span.  Nothing is queued here: the caller of `export` keeps records until they are accepted.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from time import monotonic
from types import MappingProxyType
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from exporters.otel import client_call
from exporters.otel.otlp import RetryAfterError, sender
from exporters.otel.pace import Pace
from exporters.otel.semconv import (
    PROFILES,
    SCHEMAS,
    SERVICE_NAME,
    SERVICE_VERSION,
    Profile,
    attributes,
    failed,
    span_name,
)
from exporters.otel.target import GRPC, Target, from_environment
from exporters.otel.trace import (
    CALL_PARENT,
    LINK_SPAN_ID,
    LINK_TRACE_ID,
    STATE,
    Sampler,
    ids_of,
)
from exporters.record import Batch, PermanentError, Record, SlowError, TransientError

log = logging.getLogger(__name__)

GRPC_BYTES_MAX = 4 * 1024 * 1024 - 64 * 1024  # gRPC servers accept 4 MiB, headers included
HTTP_BYTES_MAX = 4 * 1024 * 1024  # collectors accept 20 MiB; small requests are cheaper to repeat
BYTES_LIMIT = 64 * 1024 * 1024  # above it the official exporters refuse to send
RETRY_AFTER_S_MAX = 300.0
SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Otel:
    """Sends spans to one OTLP receiver.

    `rejected` counts spans that the receiver refused in a partial success, which are not resent.
    `unsampled` counts those that the sampler dropped.
    """

    name = "otel"

    def __init__(
        self,
        target: Target,
        *,
        profile: Profile = "compat",
        names: Mapping[str, str] = MappingProxyType({}),
        sampler: Sampler | None = None,
        resource: Resource | None = None,
        bytes_max: int = 0,
    ) -> None:
        """`bytes_max` limits one request before compression; 0 means the protocol's own limit."""
        self.rejected = self.unsampled = 0
        self._profile = profile
        self._names = names
        self._sampler = sampler or Sampler()
        self._resource = resource or resource_of(SCHEMAS[profile])
        self._scope = scope(SCHEMAS[profile])
        self._pace = Pace()
        usual = GRPC_BYTES_MAX if target.protocol == GRPC else HTTP_BYTES_MAX
        self._bytes_max = min(bytes_max or usual, BYTES_LIMIT)
        # One thread: encoding takes 0.3 ms a span and must not hold up the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="otel")
        self._sender = sender(target, self._thread)
        self._place = target.place
        self._wait_until = 0.0  # monotonic
        self._token, self._sent = "", 0  # the current batch, and how many of its spans are sent

    async def export(self, batch: Batch[Record]) -> None:
        """See `Destination.export`.  Takes at most the timeout per request of the batch.

        After a failure, the same batch continues with the spans that were not accepted.
        """
        if (wait := self._wait_until - monotonic()) > 0:
            raise TransientError(f"{self._place}: retrying in {wait:.0f} s, as the receiver asked")
        loop = asyncio.get_running_loop()
        spans, left_out = await loop.run_in_executor(self._thread, self._spans, batch.records)
        if batch.token != self._token:
            self._token, self._sent = batch.token, 0
            self.unsampled += left_out
        while self._sent < len(spans):
            following = spans[self._sent : self._sent + self._pace.size]
            request, size = await loop.run_in_executor(self._thread, self._encode, following)
            await self._send(request, size)

    async def _send(self, request: bytes, size: int) -> None:
        """Send a request of `size` spans, and count what became of them."""
        try:
            refused = await self._sender.send(request)
        except RetryAfterError as error:
            self._wait_until = monotonic() + min(error.retry_after_s, RETRY_AFTER_S_MAX)
            raise
        except SlowError as error:
            if size == 1:
                raise TransientError(str(error)) from error
            self._pace.halve(size)
            raise
        self._pace.grow()
        self._sent += size
        self.rejected += refused
        if refused:
            log.error("%s permanently rejected %d spans.", self._place, refused)

    async def close(self) -> None:
        """See `Destination.close`."""
        await self._sender.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _spans(self, records: Sequence[Record]) -> tuple[list[ReadableSpan], int]:
        """The spans to send, and how many records the sampler dropped."""
        try:
            kept = [record for record in records if self._sampler.keeps(record)]
            spans = [self._span(record) for record in kept if not record.is_given_up]
            spans += [self._client_call(one) for one in kept if client_call.ends_call(one)]
        except (ValueError, TypeError, UnicodeError) as error:
            raise _unencodable(error) from error
        return spans, len(records) - len(kept)

    def _encode(self, spans: Sequence[ReadableSpan]) -> tuple[bytes, int]:
        """A serialized request of at most `bytes_max`, and how many of the first spans it holds."""
        try:
            encoded = encode_spans(spans).SerializeToString()
        except (ValueError, TypeError, UnicodeError) as error:
            raise _unencodable(error) from error
        if len(encoded) <= self._bytes_max:
            return encoded, len(spans)
        if len(spans) == 1:
            raise PermanentError(
                f"a span of {len(encoded)} bytes exceeds the limit of {self._bytes_max}"
            )
        return self._encode(spans[: len(spans) // 2])

    def _span(self, record: Record) -> ReadableSpan:
        return self._made(
            record,
            (ids_of(record).span_id, record.parent_span_id),
            name=span_name(record),
            attributes=attributes(record, self._profile, self._names),
            kind=SpanKind.CLIENT,
            start_time=record.ts_us * 1000,
        )

    def _client_call(self, record: Record) -> ReadableSpan:
        """The span above a gateway's attempts, from the last record of them."""
        return self._made(
            record,
            (record.parent_span_id, record.attributes[CALL_PARENT]),
            name=client_call.name(record),
            attributes=client_call.attributes(record),
            kind=SpanKind.SERVER,
            start_time=client_call.start_us(record) * 1000,
        )

    def _made(self, record: Record, ids: tuple[str, str], **more: Any) -> ReadableSpan:
        """A span with these ids, its own and its parent's, which ends when the record does."""
        span_id, parent_id = ids
        state = _state(record.attributes.get(STATE, ""))
        trace_id = ids_of(record).trace_id
        linked = record.attributes.get(LINK_TRACE_ID, ""), record.attributes.get(LINK_SPAN_ID, "")
        link = _context(*linked, remote=True)
        return ReadableSpan(
            context=_context(trace_id, span_id, remote=False, state=state),
            parent=_context(trace_id, parent_id, remote=True, state=state),
            resource=self._resource,
            links=() if link is None else (Link(link),),
            status=Status(StatusCode.ERROR if failed(record) else StatusCode.UNSET),
            end_time=(record.ts_us + record.duration_us) * 1000,
            instrumentation_scope=self._scope,
            **more,
        )


def from_config(
    *,
    endpoint: str = "",
    protocol: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    profile: str = "compat",
    names: Mapping[str, str] = MappingProxyType({}),
    environ: Mapping[str, str] = os.environ,
) -> Otel | None:
    """The exporter that configuration and environment describe; None if neither names an endpoint.

    The arguments are those of `[otlp]` in the configuration and override `OTEL_*`; `names` maps
    configured providers to `gen_ai.provider.name`.  Raises ValueError saying what to correct.
    """
    if profile not in PROFILES:
        raise ValueError(f"otlp.profile: expected one of {', '.join(PROFILES)}, got {profile!r}")
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or (not endpoint and environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none"):
        return None
    target = from_environment(environ, endpoint=endpoint, protocol=protocol, headers=headers)
    if target is None:
        return None
    sampler = sampler_of(environ)
    try:
        return Otel(target, profile=profile, names=names, sampler=sampler)
    except OSError as error:
        raise ValueError(f"OTLP certificate or key: {error}") from error


def resource_of(schema: str = "") -> Resource:
    """The sender: `taximeter` and its version, unless OTEL_SERVICE_NAME or _RESOURCE_ATTRIBUTES."""
    own = Resource({SERVICE_NAME: "taximeter", SERVICE_VERSION: _version()}, schema)
    return Resource.create().merge(own).merge(OTELResourceDetector().detect())


def scope(schema: str = "") -> InstrumentationScope:
    """The source of the telemetry: this program, its version and the conventions it follows."""
    return InstrumentationScope("taximeter", _version(), schema)


def sampler_of(environ: Mapping[str, str]) -> Sampler:
    """The sampler that OTEL_TRACES_SAMPLER names; an unknown one is the default, with a warning."""
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    try:
        return Sampler.named(name or Sampler.DEFAULT, argument)
    except ValueError as error:
        log.warning("%s; using %s instead.", error, Sampler.DEFAULT)
        return Sampler()


def _context(
    trace_id: str, span_id: str, *, remote: bool, state: TraceState | None = None
) -> SpanContext | None:
    """The context of these ids; None if one is missing."""
    if not trace_id or not span_id:
        return None
    ids = int(trace_id, 16), int(span_id, 16)
    return SpanContext(*ids, is_remote=remote, trace_flags=SAMPLED, trace_state=state)


def _state(header: str) -> TraceState:
    """The members of a valid `tracestate`."""
    pairs = (member.partition("=") for member in header.split(",") if member)
    return TraceState([(name, value) for name, _, value in pairs])


def _unencodable(error: Exception) -> PermanentError:
    return PermanentError(f"cannot encode the spans: {type(error).__name__}")


def _version() -> str:
    try:
        return version("taximeter")
    except PackageNotFoundError:  # run from a checkout
        return "0"
