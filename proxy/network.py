"""TLS contexts, outgoing proxies, and the URLs of our own addresses."""

import ipaddress
import ssl
import urllib.request
from pathlib import Path

from yarl import URL

from proxy.settings.config import Listen


def client_tls(ca_file: Path | None, *, alpn: bool = True) -> ssl.SSLContext:
    """A client context that trusts the system's authorities and, if given, those in `ca_file`.

    `alpn`: it is for HTTP.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if alpn:
        context.set_alpn_protocols(["http/1.1"])
    return context


def server_tls(listen: Listen) -> ssl.SSLContext | None:
    """A server context; None if no certificate is configured.  Raises OSError."""
    if listen.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(listen.tls_cert, listen.tls_key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def outgoing_proxy(url: URL) -> URL | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for `url`.

    Loopback is always reached directly, as in Go's net/http: a local model is not behind a proxy.
    We do not use aiohttp's `trust_env`, which would add credentials from .netrc to calls.
    """
    host = url.host or ""
    if host == "localhost" or _is_loopback(host):
        return None
    proxies = urllib.request.getproxies_environment()
    bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed
    if bypass(f"{host}:{url.port}", proxies):
        return None
    named = proxies.get(url.scheme) or proxies.get("all")
    if not named:
        return None
    return URL(named if "://" in named else f"http://{named}")


def url_of(listen: Listen) -> str:
    """The URL at which this machine reaches the address; loopback for "any address"."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(listen.host, listen.host)
    scheme = "http" if listen.tls_cert is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listen.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
