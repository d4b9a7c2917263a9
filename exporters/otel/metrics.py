"""Pushes all metrics over OTLP at an interval, as cumulative sums.

The next push includes what a failed one did not deliver, so nothing is queued or retried: a
receiver that is down has a gap in its charts and misses no call.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time_ns

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource

from exporters.otel.otlp import RetryAfterError, sender
from exporters.otel.semconv import SCHEMAS, Profile
from exporters.otel.spans import RETRY_AFTER_S_MAX, resource_of, scope
from exporters.otel.target import Target, from_environment
from exporters.record import PermanentError, TransientError
from exporters.series import Distribution, Family, Labels, Value

log = logging.getLogger(__name__)

INTERVAL_MS = "60000"  # the standard's default
LOG_EVERY_S = 600.0
CUMULATIVE = AggregationTemporality.CUMULATIVE

Families = Callable[[], Sequence[Family]]


class OtelMetrics:
    """Sends the metrics that `families` returns to one OTLP receiver every `interval_s` seconds.

    `pushed` and `failed` count exports, `rejected` counts points that the receiver refused.
    """

    def __init__(
        self,
        target: Target,
        families: Families,
        *,
        interval_s: float = 60.0,
        resource: Resource | None = None,
        profile: Profile = "compat",
    ) -> None:
        self.pushed = self.failed = self.rejected = 0
        self._families = families
        self._interval_s = interval_s
        self._resource = resource or resource_of()
        self._schema = SCHEMAS[profile]
        self._began_ns = time_ns()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="otel-metrics")
        self._sender = sender(target, self._thread)
        self._wait_until = 0.0  # monotonic
        self._logged = -LOG_EVERY_S

    async def run(self) -> None:
        """Push until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self.push()

    async def push(self) -> None:
        """Send all metrics once.  Failures are counted and never raised."""
        if monotonic() < self._wait_until:
            return
        try:
            families = self._families()
            loop = asyncio.get_running_loop()
            request = await loop.run_in_executor(self._thread, self._encode, families)
            self.rejected += await self._sender.send(request)
            self.pushed += 1
        except (TransientError, PermanentError) as error:
            self.failed += 1
            if isinstance(error, RetryAfterError):
                self._wait_until = monotonic() + min(error.retry_after_s, RETRY_AFTER_S_MAX)
            self._warn(str(error))
        except Exception:  # a fault in one push must not stop later ones
            self.failed += 1
            log.exception("Failed to send metrics.")

    async def close(self) -> None:
        """Push a last time, then close connections."""
        await self.push()
        await self._sender.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _warn(self, error: str) -> None:
        if monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = monotonic()
            log.warning(
                "Cannot push metrics (%s). To turn this off, set OTEL_METRICS_EXPORTER=none.", error
            )

    def _encode(self, families: Sequence[Family]) -> bytes:
        now = time_ns()
        metrics = [_metric(family, self._began_ns, now) for family in families]
        scoped = ScopeMetrics(scope(self._schema), metrics, schema_url=self._schema)
        data = MetricsData([ResourceMetrics(self._resource, [scoped], schema_url=self._schema)])
        return encode_metrics(data).SerializeToString()


def from_config(
    families: Families, environ: Mapping[str, str] = os.environ, profile: Profile = "compat"
) -> OtelMetrics | None:
    """The exporter that the standard variables configure; None without an endpoint or if disabled.

    Raises ValueError saying what to correct.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if environ.get("OTEL_METRICS_EXPORTER", "").strip() == "none":
        return None
    target = from_environment(environ, signal="metrics")
    if target is None:
        return None
    interval = environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip() or INTERVAL_MS
    if not interval.isdecimal() or not int(interval):
        raise ValueError(f"OTEL_METRIC_EXPORT_INTERVAL: expected milliseconds, got {interval!r}")
    wanted = environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    if wanted not in ("", "cumulative"):
        log.warning(
            "Ignoring OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=%r:"
            " metrics are always cumulative.",
            wanted,
        )
    try:
        return OtelMetrics(target, families, interval_s=int(interval) / 1000, profile=profile)
    except OSError as error:
        raise ValueError(f"OTLP certificate or key: {error}") from error


def _metric(family: Family, began_ns: int, now_ns: int) -> Metric:
    start = 0 if family.lasting else began_ns  # 0: not known
    data: Sum | Gauge | Histogram
    if family.kind == "histogram":
        distributions = [
            _distribution(labels, value, start, now_ns)
            for labels, value in family.points
            if isinstance(value, Distribution)
        ]
        data = Histogram(distributions, CUMULATIVE)
    else:
        numbers = [
            NumberDataPoint(_attributes(labels), start, now_ns, _number(value))
            for labels, value in family.points
        ]
        counted = family.kind == "counter"
        data = Sum(numbers, CUMULATIVE, is_monotonic=True) if counted else Gauge(numbers)
    return Metric(name=family.name, description=family.help, unit=family.unit, data=data)


def _distribution(
    labels: Labels, value: Distribution, start: int, now_ns: int
) -> HistogramDataPoint:
    """Without minimum and maximum: over the life of the process they would mean little."""
    return HistogramDataPoint(
        attributes=_attributes(labels),
        start_time_unix_nano=start,
        time_unix_nano=now_ns,
        count=value.count,
        sum=float(value.sum),
        bucket_counts=value.counts,
        explicit_bounds=[float(bound) for bound in value.bounds],
        min=None,  # type: ignore[arg-type]  # optional in the protocol and in the encoder
        max=None,  # type: ignore[arg-type]  # likewise
    )


def _attributes(labels: Labels) -> dict[str, str | int]:
    """Labels as attributes; the encoder cannot take a lone surrogate."""
    return {
        name: value if isinstance(value, int) else value.encode("utf-8", "replace").decode()
        for name, value in labels
    }


def _number(value: Value) -> int | float:
    """`value` as OTLP can hold it: it has no decimals, and integers of 64 bits."""
    if isinstance(value, Distribution):
        raise TypeError("a distribution is not a number")
    return value if isinstance(value, int) and value < 2**63 else float(value)
