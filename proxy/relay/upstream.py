"""Providers: where they are, and connections to them, pooled or new.

aiohttp's connector makes the connections: name lookup, both address families, TLS, and CONNECT
through an outgoing proxy.  Once a connection stands, it is an `UpstreamConnection`.
"""

import asyncio
import ssl
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from multidict import CIMultiDict
from python_socks.async_.asyncio import Proxy
from yarl import URL

from proxy.network import client_tls, outgoing_proxy
from proxy.relay.fields import Field
from proxy.relay.http1 import BadHead
from proxy.relay.parsing import HeadLimits
from proxy.relay.pool import Pool
from proxy.relay.upstream_connection import UpstreamConnection
from proxy.settings.config import Provider, UpstreamOptions

SOCKS = ("socks5", "socks5h")  # with "h" the proxy looks the name up


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Address:
    """Where a provider is.  Made once for each provider and used for every call.

    `request` only tells aiohttp's connector where to connect; it is never sent.  `absolute` goes
    before the target, for a plain-HTTP outgoing proxy that wants the absolute form.
    """

    request: ClientRequest
    host: Field
    origin: str  # scheme://host[:port]
    first_byte_timeout_s: float
    idle_timeout_s: float
    absolute: str = ""
    proxy_headers: tuple[bytes, ...] = ()  # lines
    socks: URL | None = None
    tls: ssl.SSLContext | None = None

    @property
    def proxied(self) -> bool:
        """Whether an outgoing proxy stands between."""
        return self.socks is not None or self.request.proxy is not None


