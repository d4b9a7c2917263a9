"""Checks values that have the right type; each mistake is one sentence that starts with its key."""

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from proxy.secrecy.kinds import KINDS
from proxy.secrecy.redaction import PATTERN_NAME, compiled
from proxy.settings.budget_checks import budget_mistakes
from proxy.settings.config import (
    BILLING,
    DIALECTS,
    QUIRKS,
    AlertOptions,
    Config,
    ContentOptions,
    Listen,
    Provider,
    RetentionOptions,
)
from proxy.settings.gateway_checks import gateway_mistakes
from proxy.settings.invoice_checks import invoice_mistakes
from proxy.settings.notify_checks import (
    WEBHOOK,
    header_mistakes,
    notify_mistakes,
    unknown_targets,
)
from proxy.settings.retention import DAYS_MAX
from proxy.settings.typed import leaves, nearest

PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")  # it is a path segment
CHOICES: Mapping[str, tuple[str, ...]] = {
    "journal.fsync": ("interval", "always", "never"),
    "otlp.protocol": ("", "http/protobuf", "grpc"),
    "otlp.profile": ("compat", "latest"),
    "otlp.incoming": ("parent", "link", "ignore"),
}
# For these, zero means "any", "at once", "none" or "no limit"; every other number must be positive.
ZERO_ALLOWED = (
    *("proxy.port", "console.port", "upstream.connections_max", "drain_timeout_s"),
    *("lame_duck_s", "metering.audit_sample"),
)
HOST_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
RELAYS_MAX = 256
NUMBER_MAX = 2**53  # beyond it, parsers and clocks overflow
# RFC 6750, 2.1: characters that need no escaping in a header, a URL or a shell.  The minimum length
# makes a token hard to guess.
TOKEN_CHARACTERS_MIN = 16
TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{{TOKEN_CHARACTERS_MIN},}}")
# Segments of unreserved characters (RFC 3986, 2.3): alike in a document, a cookie and a URL.
BASE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")
CONTENT_BYTES = (1024, 4 * 1024 * 1024)  # range of content.bytes_max; one insert has several rows
# `exporters.clickhouse.connection` checks the rest of a DSN.
STORE_SCHEMES = ("chdb", "clickhouse", "http", "https")


def mistakes(config: Config, built_in: Collection[str]) -> Iterator[str]:
    """All mistakes in `config`; `built_in` are the names of the packaged providers."""
    yield from _number_mistakes(config)
    for key, listen in (("proxy", config.proxy), ("console", config.console)):
        yield from _listen_mistakes(key, listen)
    yield from _console_mistakes(config)
    for provider in config.providers.values():
        yield from _provider_mistakes(provider, built_in)
    if config.upstream.ca_file is not None and not config.upstream.ca_file.is_file():
        yield f"upstream.ca_file: file not found: {config.upstream.ca_file}"
    if config.metering.tariffs is not None and not config.metering.tariffs.is_dir():
        yield f"metering.tariffs: directory not found: {config.metering.tariffs}"
    if config.metering.audit_sample > 1:
        yield f"metering.audit_sample: expected at most 1, got {config.metering.audit_sample}"
    if config.store.dsn and urlsplit(config.store.dsn).scheme not in STORE_SCHEMES:
        yield f"store.dsn: expected one of {', '.join(f'{s}://' for s in STORE_SCHEMES)}"
    yield from _content_mistakes(config.content)
    if config.otlp.endpoint:
        yield from _url_mistakes("otlp.endpoint", config.otlp.endpoint)
    yield from _alert_mistakes(config.alerts)
    yield from unknown_targets("alerts.notify", config.alerts.notify, config)
    yield from unknown_targets("audit.notify", config.audit.notify, config)
    for target in config.notify.values():
        yield from notify_mistakes(target)
    for kept in config.retention.values():
        yield from _retention_mistakes(kept)
    for budget in config.budgets.values():
        yield from budget_mistakes(budget, config)
    yield from gateway_mistakes(config)
    yield from invoice_mistakes(config)
    if config.data.exists() and not config.data.is_dir():
        yield f"data: {config.data} is not a directory"


