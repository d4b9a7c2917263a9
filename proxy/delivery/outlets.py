"""Makes the OTLP exporters from the configuration; the limits of the journals."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from exporters.otel.semconv import Profile
from exporters.otel.target import is_named
from exporters.record import Exporter
from exporters.series import Family
from proxy.settings.config import Config

if TYPE_CHECKING:
    from exporters.otel.metrics import OtelMetrics

# OpenTelemetry is imported once somebody has named an endpoint: it costs 0.3 s of CPU.


def spans(config: Config) -> Exporter | None:
    """The span exporter, if the configuration or the environment names an endpoint."""
    otlp = config.otlp
    if not is_named(os.environ, "traces", otlp.endpoint):
        return None
    from exporters.otel.spans import from_config  # noqa: PLC0415

    return from_config(
        endpoint=otlp.endpoint,
        protocol=otlp.protocol,
        headers=otlp.headers,
        profile=otlp.profile,
        names=names(config),
    )


def metrics(families: Callable[[], Sequence[Family]]) -> "OtelMetrics | None":
    """The metrics exporter, if the environment names an endpoint."""
    if not is_named(os.environ, "metrics"):
        return None
    from exporters.otel.metrics import from_config  # noqa: PLC0415

    return from_config(families)


def journals(config: Config) -> dict[str, int]:
    """The size limit of each journal in bytes; that of contents only if capture is on."""
    most = config.journal.total_bytes_max
    own = {"contents": config.content.journal_bytes_max} if config.content.capture else {}
    return {"calls": most, "records": most, **own}


def names(config: Config) -> dict[str, str]:
    """`gen_ai.provider.name` by configured provider, where the two differ."""
    return {p.name: p.telemetry_name for p in config.providers.values() if p.telemetry_name}


def profile(config: Config) -> Profile:
    """Which generation of the conventions spans and metrics follow."""
    return "latest" if config.otlp.profile == "latest" else "compat"
