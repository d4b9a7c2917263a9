"""Connections to providers: pooled, verified, and through an outgoing proxy if one is set.

The relay writes heads itself, byte for byte, so it uses only aiohttp's connector and its protocol:
pool, name lookup, TLS, CONNECT, and the response parser.  A ClientSession would add and normalise
headers, repeat a failed GET, and cost more than everything else in a call.
"""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from aiohttp import ClientRequest, ClientTimeout, ServerDisconnectedError, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from proxy.network import client_tls, outgoing_proxy
from proxy.relay.aiohttp_private import make_upstream_connections
from proxy.settings.config import Provider, UpstreamOptions

READ_BUFFER_BYTES = 64 * 1024  # read of a body ahead of its receiver; at most twice that
POOL_IDLE_S = 15.0  # every known provider keeps idle connections longer
UNASKED_MAX = 100  # connections in a row that send something before a request
HEADERS_MAX = 256  # header lines in one message, requests and responses alike
HEAD_BYTES_MAX = 256 * 1024  # of one message head, requests and responses alike


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider is.  Made once for each provider and used for every call.

    `request` only tells aiohttp's connector where to connect; it is never sent.  `absolute` goes
    before the target, for a plain-HTTP outgoing proxy that wants the absolute form.
    """

    request: ClientRequest
    host: bytes
    origin: str  # scheme://host[:port]
    absolute: bytes = b""
    proxy_headers: tuple[tuple[bytes, bytes], ...] = ()


class Upstreams:
    """All providers' addresses over one connection pool.  Make it inside the running loop."""

    def __init__(self, providers: Mapping[str, Provider], limits: UpstreamOptions) -> None:
        self.idle_timeout_s = limits.idle_timeout_s
        self._header_bytes_max = limits.header_bytes_max
        self._timeout = ClientTimeout(connect=limits.connect_timeout_s)
        self._connector = TCPConnector(
            ssl=client_tls(limits.ca_file),
            limit=limits.connections_max,
            keepalive_timeout=POOL_IDLE_S,
        )
        make_upstream_connections(self._connector)
        self.addresses = {
            name: address(provider.base_url)
            for name, provider in providers.items()
            if provider.base_url
        }

    async def connect(self, to: Address) -> Connection:
        """A pooled or new connection.  Raises ClientError, OSError or TimeoutError.

        A connection that received something unrequested is not used: that would be taken for the
        answer to the next call.
        """
        for _ in range(UNASKED_MAX):
            connection = await self._connector.connect(to.request, traces=[], timeout=self._timeout)
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                return connection
            connection.close()
        raise ServerDisconnectedError

    def expect_response(self, protocol: ResponseHandler, *, bodyless: bool) -> None:
        """Prepare to parse one response; `bodyless` is true for the answer to HEAD."""
        protocol.set_response_params(
            skip_payload=bodyless,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self.idle_timeout_s,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=self._header_bytes_max,
            max_field_size=self._header_bytes_max,
            max_headers=HEADERS_MAX,
        )

    async def close(self) -> None:
        await self._connector.close()


def address(base_url: str) -> Address:
    """The address of `base_url`, through the proxy that the environment sets for it, if any."""
    url = URL(base_url)
    authority = url.host_port_subcomponent or ""
    origin = f"{url.scheme}://{authority}"
    loop = asyncio.get_running_loop()
    proxy = outgoing_proxy(url)
    if proxy is None:
        request = ClientRequest("GET", URL(origin), loop=loop)
        return Address(request, authority.encode(), origin)
    own = _authorization(proxy)
    proxy = proxy.with_user(None)
    if url.scheme == "https":  # CONNECT; aiohttp adds Host to this mapping, part of the pool's key
        headers = CIMultiDict({"Host": authority, **own})
        request = ClientRequest("GET", URL(origin), loop=loop, proxy=proxy, proxy_headers=headers)
        return Address(request, authority.encode(), origin)
    request = ClientRequest("GET", URL(origin), loop=loop, proxy=proxy)
    pairs = tuple((name.encode(), value.encode()) for name, value in own.items())
    return Address(request, authority.encode(), origin, origin.encode(), pairs)


def _authorization(proxy: URL) -> dict[str, str]:
    """The credentials for the proxy itself, not the caller's."""
    if proxy.raw_user is None:
        return {}
    pair = f"{unquote(proxy.raw_user)}:{unquote(proxy.raw_password or '')}"
    return {"Proxy-Authorization": "Basic " + b64encode(pair.encode()).decode()}
