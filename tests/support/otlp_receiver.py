"""An OTLP receiver for tests: HTTP/protobuf and gRPC on loopback, with faults on demand."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep

import grpc
from aiohttp import web
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # no stubs
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
GRPC_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}


@dataclass
class Receiver:
    """What was received, and what to answer; `status` is an HTTP status in both protocols."""

    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    status: int = 200
    retry_after_s: int | None = None
    delay_s: float = 0.0
    span_s: float = 0.0  # how long each span of a request takes in addition
    rejected: int = 0
    failures: int = 0  # how many requests to answer with `status`
    after: int = 0  # how many requests to accept before that

    @property
    def spans(self) -> list[Span]:
        """All accepted spans, in order."""
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def fail(self, status: int, *, times: int = 1, after: int = 0) -> None:
        """Answer `times` requests with `status`, after accepting `after` more."""
        self.status, self.failures, self.after = status, times, after

    def take(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Accept a request, unless a failure is due."""
        self.headers.append(headers)
        if self.failures and not self.after:
            self.failures -= 1
            return False
        self.after = max(0, self.after - 1)
        self.sizes.append(len(body))
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        return True

    def busy_s(self, body: bytes) -> float:
        """How long a request takes."""
        return self.delay_s + (self.span_s * _size(body) if self.span_s else 0)

    def answer(self) -> bytes:
        response = ExportTraceServiceResponse()
        if self.rejected:
            response.partial_success.rejected_spans = self.rejected
            response.partial_success.error_message = "no room"
        return response.SerializeToString()


@dataclass(frozen=True)
class Tls:
    """Paths of a certificate for 127.0.0.1 and its key, PEM."""

    certificate: Path
    key: Path


class HttpServer:
    """Serves a receiver on `http://127.0.0.1:{port}/v1/traces`, or https with `tls`."""

    def __init__(self, receiver: Receiver, tls: Tls | None = None) -> None:
        self.receiver = receiver
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(tls.certificate, tls.key)
        self.endpoint = ""

    async def __aenter__(self) -> "HttpServer":
        app = web.Application(client_max_size=0)
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.endpoint = f"{'https' if self._tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        receiver = self.receiver
        body = await request.read()
        await asyncio.sleep(receiver.busy_s(body))
        if not receiver.take(body, {name.lower(): text for name, text in request.headers.items()}):
            wait = receiver.retry_after_s
            headers = {} if wait is None else {"retry-after": str(wait)}
            return web.Response(status=receiver.status, headers=headers, text="no")
        return web.Response(body=receiver.answer(), content_type="application/x-protobuf")


class GrpcServer:
    """Serves a receiver over gRPC on `http://127.0.0.1:{port}`, or https with `tls`.

    `message_bytes_max` limits a message; -1: no limit.
    """

    def __init__(
        self, receiver: Receiver, tls: Tls | None = None, *, message_bytes_max: int = -1
    ) -> None:
        self.receiver = receiver
        handler = grpc.method_handlers_generic_handler(
            SERVICE, {"Export": grpc.unary_unary_rpc_method_handler(self._take)}
        )
        self._threads = ThreadPoolExecutor(2)
        limit = ("grpc.max_receive_message_length", message_bytes_max)
        self._server = grpc.server(self._threads, options=[limit])
        self._server.add_generic_rpc_handlers((handler,))
        if tls:
            pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
            credentials = grpc.ssl_server_credentials([pair])
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        else:
            port = self._server.add_insecure_port("127.0.0.1:0")
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{port}"

    async def __aenter__(self) -> "GrpcServer":
        self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._server.stop(0.1).wait)
        self._threads.shutdown()

    def _take(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        receiver = self.receiver
        sleep(receiver.busy_s(body))
        if not receiver.take(body, {key: str(text) for key, text in context.invocation_metadata()}):
            if receiver.retry_after_s is not None:
                info, status = RetryInfo(), Status()
                info.retry_delay.seconds = receiver.retry_after_s
                status.details.add().Pack(info)
                details = status.SerializeToString()
                context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(GRPC_CODES[receiver.status], "no")
        return receiver.answer()


def _size(body: bytes) -> int:
    """How many spans a request has."""
    request = ExportTraceServiceRequest.FromString(body)
    scopes = (scope for resource in request.resource_spans for scope in resource.scope_spans)
    return sum(len(scope.spans) for scope in scopes)


def plain(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """Protobuf attributes as Python values."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, str(kind))
