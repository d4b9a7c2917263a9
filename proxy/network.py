"""TLS contexts, TCP keepalive, outgoing proxies, and the URLs of our own addresses."""

import ipaddress
import socket
import ssl
import urllib.request
from pathlib import Path

from yarl import URL

from proxy.settings.config import Listen

# Both legs are silent while a model thinks, for longer than NAT and firewalls remember a connection
# (350 s at AWS).  The SDKs of Anthropic and OpenAI use 60 s as well.
KEEPALIVE_S = 60
KEEPALIVE_PROBES = 5
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def keep_alive(sock: socket.socket) -> None:
    """Have TCP probe a silent peer, so that the connection stays known on its way, or ends."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)  # macOS
    if sock.family in (socket.AF_INET, socket.AF_INET6) and idle is not None:
        sock.setsockopt(socket.IPPROTO_TCP, idle, KEEPALIVE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def client_tls(
    ca_file: Path | None, cert: Path | None = None, key: Path | None = None, *, alpn: bool = True
) -> ssl.SSLContext:
    """A client context that trusts the system's authorities and, if given, those in `ca_file`.

    `cert` is shown to servers that ask for one.  `alpn`: it is for HTTP.  Raises OSError.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if cert is not None:
        context.load_cert_chain(cert, key)
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
    We do not use aiohttp's `trust_env`, which would add credentials from .netrc to calls.  Raises
    ValueError for a kind of proxy that we cannot speak to: a key in clear would reach its port.
    """
    host = url.host or ""
    if host == "localhost" or _is_loopback(host):
        return None
    proxies = urllib.request.getproxies_environment()
    named = proxies.get(url.scheme) or proxies.get("all")
    if not named or bypasses(proxies.get("no", ""), host, url.port):
        return None
    proxy = URL(named if "://" in named else f"http://{named}")
    if proxy.scheme not in PROXY_SCHEMES:
        known = ", ".join(PROXY_SCHEMES)
        raise ValueError(f"outgoing proxies of kind {proxy.scheme!r} are not supported ({known})")
    return proxy


def bypasses(no_proxy: str, host: str, port: int | None) -> bool:
    """Whether NO_PROXY lists the host, as curl and Go read it.

    `*` is every host; `a.example` and `.a.example` the domain and what is below it; an address or a
    network (CIDR) the host if it is an address; `:port` after any of them limits it to that port.
    """
    return any(_covers(entry.strip(), host, port) for entry in no_proxy.split(","))


def _covers(entry: str, host: str, port: int | None) -> bool:
    if not entry:
        return False
    entry, only = _without_port(entry.lower())
    if only is not None and only != port:
        return False
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:  # one of them is a name
        name = entry.removeprefix("*").removeprefix(".")
        return bool(name) and (host.lower() == name or host.lower().endswith(f".{name}"))


def _without_port(entry: str) -> tuple[str, int | None]:
    """`host:port`, `[v6]:port` or either alone; a bare IPv6 address has colons of its own."""
    if entry.startswith("["):
        inside, _, rest = entry[1:].partition("]")
        return inside, int(rest[1:]) if rest[1:].isdigit() else None
    if entry.count(":") == 1:
        name, _, digits = entry.partition(":")
        if digits.isdigit():
            return name, int(digits)
    return entry, None


def url_of(listen: Listen) -> str:
    """The URL at which this machine reaches the address; loopback for "any address"."""
    first = listen.named_hosts[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(first, first)
    scheme = "http" if listen.tls_cert is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listen.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
