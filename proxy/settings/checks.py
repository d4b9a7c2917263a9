"""What is wrong with values of the right type, each in one sentence that begins with its key."""

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from proxy.settings.config import DIALECTS, QUIRKS, AlertOptions, Config, Listen, Provider
from proxy.settings.content_checks import content_mistakes
from proxy.settings.typed import leaves, nearest

PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")  # it is a path segment
CHOICES: Mapping[str, tuple[str, ...]] = {
    "journal.fsync": ("interval", "always", "never"),
    "otlp.protocol": ("", "http/protobuf", "grpc"),
    "otlp.profile": ("compat", "latest"),
    "otlp.incoming": ("parent", "link", "ignore"),
}
# Zero means "any", "at once" or "no limit" for these; every other number must be positive.
ZERO_ALLOWED = ("proxy.port", "console.port", "upstream.connections_max", "drain_timeout_s")
# RFC 6750, 2.1: what a header, a URL and a shell leave as it is.  The length is not to be guessed.
TOKEN_CHARACTERS_MIN = 16
TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{{TOKEN_CHARACTERS_MIN},}}")
WEBHOOK = re.compile(r"https?://([^/?#@\s]*@)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?([/?#]|$)")
HEADER = re.compile(r"[!#$%&'*+.^`|~\w-]+:[^\x00-\x1f\x7f]*", re.ASCII)  # RFC 9110, 5.1 and 5.5
# `exporters.clickhouse.connection` checks the rest of a DSN.
STORE_SCHEMES = ("chdb", "clickhouse", "http", "https")


def mistakes(config: Config, built_in: Collection[str]) -> Iterator[str]:
    """What is wrong with values of the right type."""
    yield from _number_mistakes(config)
    for key, listen in (("proxy", config.proxy), ("console", config.console)):
        yield from _listen_mistakes(key, listen)
    if config.proxy.port == config.console.port != 0 and config.proxy.host == config.console.host:
        yield f"console.port: is {config.console.port}, as proxy.port is; choose another"
    for provider in config.providers.values():
        yield from _provider_mistakes(provider, built_in)
    if config.upstream.ca_file is not None and not config.upstream.ca_file.is_file():
        yield f"upstream.ca_file: there is no file {config.upstream.ca_file}"
    if config.metering.tariffs is not None and not config.metering.tariffs.is_dir():
        yield f"metering.tariffs: there is no directory {config.metering.tariffs}"
    if config.store.dsn and urlsplit(config.store.dsn).scheme not in STORE_SCHEMES:
        yield f"store.dsn: does not begin with one of {', '.join(f'{s}://' for s in STORE_SCHEMES)}"
    yield from content_mistakes(config.content)
    if config.otlp.endpoint:
        yield from _url_mistakes("otlp.endpoint", config.otlp.endpoint)
    yield from _alert_mistakes(config.alerts)
    if config.data.exists() and not config.data.is_dir():
        yield f"data: {config.data} is not a directory"


def _alert_mistakes(alerts: AlertOptions) -> Iterator[str]:
    """Neither URL nor headers are repeated: they may be secrets."""
    if alerts.webhook and not WEBHOOK.match(alerts.webhook):
        yield "alerts.webhook: expected http:// or https:// and a host"
    if not all(map(HEADER.fullmatch, map(":".join, alerts.webhook_headers.items()))):
        yield "alerts.webhook_headers: one of them is no header"
    if alerts.journal_share_max > 1:
        yield f"alerts.journal_share_max: is {alerts.journal_share_max}, expected at most 1"


def _number_mistakes(config: Config) -> Iterator[str]:
    """Numbers out of range and words out of their set, by key."""
    for key in leaves(Config, {"providers": {}}):
        value: Any = config
        for name in key.split("."):
            value = getattr(value, name)
        if key in CHOICES and value not in CHOICES[key]:
            words = " | ".join(choice or '""' for choice in CHOICES[key])
            yield f"{key}: is {value!r}, expected {words}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not 0 <= value < float("inf") or (value == 0 and key not in ZERO_ALLOWED):
            least = "of at least 0" if key in ZERO_ALLOWED else "above 0"
            yield f"{key}: is {value}, expected a number {least}"
        if key.endswith(".port") and value > 65_535:
            yield f"{key}: is {value}, expected a port of at most 65535"


def _listen_mistakes(key: str, listen: Listen) -> Iterator[str]:
    yield from _exposure_mistakes(key, listen)
    if listen.token and not TOKEN.fullmatch(listen.token):  # not repeated: it is a secret
        yield (
            f"{key}.token: expected at least {TOKEN_CHARACTERS_MIN} letters, digits or . _ ~ + / = "
            "-, as openssl rand -hex 32 makes them"
        )
    if (listen.tls_cert is None) != (listen.tls_key is None):
        yield f"{key}.tls_cert: needs {key}.tls_key as well, and the other way round"
    for name, file in (("tls_cert", listen.tls_cert), ("tls_key", listen.tls_key)):
        if file is not None and not file.is_file():
            yield f"{key}.{name}: there is no file {file}"


def _exposure_mistakes(key: str, listen: Listen) -> Iterator[str]:
    """Callers' keys and prompts pass the proxy, so it asks for TLS as well."""
    if listen.insecure or is_loopback(listen.host):
        return
    tls = listen.tls_cert is not None or key == "console"
    if listen.token and tls:
        return
    needed = (
        f"{key}.token" if key == "console" else f"{key}.token, {key}.tls_cert and {key}.tls_key"
    )
    yield (
        f"{key}.host: {listen.host} can be reached by other machines; set {needed}, or "
        f"{key}.insecure = true if that is meant, or use 127.0.0.1"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`; other names than localhost are not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _provider_mistakes(provider: Provider, built_in: Collection[str]) -> Iterator[str]:
    key = f"providers.{provider.name}"
    if not PROVIDER_NAME.fullmatch(provider.name):
        yield f"{key}: a name is lower-case letters, digits, dot, dash and underscore"
    if provider.base_url:
        yield from _url_mistakes(f"{key}.base_url", provider.base_url)
        if provider.base_url.endswith("/"):
            yield f"{key}.base_url: ends with a slash; leave it out, paths begin with one"
    elif provider.name not in built_in:
        yield f"{key}.base_url: a provider of your own needs it{nearest(provider.name, built_in)}"
    if provider.dialect not in DIALECTS:
        yield f"{key}.dialect: is {provider.dialect!r}{nearest(provider.dialect, DIALECTS)}"
    for quirk in sorted(provider.quirks - QUIRKS.keys()):
        yield f"{key}.quirks: there is no {quirk!r}{nearest(quirk, QUIRKS)}"
    for prefix in provider.owns:
        if not prefix.startswith("/"):
            yield f"{key}.owns: {prefix!r} does not begin with a slash"


def _url_mistakes(key: str, url: str) -> Iterator[str]:
    """The URL itself is not repeated: it may hold a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        yield f"{key}: is not a URL: {error}"
        return
    if parts.scheme not in ("http", "https") or not host:
        yield f"{key}: expected http:// or https:// and a host"
    if parts.username or parts.password:
        yield f"{key}: holds credentials; they belong to the caller, who sends them with each call"
    if parts.query or parts.fragment:
        yield f"{key}: holds a query; only scheme, host, port and path may be set"
