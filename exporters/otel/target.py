"""Where spans and metrics go, from configuration and the standard variables.  Pure.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import unquote, urlsplit

HTTP, GRPC = "http/protobuf", "grpc"
TIMEOUT_MS_MAX = 3_600_000
HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")

Signal = Literal["traces", "metrics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where and how to send.  `headers` may hold keys, so they are left out of the repr."""

    endpoint: str  # HTTP: the full URL; gRPC: scheme://host:port or host:port
    protocol: str = HTTP
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 10.0
    compression: bool = False  # gzip
    certificate: str = ""  # files in PEM
    client_certificate: str = ""
    client_key: str = ""
    insecure: bool = False  # gRPC without a scheme in its endpoint
    signal: Signal = "traces"

    @property
    def place(self) -> str:
        """Host and port, the only parts of the endpoint that a log may show."""
        return urlsplit(with_scheme(self.endpoint)).netloc.rpartition("@")[2]


def is_named(environ: Mapping[str, str], signal: Signal, endpoint: str = "") -> bool:
    """Whether an argument or a standard variable names an endpoint for a signal."""
    variables = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return bool(endpoint) or any(environ.get(name, "").strip() for name in variables)


def from_environment(
    environ: Mapping[str, str],
    *,
    endpoint: str = "",
    protocol: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    signal: Signal = "traces",
) -> Target | None:
    """The target by the arguments, else by the standard variables; None without an endpoint.

    The variables give timeouts in milliseconds.  Raises ValueError naming the setting and the
    values it accepts.
    """
    own_prefix = f"OTEL_EXPORTER_OTLP_{signal.upper()}_"

    def find(name: str) -> str:
        own = environ.get(f"{own_prefix}{name}", "").strip()
        return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

    if not is_named(environ, signal, endpoint):
        return None
    protocol = protocol or find("PROTOCOL") or HTTP
    if protocol not in (HTTP, GRPC):
        raise ValueError(f"OTLP protocol: expected {HTTP!r} or {GRPC!r}, got {protocol!r}")
    if protocol == HTTP:
        endpoint = _http_endpoint(environ, endpoint, signal)
    compression = find("COMPRESSION").lower() or "none"
    if compression not in ("none", "gzip"):
        raise ValueError(
            f"OTEL_EXPORTER_OTLP_COMPRESSION: expected none or gzip, got {compression!r}"
        )
    timeout_ms = find("TIMEOUT") or "10000"
    if not timeout_ms.isdecimal() or not 0 < int(timeout_ms) <= TIMEOUT_MS_MAX:
        raise ValueError(
            f"OTEL_EXPORTER_OTLP_TIMEOUT: expected 1 to {TIMEOUT_MS_MAX} ms, got {timeout_ms!r}"
        )
    return Target(
        endpoint=endpoint or find("ENDPOINT"),
        protocol=protocol,
        headers=_checked(
            {
                **parse_headers(environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")),
                **parse_headers(environ.get(f"{own_prefix}HEADERS", "")),
                **{name.lower(): value for name, value in headers.items()},
            }
        ),
        timeout_s=int(timeout_ms) / 1000,
        compression=compression == "gzip",
        certificate=find("CERTIFICATE"),
        client_certificate=find("CLIENT_CERTIFICATE"),
        client_key=find("CLIENT_KEY"),
        insecure=find("INSECURE").lower() == "true",
        signal=signal,
    )


def _http_endpoint(environ: Mapping[str, str], endpoint: str, signal: Signal) -> str:
    """The full URL.  The signal's own variable and an argument with a path are used unchanged."""
    exact = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if endpoint and not urlsplit(endpoint).path.strip("/"):
        base, exact, endpoint = endpoint, "", ""
    url = endpoint or exact or f"{base.rstrip('/')}/v1/{signal}"
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ValueError("OTLP endpoint: expected http://host:port or https://host:port")
    return url


def _checked(headers: dict[str, str]) -> dict[str, str]:
    """`headers`, if all can be sent.  The error does not show names: one may be a key."""
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise ValueError("OTLP headers: expected name=value,name=value in printable ASCII")
    return headers


def parse_headers(text: str) -> dict[str, str]:
    """Parse `name=value,name=value`, percent-encoded.  Skips malformed pairs, and logs none."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {
        unquote(name).strip().lower(): unquote(value).strip()
        for name, equals, value in pairs
        if equals and name.strip()
    }


def with_scheme(endpoint: str) -> str:
    return endpoint if "://" in endpoint else f"//{endpoint}"
