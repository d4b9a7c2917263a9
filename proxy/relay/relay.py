"""The relay's front door: sorts a request's headers, finds its provider, and runs a `Call`.

The relay parses no body, prices nothing and talks to no database; it appends what passes through it
to the journal.
"""

import asyncio
import logging
import os
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from time import monotonic_ns, time_ns

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy.exchange import Begun
from proxy.relay.answers import CLOSED, KEPT, RelayAnswer, error_answer
from proxy.relay.attempt import Attempt
from proxy.relay.call import Call
from proxy.relay.call_log import CallJournal, CallLog
from proxy.relay.callers import CallerServer
from proxy.relay.headers import RequestHeaders, sort_request
from proxy.relay.routes import Refusal, Route, Routes
from proxy.relay.upstream import HEADERS_MAX, READ_BUFFER_BYTES, Upstreams
from proxy.secrecy.fingerprint import Fingerprints, credential, load_key
from proxy.secrecy.patterns import credential_kind
from proxy.secrecy.scrubbing import scrubbed, scrubbed_tags, scrubbed_target
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)

IDLE_GRACE_S = 0.5  # a request may already be on its way on a connection that looks idle
BASE_URLS = (  # the variables that the best-known SDKs read, and the path each expects
    ("openai", "OPENAI_BASE_URL", "/openai/v1"),
    ("anthropic", "ANTHROPIC_BASE_URL", "/anthropic"),
    ("gemini", "GOOGLE_GEMINI_BASE_URL", "/gemini"),
)
TOKEN_WANTED = (
    "this proxy requires a token (proxy.token). Send it in the header x-taximeter-token, or put it "
    "into the base URL: /~token=TOKEN/openai/v1"
)
CUT_S = 2.0  # how long calls that are cut off may take to note their end


