"""An OTLP collector that is down, slow, overloaded, failing, or accepts only part of an export."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import grpc
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from evaluation.standin.processes import Row
from trials.faults.audit import POLL_S, SETTLE_S, AuditResult, dispatched, settled
from trials.faults.callers import Callers, Stream
from trials.faults.stores import audit
from trials.faults.world import Served, World

Context = grpc.aio.ServicerContext[bytes, bytes]
SHORT = Stream(tokens=6, seconds=0.2)
TIMEOUT_S = 1.0  # of the exporter; its default is ten times that
BURST = 60  # simultaneous calls, so that some spans share an export
CALL_ID = "taximeter.call.id"
SMALL_BYTES = 8 * 1024  # of an export, at most: a few spans
TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
CODES = {429: grpc.StatusCode.RESOURCE_EXHAUSTED, 500: grpc.StatusCode.INTERNAL}
TOO_LARGE = "Received message larger than max"  # gRPC's own words


class Collector:
    """Receives spans on loopback; fails the next `times` requests as `kind` says."""

    def __init__(self, protocol: str = "http/protobuf") -> None:
        self.protocol = protocol
        self.spans: Counter[tuple[str, str]] = Counter()  # (call id, span id) → times received
        self.kind, self.times = "", 0
        self.faults = 0  # requests that it failed
        self.port = 0

    @property
    def table(self) -> str:
        """Its table in the configuration."""
        where = f'endpoint = "http://127.0.0.1:{self.port}"'
        return f'[otlp]\n{where}\nprotocol = "{self.protocol}"\n'

    async def take(self, body: bytes) -> tuple[int, bytes]:
        """Receive one export; returns an HTTP status and a body."""
        kind = self.kind if self.times > 0 else ""
        if kind == "small" and len(body) <= SMALL_BYTES:
            kind = ""
        if kind:
            self.times -= 1
            self.faults += 1
        answer = ExportTraceServiceResponse()
        if kind == "partial":
            answer.partial_success.rejected_spans = 1
            answer.partial_success.error_message = "no room"
        status = {"429": 429, "500": 500, "small": 413}.get(kind, 200)
        if status == 200:
            self._keep(body)
        if kind == "slow":  # it has the spans, but answers too late
            await asyncio.sleep(1.2 * TIMEOUT_S)
        return status, answer.SerializeToString()

    def _keep(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    values = {a.key: a.value.string_value for a in span.attributes}
                    self.spans[values.get(CALL_ID, ""), span.span_id.hex()] += 1

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve within the block; again, on the same port."""
        serving = self._grpc() if self.protocol == "grpc" else self._http()
        async with serving:
            yield

    @asynccontextmanager
    async def _http(self) -> AsyncIterator[None]:
        app = web.Application(client_max_size=0)
        app.router.add_post("/v1/traces", self._take_http)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = int(runner.addresses[0][1])
        try:
            yield
        finally:
            await runner.cleanup()

    async def _take_http(self, request: web.Request) -> web.Response:
        status, answer = await self.take(await request.read())
        headers = {"retry-after": "1"} if status == 429 else {}
        return web.Response(
            status=status, body=answer, headers=headers, content_type="application/x-protobuf"
        )

    @asynccontextmanager
    async def _grpc(self) -> AsyncIterator[None]:
        export: Any = grpc.unary_unary_rpc_method_handler(self._take_grpc)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(TRACES, {"Export": export}),)
        )
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(0.1)

    async def _take_grpc(self, body: bytes, context: Context) -> bytes:
        status, answer = await self.take(body)
        if status == 413:  # as with a small grpc.max_receive_message_length
            await context.abort(CODES[429], f"{TOO_LARGE} ({len(body)} vs. {SMALL_BYTES})")
        if status != 200:
            await context.abort(CODES[status])
        return answer


