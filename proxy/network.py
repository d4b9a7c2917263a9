"""TLS contexts, TCP keepalive, outgoing proxies, and the URLs of our own addresses."""

import ipaddress
import socket
import ssl
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from yarl import URL

from proxy.settings.config import Listen

# Both legs are silent while a model thinks, for longer than NAT and firewalls remember a connection
# (350 s at AWS).  The SDKs of Anthropic and OpenAI use 60 s as well.
KEEPALIVE_S = 60
KEEPALIVE_PROBES = 5
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
SOCKS_PORT = 1080  # RFC 1928, 3


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

    `cert` is shown to servers that ask for one.  `alpn`: it is for HTTP.  Raises OSError that says
    what is wrong with which file.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except ssl.SSLError as error:
            raise OSError(f"{ca_file}: no certificate in PEM form") from error
    if cert is not None:
        _load_own(context, cert, key)
    if alpn:
        context.set_alpn_protocols(["http/1.1"])
    return context


def server_tls(listen: Listen) -> ssl.SSLContext | None:
    """A server context; None if no certificate is configured.  Raises OSError like `client_tls`."""
    if listen.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load_own(context, listen.tls_cert, listen.tls_key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_own(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    """OpenSSL's own message names neither file; and it would ask a terminal for a pass phrase."""
    try:
        context.load_cert_chain(cert, key, password="")
    except OSError as error:
        raise OSError(_pem_mistake(cert, key or cert)) from error


def _pem_mistake(cert: Path, key: Path) -> str:
    """What is wrong with a certificate and its key.  Raises OSError for what cannot be read."""
    held = key.read_bytes()
    if b"CERTIFICATE-----" not in cert.read_bytes():
        return f"{cert}: no certificate in PEM form"
    if b"PRIVATE KEY-----" not in held:
        return f"{key}: no private key in PEM form"
    if b"ENCRYPTED" in held:
        return f"{key}: the key is encrypted; decrypt it with: openssl pkey -in FILE -out NEW_FILE"
    return f"{key}: not the key of {cert}, or one of the two is damaged"


def expired(cert: Path) -> datetime | None:
    """When the certificate, which was loaded before, ceased to be valid; None: it has not."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 — few starts need it

    try:
        ends = load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc
    except ValueError:  # OpenSSL takes some that are not quite as they should be
        return None
    return ends if ends < datetime.now(UTC) else None


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
    source = url.scheme if proxies.get(url.scheme) else "all"
    named = proxies.get(source, "").strip()
    if not named or bypasses(proxies.get("no", ""), host, url.port):
        return None
    return _proxy(named if "://" in named else f"http://{named}", f"{source.upper()}_PROXY")


def _proxy(named: str, variable: str) -> URL:
    """Messages do not quote it, as it may hold a password."""
    try:
        proxy = URL(named)
    except ValueError:
        proxy = URL()
    if proxy.scheme not in ("", *PROXY_SCHEMES):
        raise ValueError(
            f"{variable}: outgoing proxies of kind {proxy.scheme!r} are not supported "
            f"({', '.join(PROXY_SCHEMES)})"
        )
    if not (proxy.scheme and proxy.host):
        raise ValueError(f"{variable}: expected http://HOST:PORT, or another kind of proxy")
    return proxy if proxy.port is not None else proxy.with_port(SOCKS_PORT)


def bypasses(no_proxy: str, host: str, port: int | None) -> bool:
    """Whether NO_PROXY lists the host, as curl and Go read it.

    `*` is every host; `a.example` and `.a.example` the domain and what is below it; an address or a
    network (CIDR) the host if it is an address; `:port` after any of them limits it to that port.
    Commas or spaces are between them, and a dot at the end of a name does not count.
    """
    name = host.lower().rstrip(".")
    return any(_covers(entry, name, port) for entry in no_proxy.replace(",", " ").split())


def _covers(entry: str, host: str, port: int | None) -> bool:
    entry, only = _without_port(entry.lower())
    if only is not None and only != port:
        return False
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:  # one of them is a name
        name = entry.removeprefix("*").strip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))


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
    return f"{scheme}://{bracketed(host)}:{listen.port}"


def bracketed(host: str) -> str:
    """A host as it stands before `:port` (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
