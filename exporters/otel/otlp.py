"""Sends bytes to an OTLP receiver over HTTP or gRPC: one attempt, and its result in detail.

The official exporters retry by themselves and reduce a response to success or failure.  We need
more: whether to retry, when (`Retry-After`), and how much a partial success refused.  So these
senders send what the official encoder produced.
Protocol: https://opentelemetry.io/docs/specs/otlp/, 1.9.
"""

import asyncio
import gzip
import ssl
from collections.abc import Callable
from concurrent.futures import Executor
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # no stubs
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from exporters.otel.target import GRPC, Target, with_scheme
from exporters.record import PermanentError, SlowError, TransientError

ANSWER_BYTES_MAX = 64 * 1024
GRPC_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
# The data itself is refused.  A wrong key or address is transient: somebody has to correct it, and
# the spans wait until then.
PERMANENT_CODES = frozenset({grpc.StatusCode.INVALID_ARGUMENT})
# How servers report that a message is too large, under a code that otherwise means "retry later":
# grpc (C++, Go), grpc-java.  Halves of it may be small enough.
TOO_LARGE = ("larger than max", "exceeds maximum size")
PERMANENT_STATUSES = frozenset({400, 413, 422})
SLOW_STATUSES = frozenset({408, 504})  # a timeout of the receiver, or of a proxy in front of it


class RetryAfterError(TransientError):
    """The receiver asked not to be called again for `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Sender(Protocol):
    """Sends one serialized export request of the target's signal at a time."""

    async def send(self, request: bytes) -> int:
        """Send, and return how many spans or points were refused.

        Raises TransientError or PermanentError.
        """

    async def close(self) -> None:
        """Close connections."""


def sender(target: Target, thread: Executor) -> Sender:
    """The sender for the target's protocol.  Blocking calls run on `thread`."""
    return GrpcSender(target, thread) if target.protocol == GRPC else HttpSender(target)


def retry_after_s(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, in either form (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None


def _refused(answer: bytes) -> int:
    """How many items a partial success refused; 0 if the response is unreadable.

    The responses of all signals have the same fields under the same numbers.
    """
    response = ExportTraceServiceResponse()
    try:
        response.ParseFromString(answer)
    except DecodeError:
        return 0
    return int(response.partial_success.rejected_spans)


class HttpSender:
    """OTLP over HTTP with binary protobuf."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | bool = True
        if target.certificate or target.client_certificate:
            self._tls = ssl.create_default_context(cafile=target.certificate or None)
            if target.client_certificate:
                self._tls.load_cert_chain(target.client_certificate, target.client_key or None)
        url = urlsplit(target.endpoint)
        bypass = proxy_bypass(url.hostname or "")
        self._proxy = None if bypass else getproxies().get(url.scheme)

    async def send(self, request: bytes) -> int:
        """See `Sender.send`."""
        target = self._target
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=target.timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        headers = {**target.headers, "content-type": "application/x-protobuf"}
        if target.compression:
            headers["content-encoding"] = "gzip"
            request = await asyncio.to_thread(gzip.compress, request)
        try:
            async with self._session.post(
                target.endpoint,
                data=request,
                headers=headers,
                ssl=self._tls,
                proxy=self._proxy,
                allow_redirects=False,  # a redirect would send the keys to another host
            ) as answer:
                if answer.status == 200:
                    return _refused(await answer.content.read(ANSWER_BYTES_MAX))
                status, wait = answer.status, retry_after_s(answer.headers.get("retry-after"))
        except TimeoutError:
            raise SlowError(f"{target.place}: no answer within {target.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise TransientError(f"{target.place}: {type(error).__name__}") from None
        if status in SLOW_STATUSES:
            raise SlowError(f"{target.place}: HTTP {status}")
        if status == 429 or status >= 500:
            if wait is not None:
                raise RetryAfterError(f"{target.place}: HTTP {status}", wait)
            raise TransientError(f"{target.place}: HTTP {status}")
        if 200 <= status < 300:
            return 0
        if status in PERMANENT_STATUSES:
            raise PermanentError(f"{target.place}: HTTP {status}")
        raise TransientError(f"{target.place}: HTTP {status}; check the endpoint and its headers")

    async def close(self) -> None:
        """See `Sender.close`."""
        if self._session is not None:
            await self._session.close()


class GrpcSender:
    """OTLP over gRPC.  The blocking client runs on the exporter's thread."""

    def __init__(self, target: Target, thread: Executor) -> None:
        self._target = target
        self._thread = thread
        url = urlsplit(with_scheme(target.endpoint))
        plain = url.scheme == "http" or (not url.scheme and target.insecure)
        compression = grpc.Compression.Gzip if target.compression else None
        if plain:
            self._channel = grpc.insecure_channel(url.netloc, compression=compression)
        else:
            files = (target.certificate, target.client_key, target.client_certificate)
            pem = (Path(name).read_bytes() if name else None for name in files)
            credentials = grpc.ssl_channel_credentials(*pem)
            self._channel = grpc.secure_channel(url.netloc, credentials, compression=compression)
        # Without serializers: bytes in, bytes out.
        self._export: Callable[..., bytes] = self._channel.unary_unary(GRPC_METHODS[target.signal])

    async def send(self, request: bytes) -> int:
        """See `Sender.send`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._send, request)

    def _send(self, request: bytes) -> int:
        target = self._target
        try:
            answer = self._export(
                request, timeout=target.timeout_s, metadata=tuple(target.headers.items())
            )
        except grpc.RpcError as error:
            code = error.code()
            message = f"{target.place}: gRPC {code.name}"
            too_large = any(words in (error.details() or "") for words in TOO_LARGE)
            if code in PERMANENT_CODES or too_large:
                raise PermanentError(message) from None
            metadata = {item.key: item.value for item in error.trailing_metadata() or ()}
            if (wait := _retry_info_s(metadata.get("grpc-status-details-bin"))) is not None:
                raise RetryAfterError(message, wait) from None
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise SlowError(message) from None
            raise TransientError(message) from None
        return _refused(answer)

    async def close(self) -> None:
        """See `Sender.close`."""
        self._channel.close()


def _retry_info_s(details: object) -> float | None:
    """The delay in a RetryInfo in a serialized google.rpc.Status, if there is one."""
    if not isinstance(details, bytes):
        return None
    info = RetryInfo()
    try:
        if any(detail.Unpack(info) for detail in Status.FromString(details).details):
            return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    except DecodeError:
        return None
    return None
