"""The settings as frozen dataclasses: `sources` reads them, `defaults.toml` explains them.

Names of limits end in their unit or in `_max`.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pricing.budget import Budget
from pricing.plan import LOCAL, TOKENS
from proxy.gateway.options import GatewayOptions
from proxy.settings.bills import FixedCostOptions, InvoiceOptions

# Families of wire formats.  Where two families share a path, the provider's dialect decides.
DIALECTS = ("openai", "anthropic", "gemini", "bedrock", "cohere", "ollama")

# How providers deviate from their dialect; a provider's configuration lists its quirks.  Those
# marked "detected" are recognised in the body as well; listing them decides ambiguous bodies.
QUIRKS: Mapping[str, str] = {
    "reasoning_outside_output": (
        "completion_tokens excludes reasoning, which is total - prompt - completion (detected by "
        "that sum). xAI https://docs.x.ai/docs/guides/reasoning, Gemini "
        "https://ai.google.dev/gemini-api/docs/openai"
    ),
    "explicit_cache": (
        "cache_type 'ephemeral' marks hits of an explicit cache, which has its own price "
        "(detected). https://help.aliyun.com/zh/model-studio/context-cache"
    ),
    "perplexity_search": (
        "completion_tokens and total_tokens exclude reasoning and citations; each request has a "
        "fee by search_context_size (detected by those fields). "
        "https://docs.perplexity.ai/getting-started/pricing"
    ),
    "cache_write_5m": (
        "cache writes of Anthropic's models without a stated time to live are 5-minute ones. "
        "https://openrouter.ai/docs/features/prompt-caching"
    ),
    "chat_only": (
        "it has OpenAI's chat completions and no Responses: the gateway translates requests of "
        "Responses for it. https://docs.mistral.ai/api"
    ),
    "responses_only": (
        "it has OpenAI's Responses and no chat completions: the gateway translates conversations "
        "of every other API for it. https://platform.openai.com/docs/models/gpt-5-pro"
    ),
}

BILLING = ("", LOCAL, TOKENS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The provider behind a first path segment, which is its name."""

    name: str
    base_url: str = ""  # no trailing slash; the rest of the path is appended.  "": not configured
    dialect: str = "openai"  # decides paths that several families share
    quirks: frozenset[str] = frozenset()  # keys of QUIRKS
    owns: tuple[str, ...] = ()  # bare path prefixes; the longest match wins, "*" matches any text
    shares: tuple[str, ...] = ()  # those that others have, too: a mark must confirm them
    marks: tuple[str, ...] = ()  # `header`, `header: start`, `?parameter`: only its callers send it
    api_path: str = "/v1"  # where its API begins below base_url, for the gateway
    region: str = ""  # region and deployment: no response states them, but prices depend on them
    deployment: str = ""
    billing: str = ""  # BILLING: who charges for its calls, where the tariffs cannot tell
    telemetry_name: str = ""  # gen_ai.provider.name, if it differs from `name`
    first_byte_timeout_s: float = 0.0  # as in `UpstreamOptions`; 0: as there
    idle_timeout_s: float = 0.0
    client_cert: Path | None = None  # PEM, shown to a provider that asks for one
    client_key: Path | None = None  # None: it is in the same file