class Relay:
    """Serves callers.  Make it inside the running loop; `server()` is the protocol factory.

    Raises OSError or ValueError if the fingerprint key cannot be read or made.
    """

    def __init__(self, config: Config, journal: CallJournal) -> None:
        self._config = config
        self._journal = journal
        self._routes = Routes(config.providers)
        self._upstreams = Upstreams(config.providers, config.upstream)
        self._fingerprints = Fingerprints(
            load_key(Places(config.data).fingerprint_key), config.key_names
        )
        self._running: dict[RequestHandler, asyncio.Task[object]] = {}
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()

    def server(self) -> CallerServer:
        """The protocol factory for `loop.create_server`."""
        return CallerServer(
            self.handle,
            self._config.callers,
            access_log=None,
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=self._config.upstream.header_bytes_max,
            max_field_size=self._config.upstream.header_bytes_max,
            max_headers=HEADERS_MAX,
        )

    async def finish(self, callers: CallerServer, timeout_s: float, hurry: asyncio.Event) -> None:
        """Let calls in flight finish, until `timeout_s` or `hurry`; then cut off the rest.

        aiohttp's own `shutdown` stops reading request bodies at once, and may wait twice as long.
        """
        self._stopping.set()  # from here on every response is the last on its connection
        deadline = asyncio.get_running_loop().time() + timeout_s
        if callers.connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), min(IDLE_GRACE_S, timeout_s))
        for connection in callers.connections:
            if connection not in self._running:
                connection.force_close()
        if self._running:
            self._idle.clear()
            ends = [asyncio.create_task(event.wait()) for event in (self._idle, hurry)]
            left_s = deadline - asyncio.get_running_loop().time()
            await asyncio.wait(ends, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        await self._cut()
        for connection in callers.connections:
            connection.force_close()
        await self._upstreams.close()

    async def _cut(self) -> None:
        """Cancel the calls that still run, and wait until the journal has their end."""
        if not self._running:
            return
        log.warning("Cut off %d calls in flight to stop in time.", len(self._running))
        for task in self._running.values():
            task.cancel()
        await asyncio.wait(self._running.values(), timeout=CUT_S)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: through its provider, or directly if it has none."""
        started_ns = monotonic_ns()
        # The unread rest of a body would be taken for the next request.
        reusable = request.keep_alive and request.content.at_eof()
        bodyless = request.method == "HEAD"
        refusal = partial(error_answer, bodyless=bodyless, keep_alive=reusable)
        if request.method == "CONNECT":
            text = "this is not a forward proxy. Use it as your SDK's base URL, not as HTTPS_PROXY."
            return error_answer(405, "connect_refused", text, keep_alive=False)
        headers = sort_request(request.raw_headers)
        route = self._routes.find(request.raw_path)
        if not self._config.proxy.admits(headers.token or route.token):
            return refusal(401, "unauthorized", TOKEN_WANTED)
        if request.raw_path == "/" and request.method in ("GET", "HEAD"):
            told = self._introduction(request)
            return RelayAnswer(200, told, bodyless=bodyless, keep_alive=reusable)
        if headers.chunked and headers.codings != b"chunked":
            text = "the only supported Transfer-Encoding is chunked."
            return refusal(501, "transfer_coding", text)
        if isinstance(route, Refusal):
            return refusal(route.status, route.kind, route.message, providers=self._providers())
        address = self._upstreams.addresses[route.provider.name]
        secret = credential(headers.forward, route.target)
        begun = self._begun(request, headers, route, address.origin, secret)
        attempt = Attempt(
            request,
            headers,
            target=route.target,
            address=address,
            log=CallLog(self._journal, self._config.journal, begun, secret),
            upstreams=self._upstreams,
            started_ns=started_ns,
        )
        return await self._run(Call(request, attempt, stopping=self._stopping), request.protocol)

    async def _run(self, call: Call, connection: RequestHandler) -> web.StreamResponse:
        """Run a call where `finish` can see it."""
        task = asyncio.current_task()
        assert task is not None  # aiohttp runs each handler in a task
        self._running[connection] = task
        try:
            response = await call.run()
        finally:
            del self._running[connection]
            if not self._running:
                self._idle.set()
        return CLOSED if self._stopping.is_set() and response is KEPT else response

    def _begun(
        self,
        request: web.BaseRequest,
        headers: RequestHeaders,
        route: Route,
        origin: str,
        secret: str,
    ) -> Begun:
        wall_ns = time_ns()
        return Begun(
            call_id=new_call_id(wall_ns),
            wall_ns=wall_ns,
            method=request.method,
            target=scrubbed_target(route.target),
            provider=route.provider.name,
            upstream=origin,
            headers=scrubbed(headers.forward),
            tags=scrubbed_tags({**route.tags, **headers.tags}),
            key_id=self._fingerprints.name(secret),
            credential_kind=credential_kind(secret),
            websocket=headers.websocket,
        )

    def _providers(self) -> list[str]:
        """The names of the providers that can be called."""
        return sorted(self._upstreams.addresses)

    def _introduction(self, request: web.BaseRequest) -> dict[str, object]:
        """What this is, and how to point an SDK at the address that this caller used."""
        scheme = "https" if self._config.proxy.tls_cert else "http"
        base = f"{scheme}://{request.headers.get('Host', 'localhost')}"
        return {
            "name": "taximeter",
            "version": _version(),
            "providers": self._providers(),
            "how_to": {
                variable: base + path
                for provider, variable, path in BASE_URLS
                if provider in self._upstreams.addresses
            },
        }


def new_call_id(wall_ns: int) -> str:
    """A UUIDv7 (RFC 9562, 5.7): sorts by time, unique without coordination."""
    random = int.from_bytes(os.urandom(10))
    value = (wall_ns // 1_000_000) << 80 | 7 << 76 | (random >> 68) << 64
    value |= 0b10 << 62 | random & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _version() -> str:
    try:
        return version("taximeter")
    except PackageNotFoundError:  # run from a checkout
        return "unknown"
