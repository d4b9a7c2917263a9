"""An OTLP collector that is down, slow, refuses for now, fails, or takes a part."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from evaluation.faults.audit import POLL_S, SETTLE_S, Result, dispatched, settled
from evaluation.faults.callers import Callers, Stream
from evaluation.faults.stores import audit
from evaluation.faults.world import Served, World
from evaluation.serving import Row

SHORT = Stream(tokens=6, seconds=0.2)
TIMEOUT_S = 1.0  # the exporter's; the standard is ten times that
CALL_ID = "taximeter.call.id"


class Collector:
    """Takes spans over HTTP on loopback; `kind` is how it fails, for the next `times` requests."""

    def __init__(self) -> None:
        self.spans: Counter[tuple[str, str]] = Counter()  # (call id, span id) → times taken
        self.kind, self.times = "", 0
        self.faults = 0  # requests that it failed
        self.port = 0

    @property
    def table(self) -> str:
        """What the configuration says of it."""
        return f'[otlp]\nendpoint = "http://127.0.0.1:{self.port}"\n'

    async def take(self, request: web.Request) -> web.Response:
        """One export."""
        body = await request.read()
        kind = ""
        if self.times > 0:
            self.times -= 1
            self.faults += 1
            kind = self.kind
        if kind == "slow":  # it has the spans, but says so too late
            self._keep(body)
            await asyncio.sleep(1.2 * TIMEOUT_S)
        if kind == "429":
            return web.Response(status=429, headers={"retry-after": "1"})
        if kind == "500":
            return web.Response(status=500)
        answer = ExportTraceServiceResponse()
        if kind == "partial":
            answer.partial_success.rejected_spans = 1
            answer.partial_success.error_message = "no room"
        if kind != "slow":
            self._keep(body)
        return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")

    def _keep(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    values = {a.key: a.value.string_value for a in span.attributes}
                    self.spans[values.get(CALL_ID, ""), span.span_id.hex()] += 1

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve within the block; a second time on the same port."""
        app = web.Application(client_max_size=0)
        app.router.add_post("/v1/traces", self.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = int(runner.addresses[0][1])
        try:
            yield
        finally:
            await runner.cleanup()


async def run(world: World, rounds: int) -> list[Result]:
    """Each fault under load; the rows must not notice."""
    collector = Collector()
    async with collector.listening():
        pass  # to have a port; down until the end of the first fault
    tables = collector.table
    variables = {"OTEL_EXPORTER_OTLP_TIMEOUT": f"{TIMEOUT_S * 1000:.0f}"}
    with world.serve("collector", tables=tables, variables=variables) as served:
        results = [await _down(served, collector)]
        async with collector.listening():
            for kind, name in (
                ("slow", "collector answers after the timeout"),
                ("429", "collector answers 429 with Retry-After"),
                ("500", "collector answers 500"),
                ("partial", "collector takes a part and says so"),
            ):
                results.append(await _under_load(served, collector, kind, name))
    return results


async def _down(served: Served, collector: Collector) -> Result:
    """Rows arrive meanwhile; afterwards the spans do."""
    result = Result(fault="collector down")
    callers, stop = Callers(served.served.proxy_url, "otlpdown"), asyncio.Event()
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


async def _under_load(served: Served, collector: Collector, kind: str, name: str) -> Result:
    result = Result(fault=name)
    collector.kind, collector.times, collector.faults = kind, 2, 0
    callers, stop = Callers(served.served.proxy_url, f"otlp{kind}"), asyncio.Event()
    making = asyncio.create_task(callers.keep_on(25, SHORT, stop))
    await asyncio.sleep(4)
    stop.set()
    await making
    await _spans(result, served, collector, callers)
    result.check(collector.faults == 2, f"{collector.faults} exports failed so")
    return result


async def _spans(result: Result, served: Served, collector: Collector, callers: Callers) -> None:
    """Every row has its span; then the rows are audited as ever."""
    answered = dispatched(served.world.answers(), callers.group)
    rows = await settled(lambda: served.rows(callers.group), len(answered))
    await check_spans(result, collector, rows)
    await audit(result, served, callers)


async def check_spans(result: Result, collector: Collector, rows: Sequence[Row]) -> None:
    """Each row's call has one span id, its own; how often it was sent is noted."""
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