def _content_mistakes(content: ContentOptions) -> Iterator[str]:
    """All mistakes; compiles the patterns now rather than when there is something to redact."""
    least, most = CONTENT_BYTES
    if not least <= content.bytes_max <= most:
        yield f"content.bytes_max: expected {least:,} to {most:,}, got {content.bytes_max:,}"
    if content.sample > 1:
        yield f"content.sample: expected a share of at most 1, got {content.sample}"
    known = KINDS.keys()
    for kind in content.redact:
        if kind not in known:
            yield f"content.redact: unknown kind {kind!r}{nearest(kind, known)}"
    for name, pattern in content.patterns.items():
        if name in known:
            yield f"content.patterns.{name}: this kind is built in; choose another name"
        elif not PATTERN_NAME.fullmatch(name):
            yield f"content.patterns.{name}: invalid name; use up to 32 of a-z, 0-9, - and _"
        try:
            compiled(pattern)
        except ValueError as error:
            yield f"content.patterns.{name}: invalid RE2 pattern: {error}"


def _retention_mistakes(kept: RetentionOptions) -> Iterator[str]:
    """Days that are none, and a table that says nothing."""
    for name in ("content_days", "rows_days"):
        days = getattr(kept, name)
        if not 0 <= days <= DAYS_MAX:
            yield f"retention.{kept.name}.{name}: expected 1 to {DAYS_MAX:,} days, got {days:,}"
    if not (kept.content_days or kept.rows_days or kept.legal_hold):
        yield f"retention.{kept.name}: set content_days, rows_days or legal_hold"


def _alert_mistakes(alerts: AlertOptions) -> Iterator[str]:
    """Messages do not quote the URL or the headers, which may be secrets."""
    if alerts.webhook and not WEBHOOK.match(alerts.webhook):
        yield "alerts.webhook: expected http:// or https:// and a host"
    yield from header_mistakes("alerts.webhook_headers", alerts.webhook_headers)
    if alerts.journal_share_max > 1:
        yield f"alerts.journal_share_max: expected at most 1, got {alerts.journal_share_max}"


def _number_mistakes(config: Config) -> Iterator[str]:
    """Numbers out of range and unknown choices, by key."""
    for key in leaves(Config, {"providers": {}}):
        value: Any = config
        for name in key.split("."):
            value = getattr(value, name)
        if key in CHOICES and value not in CHOICES[key]:
            words = " | ".join(choice or '""' for choice in CHOICES[key])
            yield f"{key}: expected {words}, got {value!r}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not 0 <= value < float("inf") or (value == 0 and key not in ZERO_ALLOWED):
            least = "of at least 0" if key in ZERO_ALLOWED else "above 0"
            yield f"{key}: expected a number {least}, got {value}"
        elif value > NUMBER_MAX:
            yield f"{key}: expected a number of at most {NUMBER_MAX}, got {value}"
        if key.endswith(".port") and value > 65_535:
            yield f"{key}: expected a port of at most 65535, got {value}"
    if config.relays > RELAYS_MAX:
        yield f"relays: expected at most {RELAYS_MAX}; one per core is enough"


def _console_mistakes(config: Config) -> Iterator[str]:
    if config.proxy.port == config.console.port != 0 and config.proxy.host == config.console.host:
        yield f"console.port: proxy.port is {config.proxy.port} too; choose another port"
    if not BASE_PATH.fullmatch(config.console.base_path):
        yield (
            f"console.base_path: expected a path such as /taximeter, or nothing; got"
            f" {config.console.base_path!r}"
        )


def _listen_mistakes(key: str, listen: Listen) -> Iterator[str]:
    if "" in listen.named_hosts:
        yield f'{key}.host: an address is missing in {listen.host!r}; "0.0.0.0" and "::" mean any'
    elif wrong := [host for host in listen.named_hosts if not _is_host(host)]:
        yield f"{key}.host: expected an address or a name alone, got {wrong[0]!r}; see {key}.port"
    else:
        yield from _exposure_mistakes(key, listen)
    if listen.token and not TOKEN.fullmatch(listen.token):  # not quoted: it is a secret
        yield (
            f"{key}.token: expected at least {TOKEN_CHARACTERS_MIN} letters, digits or . _ ~ + / = "
            "-, for example from: openssl rand -hex 32"
        )
    if (listen.tls_cert is None) != (listen.tls_key is None):
        yield f"{key}.tls_cert: set {key}.tls_cert and {key}.tls_key together, or neither"
    for name, file in (("tls_cert", listen.tls_cert), ("tls_key", listen.tls_key)):
        if file is not None and not file.is_file():
            yield f"{key}.{name}: file not found: {file}"


