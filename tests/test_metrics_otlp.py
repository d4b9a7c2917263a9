"""Metrics over OTLP, to a real receiver on both protocols, and what happens without one."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import grpc
import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from exporters.otel.metrics import OtelMetrics, from_config
from exporters.otel.target import GRPC, HTTP, Target
from exporters.series import Counter, Family, Histogram, gauge
from support.otlp_receiver import plain
from support.patience import PATIENCE_S

SERVICE = "opentelemetry.proto.collector.metrics.v1.MetricsService"


class Receiver:
    """An OTLP metrics receiver on loopback; `status` is what it answers over HTTP."""

    def __init__(self) -> None:
        self.requests: list[ExportMetricsServiceRequest] = []
        self.status = 200
        self.rejected = 0

    def take(self, body: bytes) -> bytes:
        self.requests.append(ExportMetricsServiceRequest.FromString(body))
        answer = ExportMetricsServiceResponse()
        answer.partial_success.rejected_data_points = self.rejected
        return answer.SerializeToString()

    async def over_http(self, request: web.Request) -> web.Response:
        if self.status != 200:
            return web.Response(status=self.status)
        body = self.take(await request.read())
        return web.Response(body=body, content_type="application/x-protobuf")

    def over_grpc(self, body: bytes, _: grpc.ServicerContext) -> bytes:
        return self.take(body)

    @property
    def last(self) -> dict[str, Metric]:
        (resource,) = self.requests[-1].resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: metric for metric in scope.metrics}


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str, str]]:
    """A receiver with its HTTP and its gRPC address."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/v1/metrics", receiver.over_http)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    threads = ThreadPoolExecutor(1)
    server = grpc.server(threads)
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
        receiver.over_grpc
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"Export": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    http_port = runner.addresses[0][1]
    yield receiver, f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{port}"
    await runner.cleanup()
    await asyncio.to_thread(server.stop(0.1).wait)
    threads.shutdown()


def some() -> list[Family]:
    """One of each kind."""
    cost = Counter(name="taximeter.cost", unit="USD", help="Cost.", places=18)
    for _ in range(100):
        cost.add((("gen_ai.request.model", "m"), ("server.port", 443)), 12_300_000_000_000_000)
    calls = Counter(name="taximeter.calls", unit="{call}", help="Calls.")
    calls.add(())
    seconds = Histogram(name="d", unit="s", help="", bounds=(Decimal("0.5"), Decimal(1)), places=6)
    for us in (500_000, 500_001, 2_000_000):
        seconds.add((("x", "\ud800"),), us)
    lasting = Family(
        name="taximeter.relay.calls_lost",
        kind="counter",
        unit="",
        help="",
        points=[((), 1)],
        lasting=True,
    )
    waiting = gauge("taximeter.delivery.waiting", "{record}", "", ((), 3))
    return [cost.family(), calls.family(), seconds.family(), lasting, waiting]


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_push(receiver: tuple[Receiver, str, str], protocol: str) -> None:
    """Sums and distributions arrive cumulative, with their labels and the nearest double."""
    got, http, rpc = receiver
    endpoint = f"{http}/v1/metrics" if protocol == HTTP else rpc
    target = Target(endpoint=endpoint, protocol=protocol, signal="metrics")
    exporter = OtelMetrics(target, some)
    await exporter.push()
    await exporter.close()  # sends a last time
    assert (exporter.pushed, exporter.failed, len(got.requests)) == (2, 0, 2)
    cost = got.last["taximeter.cost"]
    assert cost.unit == "USD"
    assert cost.sum.is_monotonic
    assert (
        cost.sum.aggregation_temporality
        == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    )
    (point,) = cost.sum.data_points
    assert point.as_double == 1.23
    assert 0 < point.start_time_unix_nano < point.time_unix_nano
    assert plain(point.attributes) == {"gen_ai.request.model": "m", "server.port": 443}
    assert got.last["taximeter.calls"].sum.data_points[0].as_int == 1
    assert got.last["taximeter.relay.calls_lost"].sum.data_points[0].start_time_unix_nano == 0
    assert got.last["taximeter.delivery.waiting"].gauge.data_points[0].as_int == 3
    (spread,) = got.last["d"].histogram.data_points
    assert list(spread.bucket_counts) == [1, 1, 1]
    assert (list(spread.explicit_bounds), spread.count, spread.sum) == ([0.5, 1.0], 3, 3.000001)
    assert not spread.HasField("min")
    assert plain(spread.attributes) == {"x": "?"}
    service = plain(got.requests[-1].resource_metrics[0].resource.attributes)["service.name"]
    assert service == "taximeter"


async def test_rejected(receiver: tuple[Receiver, str, str]) -> None:
    """Points that the receiver refused are counted."""
    got, http, _ = receiver
    got.rejected = 2
    exporter = OtelMetrics(Target(endpoint=f"{http}/v1/metrics", signal="metrics"), some)
    await exporter.push()
    assert exporter.rejected == 2
    await exporter.close()


async def test_a_receiver_that_is_down(
    receiver: tuple[Receiver, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """It raises nothing and is said once; the next export that arrives has the whole sum."""
    got, http, _ = receiver
    exporter = OtelMetrics(Target(endpoint=f"{http}/v1/metrics", signal="metrics"), some)
    got.status = 503
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await exporter.push()
    assert (exporter.failed, len(caplog.records)) == (3, 1)
    assert "OTEL_METRICS_EXPORTER=none" in caplog.text
    got.status = 200
    await exporter.push()
    assert got.last["taximeter.cost"].sum.data_points[0].as_double == 1.23
    await exporter.close()


async def test_it_goes_on_by_itself(receiver: tuple[Receiver, str, str]) -> None:
    """Every interval there is an export."""
    got, http, _ = receiver
    target = Target(endpoint=f"{http}/v1/metrics", signal="metrics")
    exporter = OtelMetrics(target, some, interval_s=0.02)
    running = asyncio.create_task(exporter.run())
    async with asyncio.timeout(PATIENCE_S):
        while len(got.requests) < 3:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await exporter.close()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"},
    ],
)
def test_not_asked_for(environ: dict[str, str]) -> None:
    """Nothing is sent where no endpoint takes metrics, or where they are switched off."""
    assert from_config(some, environ) is None


async def test_the_standard_variables(receiver: tuple[Receiver, str, str]) -> None:
    """The common endpoint gets its path; the interval is in milliseconds."""
    got, http, _ = receiver
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": http, "OTEL_METRIC_EXPORT_INTERVAL": "20"}
    exporter = from_config(some, environ)
    assert exporter is not None
    running = asyncio.create_task(exporter.run())
    async with asyncio.timeout(PATIENCE_S):
        while not got.requests:
            await asyncio.sleep(0.01)
    running.cancel()
    await exporter.close()


def test_a_wrong_interval() -> None:
    """The variable is named, with what it should be."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
        "OTEL_METRIC_EXPORT_INTERVAL": "1m",
    }
    with pytest.raises(ValueError, match=r"OTEL_METRIC_EXPORT_INTERVAL.*milliseconds"):
        from_config(some, environ)