class Upstreams:
    """All providers' addresses over one connection pool.  Make it inside the running loop.

    `stale` is called for each pooled connection that turned out to be closed.  Raises OSError or
    ValueError for a certificate that cannot be read.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        limits: UpstreamOptions,
        stale: Callable[[], None] = lambda: None,
    ) -> None:
        self.head_limits = HeadLimits(
            line_bytes_max=limits.header_bytes_max,
            lines_max=limits.header_lines_max,
            head_bytes_max=limits.head_bytes_max,
        )
        self._connect_timeout_s = limits.connect_timeout_s
        self._timeout = ClientTimeout(connect=limits.connect_timeout_s)
        tls = client_tls(limits.ca_file)
        self._connector = TCPConnector(ssl=tls, limit=0, force_close=True)
        self._pool = Pool(stale)
        self._max = limits.connections_max
        self._used = 0  # connections that are in use or being made
        self._waiting: deque[asyncio.Future[None]] = deque()  # for one of them to be given back
        self.addresses = {
            name: address(provider, limits, tls)
            for name, provider in providers.items()
            if provider.base_url
        }

    def pooled(self, to: Address) -> UpstreamConnection | None:
        """A connection that is there already; None if there is none, or too many are in use."""
        if self._max and (self._used >= self._max or self._waiting):
            return None
        connection = self._pool.take(to)
        if connection is not None:
            self._used += 1
        return connection

    async def connect(self, to: Address) -> UpstreamConnection:
        """A new connection.  Raises what `failures.FAILURES` lists."""
        await self._slot()
        try:
            connection = self._pool.take(to) if self._max else None
            if connection is None:
                connection = await (self._direct(to) if to.socks is None else self._socks(to))
            return connection
        except BaseException:
            self._free_slot()
            raise

    def release(self, to: Address, connection: UpstreamConnection, *, reusable: bool) -> None:
        """Give a connection back, for others if it is `reusable`."""
        connection.user = None
        connection.unspare()
        self._free_slot()
        spent = connection.closed or connection.reading_paused or connection.transport.is_closing()
        if reusable and not spent:
            self._pool.put(to, connection)
        else:
            connection.abort()

    def forget(self) -> None:
        """A connection that was in use closes by itself."""
        self._free_slot()

    async def close(self) -> None:
        self._pool.close()
        await self._connector.close()

    async def _direct(self, to: Address) -> UpstreamConnection:
        held = await self._connector.connect(to.request, traces=[], timeout=self._timeout)
        protocol, transport = held.protocol, held.transport
        if protocol is None or protocol.should_close or transport is None:
            held.close()
            raise BadHead("it spoke before it was asked, as servers of nothing but HTTP/2 do")
        connection = UpstreamConnection(transport, self.head_limits)
        protocol.connection_lost(None)  # for aiohttp the connection is over
        held.close()
        return connection

    async def _socks(self, to: Address) -> UpstreamConnection:
        """Through a SOCKS proxy (RFC 1928), with TLS to the provider inside."""
        assert to.socks is not None
        url, loop = to.request.url, asyncio.get_running_loop()
        assert url.host is not None
        assert url.port is not None
        proxy = Proxy.from_url(
            str(to.socks.with_scheme("socks5")), rdns=to.socks.scheme == "socks5h"
        )
        async with asyncio.timeout(self._connect_timeout_s):
            sock = await proxy.connect(url.host, url.port)
            transport, _ = await loop.create_connection(
                asyncio.Protocol,
                sock=sock,
                ssl=to.tls if url.scheme == "https" else None,
                server_hostname=url.host if url.scheme == "https" else None,
            )
        return UpstreamConnection(transport, self.head_limits)

    async def _slot(self) -> None:
        """Wait until a connection more may be used."""
        while self._max and self._used >= self._max:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                async with asyncio.timeout(self._connect_timeout_s):
                    await turn
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)
        self._used += 1

    def _free_slot(self) -> None:
        self._used -= 1
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


def address(provider: Provider, limits: UpstreamOptions, tls: ssl.SSLContext) -> Address:
    """The address of a provider, through the proxy that the environment sets for it, if any."""
    url = URL(provider.base_url)
    authority = url.host_port_subcomponent or ""
    origin = f"{url.scheme}://{authority}"
    if provider.client_cert is not None:
        tls = client_tls(limits.ca_file, provider.client_cert, provider.client_key)
    first_byte_s, idle_s = provider.first_byte_timeout_s, provider.idle_timeout_s

    def made(
        *,
        proxy: URL | None = None,
        proxy_headers: CIMultiDict[str] | None = None,
        absolute: str = "",
        lines: tuple[bytes, ...] = (),
        socks: URL | None = None,
    ) -> Address:
        request = ClientRequest(
            "GET", URL(origin), loop=asyncio.get_running_loop(), ssl=tls, proxy=proxy,
            proxy_headers=proxy_headers,
        )  # fmt: skip
        return Address(
            request=request,
            host=Field((b"Host", authority.encode())),
            origin=origin,
            first_byte_timeout_s=first_byte_s or limits.first_byte_timeout_s,
            idle_timeout_s=idle_s or limits.idle_timeout_s,
            absolute=absolute,
            proxy_headers=lines,
            socks=socks,
            tls=tls,
        )

    proxy = outgoing_proxy(url)
    if proxy is None:
        return made()
    if proxy.scheme in SOCKS:
        return made(socks=proxy)
    own = _authorization(proxy)
    proxy = proxy.with_user(None)
    if url.scheme == "https":  # CONNECT; aiohttp adds Host to this mapping, part of the pool's key
        return made(proxy=proxy, proxy_headers=CIMultiDict({"Host": authority, **own}))
    lines = tuple(f"{name}: {value}".encode() for name, value in own.items())
    return made(proxy=proxy, absolute=origin, lines=lines)


def _authorization(proxy: URL) -> dict[str, str]:
    """The credentials for the proxy itself, not the caller's."""
    if proxy.raw_user is None:
        return {}
    pair = f"{unquote(proxy.raw_user)}:{unquote(proxy.raw_password or '')}"
    return {"Proxy-Authorization": "Basic " + b64encode(pair.encode()).decode()}
