"""What a user may set, as frozen values: `sources` reads, `defaults.toml` explains them.

Every limit has a name ending in its unit or in `_max`.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

# Families of wire formats: they settle whose a path is where two families share one.
DIALECTS = ("openai", "anthropic", "gemini", "bedrock", "cohere", "ollama")

# How providers depart from the dialect they speak; a provider's configuration names them.  Those
# marked "seen" are recognised in the body as well: naming them settles bodies that do not tell.
QUIRKS: Mapping[str, str] = {
    "reasoning_outside_output": (
        "completion_tokens leaves reasoning out: it is total - prompt - completion (seen where the "
        "sum says so). xAI https://docs.x.ai/docs/guides/reasoning, Gemini "
        "https://ai.google.dev/gemini-api/docs/openai"
    ),
    "explicit_cache": (
        "cache_type 'ephemeral' marks hits of an explicit cache, which has its own price (seen). "
        "https://help.aliyun.com/zh/model-studio/context-cache"
    ),
    "perplexity_search": (
        "reasoning and citations stand outside completion_tokens and total_tokens; each request "
        "bears a fee by search_context_size (seen by those fields). "
        "https://docs.perplexity.ai/getting-started/pricing"
    ),
    "cache_write_5m": (
        "cache writes of Anthropic's models, stated without a time to live, are 5-minute ones. "
        "https://openrouter.ai/docs/features/prompt-caching"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Who is behind one first path segment, and how it departs from its dialect."""

    name: str
    base_url: str = ""  # no trailing slash; the rest of the path is appended.  "": not set up
    dialect: str = "openai"  # the family that settles paths which several families share
    quirks: frozenset[str] = frozenset()  # names listed in QUIRKS
    owns: tuple[str, ...] = ()  # bare path prefixes, the longest wins; "*" is any text in between
    region: str = ""  # facts that no response tells and that a price may depend on
    deployment: str = ""
    telemetry_name: str = ""  # gen_ai.provider.name where it differs from `name`


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """An address we serve on, with TLS if both files are given."""

    host: str = "127.0.0.1"
    port: int = 4000  # 0: any free port
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False  # permits an address beyond loopback without what else that needs
    # What others must know: the proxy's in x-taximeter-token, the console's as a bearer token.
    token: str = field(default="", repr=False)
    token_file: Path | None = None  # holds the token instead

    def admits(self, token: str) -> bool:
        """Whether `token` is the right one, or none is required.  Takes the same time for all."""
        given = token.encode("utf-8", "surrogateescape")
        return not self.token or hmac.compare_digest(given, self.token.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerOptions:
    """What one who connects to the proxy may take up."""

    head_timeout_s: float = 30.0  # from the first byte of a request head to its last
    idle_timeout_s: float = 900.0  # of a connection between two requests
    idle_max: int = 1000  # idle connections of one relay


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamOptions:
    """How the relay reaches providers."""

    connect_timeout_s: float = 30.0
    idle_timeout_s: float = 600.0  # without a byte from the provider; there is no total timeout
    ca_file: Path | None = None  # trusted besides the system's, for a private CA
    connections_max: int = 0  # towards all providers together; 0: no limit
    header_bytes_max: int = 65_536  # one header line, either side


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalOptions:
    """See docs/architecture.md, "The journal"."""

    segment_bytes_max: int = 64 * 1024 * 1024
    segment_age_max_s: float = 10.0  # so that metered bytes leave the disk soon
    total_bytes_max: int = 4 * 1024 * 1024 * 1024
    request_bytes_max: int = 64 * 1024 * 1024  # of one call's request body kept
    response_bytes_max: int = 256 * 1024 * 1024
    fsync: str = "interval"  # interval | always | never
    fsync_interval_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteringOptions:
    """How bodies are read and counted."""

    document_bytes_max: int = 32 * 1024 * 1024  # one decoded JSON body or one stream event
    count_bytes_max: int = 4 * 1024 * 1024  # text handed to the tokenizer for one call
    count_tokens: bool = True
    tariffs: Path | None = None  # a directory of tariff files laid over the shipped ones


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """Where rows go."""

    dsn: str = field(default="", repr=False)  # "" is chdb:// in the data directory
    database: str = "taximeter"
    batch_rows_max: int = 5_000
    batch_age_max_s: float = 1.0
    ttl_days: int = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentOptions:
    """Whether what was said is kept, and what of it; see docs/content.md."""

    capture: bool = False
    ttl_days: int = 7
    bytes_max: int = 65_536  # of a request, of a response and of an output, each, as stored
    sample: float = 1.0  # share of calls
    redact: tuple[str, ...] = ("email", "card", "iban", "phone", "ssn")  # besides credentials
    patterns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    journal_bytes_max: int = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpOptions:
    """Where spans go.  With no endpoint here the standard OTEL_* variables decide."""

    endpoint: str = ""
    protocol: str = ""  # http/protobuf | grpc; "" leaves it to OTEL_EXPORTER_OTLP_PROTOCOL
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    profile: str = "compat"  # compat | latest
    incoming: str = "parent"  # what a caller's traceparent is: parent | link | ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOptions:
    """When somebody is told of what we lose, and where besides the log."""

    webhook: str = field(default="", repr=False)  # its path may be a secret; "": none
    webhook_headers: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    journal_share_max: float = 0.8  # of journal.total_bytes_max, either journal
    lag_max_s: float = 300.0  # age of the oldest row that an exporter has not taken
    quiet_s: float = 300.0  # without any more of it, until an alert is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything, with every default in place."""

    data: Path
    proxy: Listen = Listen()
    console: Listen = Listen(port=4001)
    relays: int = 1
    callers: CallerOptions = CallerOptions()
    drain_timeout_s: float = 600.0  # SIGTERM: how long streams in flight may finish
    upstream: UpstreamOptions = UpstreamOptions()
    journal: JournalOptions = JournalOptions()
    metering: MeteringOptions = MeteringOptions()
    store: StoreOptions = StoreOptions()
    content: ContentOptions = ContentOptions()
    otlp: OtlpOptions = OtlpOptions()
    alerts: AlertOptions = AlertOptions()
    node: str = ""  # name of this machine in rows; "" is the host name
    key_names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    providers: Mapping[str, Provider] = field(default_factory=lambda: MappingProxyType({}))
