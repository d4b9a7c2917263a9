"""Makes the span exporter from the configuration; the limits of the journals."""

from exporters.otel.semconv import Profile
from exporters.otel.spans import from_config
from exporters.record import Exporter
from proxy.settings.config import Config


def spans(config: Config) -> Exporter | None:
    """The span exporter, if the configuration or the environment names an endpoint."""
    otlp = config.otlp
    return from_config(
        endpoint=otlp.endpoint,
        protocol=otlp.protocol,
        headers=otlp.headers,
        profile=otlp.profile,
        names=names(config),
    )


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