def _is_host(host: str) -> bool:
    """Whether it can be an address, with a zone or not, or a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return HOST_NAME.fullmatch(host) is not None
    return True


def _exposure_mistakes(key: str, listen: Listen) -> Iterator[str]:
    """The proxy also needs TLS, because callers' keys and prompts pass through it."""
    if listen.insecure or all(map(is_loopback, listen.named_hosts)):
        return
    tls = listen.tls_cert is not None or key == "console"
    if listen.token and tls:
        return
    needed = (
        f"{key}.token" if key == "console" else f"{key}.token, {key}.tls_cert and {key}.tls_key"
    )
    yield (
        f"{key}.host: other machines can reach {listen.host}; use 127.0.0.1, set {needed}, or "
        f"set {key}.insecure = true to allow it anyway"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`; names other than localhost are not resolved."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _connection_mistakes(key: str, provider: Provider) -> Iterator[str]:
    for name, file in (("client_cert", provider.client_cert), ("client_key", provider.client_key)):
        if file is not None and not file.is_file():
            yield f"{key}.{name}: file not found: {file}"
    if provider.client_key is not None and provider.client_cert is None:
        yield f"{key}.client_key: set {key}.client_cert too"
    for name in ("first_byte_timeout_s", "idle_timeout_s"):
        if not 0 <= getattr(provider, name) < float("inf"):
            yield f"{key}.{name}: expected a number of at least 0 (0: as in [upstream])"


def _provider_mistakes(provider: Provider, built_in: Collection[str]) -> Iterator[str]:
    key = f"providers.{provider.name}"
    if not PROVIDER_NAME.fullmatch(provider.name):
        yield (
            f"{key}: invalid provider name; use lower-case letters, digits, dots, dashes and "
            "underscores, starting with a letter or digit"
        )
    yield from _connection_mistakes(key, provider)
    if provider.base_url:
        yield from _url_mistakes(f"{key}.base_url", provider.base_url)
        if provider.base_url.endswith("/"):
            yield f"{key}.base_url: must not end with a slash"
    elif provider.name not in built_in:
        hint = nearest(provider.name, built_in)
        yield f"{key}.base_url: required for a provider that is not built in{hint}"
    if provider.dialect not in DIALECTS:
        hint = nearest(provider.dialect, DIALECTS)
        yield f"{key}.dialect: unknown dialect {provider.dialect!r}{hint}"
    if provider.billing not in BILLING:
        words = " | ".join(choice or '""' for choice in BILLING)
        yield f"{key}.billing: expected {words}, got {provider.billing!r}"
    for quirk in sorted(provider.quirks - QUIRKS.keys()):
        yield f"{key}.quirks: unknown quirk {quirk!r}{nearest(quirk, QUIRKS)}"
    for name in ("owns", "shares"):
        for prefix in getattr(provider, name):
            if not prefix.startswith("/"):
                yield f"{key}.{name}: {prefix!r} must start with a slash"


def _url_mistakes(key: str, url: str) -> Iterator[str]:
    """Messages do not quote the URL, which may hold a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        yield f"{key}: invalid URL: {error}"
        return
    if parts.scheme not in ("http", "https") or not host:
        yield f"{key}: expected http:// or https:// and a host"
    if parts.username or parts.password:
        yield f"{key}: must not contain credentials; callers send their own with each call"
    if not url.isascii() or not url.isprintable() or " " in url:
        yield (
            f"{key}: only visible ASCII characters may be in a URL; write a name in its xn-- form, "
            "and percent-encode the path"
        )
    if parts.query or parts.fragment:
        yield f"{key}: must not contain a query or fragment; set scheme, host, port and path"