LOOPBACKS = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """An address we serve on, with TLS if both files are given."""

    host: str = "127.0.0.1"  # or several, with commas between them
    port: int = 4000  # 0: any free port
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False  # allows addresses other than loopback without token and TLS
    # Required from callers, the proxy's in x-taximeter-token, the console's as a bearer token.
    token: str = field(default="", repr=False)
    token_file: Path | None = None  # holds the token instead

    @property
    def named_hosts(self) -> tuple[str, ...]:
        """The configured addresses, in lower case and without brackets."""
        return tuple(host.strip().strip("[]").lower() for host in self.host.split(","))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses to serve: a loopback brings the other one, as "localhost" means both."""
        hosts: dict[str, None] = {}
        for host in self.named_hosts:
            hosts |= dict.fromkeys(LOOPBACKS if host == "localhost" else (host,))
        if "::" in hosts:  # which is all of them, IPv4 too: another one would be in use
            return ("::",)
        if "0.0.0.0" in hosts:
            return ("0.0.0.0", *(host for host in hosts if ":" in host))
        if hosts.keys() & set(LOOPBACKS):
            hosts |= dict.fromkeys(LOOPBACKS)
        return tuple(hosts)

    def admits(self, token: str) -> bool:
        """Whether `token` is correct, or none is required.  Compares in constant time."""
        given = token.encode("utf-8", "surrogateescape")
        return not self.token or hmac.compare_digest(given, self.token.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleListen(Listen):
    """The console's address."""

    base_path: str = ""  # where a reverse proxy serves it, such as /taximeter; "": at its root


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerOptions:
    """Limits for connections of callers."""

    head_timeout_s: float = 30.0  # from the first byte of a request head to its last
    idle_timeout_s: float = 900.0  # of a connection between two requests
    idle_max: int = 1000  # idle connections per relay
    body_bytes_max: int = 8 * 1024 * 1024  # of a request that is held until its budgets were asked


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamOptions:
    """Connections to providers."""

    connect_timeout_s: float = 30.0
    first_byte_timeout_s: float = 3600.0  # from the last byte of the request to a response
    idle_timeout_s: float = 900.0  # between two bytes of a body; there is no total timeout
    ca_file: Path | None = None  # trusted in addition to the system's authorities
    connections_max: int = 0  # to all providers together; 0: no limit
    header_bytes_max: int = 131_072  # one header line, either side
    header_lines_max: int = 500  # of one message head, either side
    head_bytes_max: int = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalOptions:
    """See docs/architecture.md, "The journal"."""

    segment_bytes_max: int = 64 * 1024 * 1024
    segment_age_max_s: float = 10.0  # so that metered bytes are deleted soon
    total_bytes_max: int = 4 * 1024 * 1024 * 1024
    # Kept of the bodies of one call; of a socket, of each message.
    request_bytes_max: int = 64 * 1024 * 1024
    response_bytes_max: int = 256 * 1024 * 1024
    fsync: str = "interval"  # interval | always | never
    fsync_interval_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteringOptions:
    """Reading bodies, counting tokens, and the user's tariffs."""

    document_bytes_max: int = 32 * 1024 * 1024  # one decoded JSON body or one stream event
    count_bytes_max: int = 4 * 1024 * 1024  # text given to the tokenizer for one call
    count_tokens: bool = True
    audit_sample: float = 0.05  # share of calls counted beside what their provider reports
    tariffs: Path | None = None  # a directory of tariff files that override the shipped ones


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """The store for rows."""

    dsn: str = field(default="", repr=False)  # "": chdb:// in the data directory
    database: str = "taximeter"
    batch_rows_max: int = 5_000
    batch_age_max_s: float = 1.0
    ttl_days: int = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentOptions:
    """Content capture; see docs/content.md."""

    capture: bool = False
    ttl_days: int = 7
    bytes_max: int = 65_536  # of a request, a response and an output each, as stored
    sample: float = 1.0  # share of calls
    redact: tuple[str, ...] = ("email", "card", "iban", "phone", "ssn")  # and always credentials
    patterns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    journal_bytes_max: int = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpOptions:
    """Where spans go.  Without an endpoint here, the standard OTEL_* variables apply."""

    endpoint: str = ""
    protocol: str = ""  # http/protobuf | grpc; "": as OTEL_EXPORTER_OTLP_PROTOCOL says
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    profile: str = "compat"  # compat | latest
    incoming: str = "parent"  # what to do with a caller's traceparent: parent | link | ignore
    baggage: tuple[str, ...] = ("*",)  # entries of a caller's baggage to keep; "*": all


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOptions:
    """When alerts about our own health fire, and where they go in addition to the log."""

    webhook: str = field(default="", repr=False)  # the path may be a secret; "": none
    webhook_headers: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    notify: tuple[str, ...] = ()  # names of targets, beside the log
    journal_share_max: float = 0.8  # of the size limit of a journal
    lag_max_s: float = 300.0  # age of the oldest row waiting for an exporter
    quiet_s: float = 300.0  # without a new reason, until an alert ends


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """See docs/audit.md."""

    notify: tuple[str, ...] = ()  # names of targets that get each signed head, beside the log


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionOptions:
    """How long the rows and the content of one project are kept; see docs/audit.md."""

    name: str  # of the project
    content_days: int = 0  # 0: content.ttl_days
    rows_days: int = 0  # 0: store.ttl_days
    legal_hold: bool = False  # nothing of it is deleted, whatever its age


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyOptions:
    """A target for alerts.  Texts that may be secrets may be `env:NAME`; see docs/budgets.md."""

    name: str
    type: str = ""
    url: str = field(default="", repr=False)  # for all types over HTTP
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    # webhook: signs; several while a receiver changes from one to the next
    secret: tuple[str, ...] | str = field(default="", repr=False)
    routing_key: str = field(default="", repr=False)  # pagerduty
    host: str = ""  # smtp, as all that follow
    port: int = 0  # 0: the encryption's usual one
    encryption: str = "starttls"  # starttls | tls | none
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    recipients: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets to sign with."""
        if isinstance(self.secret, str):
            return (self.secret,) if self.secret else ()
        return self.secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, with defaults filled in."""

    data: Path
    proxy: Listen = Listen()
    console: ConsoleListen = ConsoleListen(port=4001)
    relays: int = 1
    callers: CallerOptions = CallerOptions()
    lame_duck_s: float = 0.0  # after SIGTERM: new callers are served, but readiness fails
    drain_timeout_s: float = 600.0  # after that, for calls in flight to finish
    upstream: UpstreamOptions = UpstreamOptions()
    journal: JournalOptions = JournalOptions()
    metering: MeteringOptions = MeteringOptions()
    store: StoreOptions = StoreOptions()
    content: ContentOptions = ContentOptions()
    otlp: OtlpOptions = OtlpOptions()
    alerts: AlertOptions = AlertOptions()
    audit: AuditOptions = AuditOptions()
    retention: Mapping[str, RetentionOptions] = field(default_factory=lambda: MappingProxyType({}))
    budgets: Mapping[str, Budget] = field(default_factory=lambda: MappingProxyType({}))
    notify: Mapping[str, NotifyOptions] = field(default_factory=lambda: MappingProxyType({}))
    invoices: Mapping[str, InvoiceOptions] = field(default_factory=lambda: MappingProxyType({}))
    fixed_costs: Mapping[str, FixedCostOptions] = field(
        default_factory=lambda: MappingProxyType({})
    )
    gateway: GatewayOptions = field(default_factory=GatewayOptions)
    node: str = ""  # name of this machine in rows; "": the host name
    key_names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    providers: Mapping[str, Provider] = field(default_factory=lambda: MappingProxyType({}))