FAULTS = (
    ("slow", "answers after the timeout"),
    ("429", "answers 429 with Retry-After"),
    ("500", "answers 500"),
    ("partial", "takes a part and says so"),
    ("small", "takes small requests only (413)"),
)
FAULTS_GRPC = (
    ("slow", "answers after the timeout"),
    ("429", "answers RESOURCE_EXHAUSTED"),
    ("500", "answers INTERNAL"),
    ("small", "takes small messages only"),
)


async def run(world: World, rounds: int) -> list[AuditResult]:
    """Inject each fault under load, over both protocols; rows must not be affected."""
    results = []
    for protocol, faults in (("http/protobuf", FAULTS), ("grpc", FAULTS_GRPC)):
        collector = Collector(protocol)
        async with collector.listening():
            pass  # takes a port; down until the first fault ends
        variables = {"OTEL_EXPORTER_OTLP_TIMEOUT": f"{TIMEOUT_S * 1000:.0f}"}
        name = "collector" if protocol != "grpc" else "gRPC collector"
        with world.serve(
            protocol.replace("/", "-"), tables=collector.table, variables=variables
        ) as served:
            results.append(await _down(served, collector, f"{name} down"))
            async with collector.listening():
                for kind, what in faults:
                    fault = f"{name} {what}"
                    results.append(await _under_load(served, collector, kind, fault))
    return results


async def _down(served: Served, collector: Collector, fault: str) -> AuditResult:
    """Rows arrive during the fault, and the spans after it."""
    result = AuditResult(fault=fault)
    group = f"{collector.protocol[:4]}down"
    callers, stop = Callers(served.served.proxy_url, group), asyncio.Event()
    making = asyncio.create_task(callers.keep_on(25, SHORT, stop))
    await asyncio.sleep(4)
    stop.set()
    await making
    answered = dispatched(served.world.answers(), callers.group)
    rows = await settled(lambda: served.rows(callers.group), len(answered))
    result.check(len(rows) == len(answered), "rows arrive while it is down")
    async with collector.listening():
        await _spans(result, served, collector, callers)
    return result


async def _under_load(served: Served, collector: Collector, kind: str, name: str) -> AuditResult:
    result = AuditResult(fault=name)
    always = kind == "small"  # halves may be too large too
    collector.kind, collector.times, collector.faults = kind, 1000 if always else 2, 0
    group = f"{collector.protocol[:4]}{kind}"
    callers, stop = Callers(served.served.proxy_url, group), asyncio.Event()
    making = asyncio.create_task(callers.keep_on(25, SHORT, stop))
    await callers.make(BURST, [SHORT], Random(1))
    await asyncio.sleep(3)
    stop.set()
    await making
    await _spans(result, served, collector, callers)
    enough = collector.faults >= 1 if always else collector.faults == 2
    result.check(enough, f"{collector.faults} exports failed this way")
    collector.times = 0
    return result


async def _spans(
    result: AuditResult, served: Served, collector: Collector, callers: Callers
) -> None:
    """Check that every row has its span, then audit the rows."""
    answered = dispatched(served.world.answers(), callers.group)
    rows = await settled(lambda: served.rows(callers.group), len(answered))
    await check_spans(result, collector, rows)
    await audit(result, served, callers)


async def check_spans(result: AuditResult, collector: Collector, rows: Sequence[Row]) -> None:
    """Check that each call has exactly one span id, its own, and note how often it was sent."""
    wanted = {str(row["call_id"]): str(row["span_id"]) for row in rows}

    def ids() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for call, span in list(collector.spans):
            if call in wanted:
                found.setdefault(call, set()).add(span)
        return found

    deadline = time.monotonic() + SETTLE_S
    while len(found := ids()) < len(wanted) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
    result.lost += len(wanted) - len(found)
    result.doubled += sum(len(spans) - 1 for spans in found.values())
    result.wrong += sum(spans != {wanted[call]} for call, spans in found.items())
    again = sum(n - 1 for (call, _), n in collector.spans.items() if call in wanted)
    if again:
        result.notes.append(f"{again} spans were sent again, under the same ids")
