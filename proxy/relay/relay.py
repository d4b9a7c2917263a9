"""The relay's front door: sorts a request's headers, finds its provider, and runs a `Call`.

The relay parses no body, prices nothing and talks to no database; it appends what passes through it
to the journal.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from time import monotonic_ns, time_ns

from aiohttp.http import RawRequestMessage

from proxy import probes
from proxy.exchange import Begun, GatewayNote
from proxy.gate.keeper import Keeper
from proxy.probes import PROBES
from proxy.relay.answers import error_answer, relay_answer
from proxy.relay.call import Call, Caller
from proxy.relay.call_log import CallJournal, CallLog
from proxy.relay.caller_connection import CallerConnection
from proxy.relay.callers import Callers
from proxy.relay.guard import Envelope, Guard
from proxy.relay.headers import RequestHeaders, sort_request
from proxy.relay.ids import CallIds
from proxy.relay.routes import Refusal, Route, Routes, own_path
from proxy.relay.running import Door, Opened
from proxy.relay.services import Services
from proxy.relay.settling import Settling
from proxy.relay.upstream import Upstreams
from proxy.secrecy.fingerprint import Fingerprints, load_key
from proxy.secrecy.scrubbing import scrubbed_tags, scrubbed_target
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
LOOK_S = 0.05  # between two looks at whether callers have taken their last bytes
NO_FORWARD_PROXY = "this is not a forward proxy. Use it as your SDK's base URL, not as HTTPS_PROXY."
NO_METHOD = "this path of the proxy's own answers GET and HEAD."
OWN_PATHS = PROBES | {"/"}


class Relay:
    """Serves callers.  Make it inside the running loop; `server()` is the protocol factory.

    `stale` is called for each pooled connection that a provider had closed; `keeper` knows the
    budgets that calls must pass (None: there are none); `instance` is answered at `/readyz`.
    Raises OSError or ValueError if the fingerprint key or a certificate cannot be read or made.
    """

    def __init__(
        self,
        config: Config,
        journal: CallJournal,
        stale: Callable[[], None] = lambda: None,
        keeper: Keeper | None = None,
        instance: str = "",
    ) -> None:
        self._instance = instance
        self._config = config
        self._journal = journal
        self._keeper = keeper
        self._routes = Routes(config.providers)
        upstreams = Upstreams(config.providers, config.upstream, stale)
        self._upstreams = upstreams
        self._services = Services(upstreams, Settling(journal))
        self._fingerprints = Fingerprints(
            load_key(Places(config.data).fingerprint_key), config.key_names
        )
        self.door: Door | None = None  # the gateway's
        self.in_flight: Callable[[], int] | None = None  # calls on this machine; None: unknown
        self._ids = CallIds()
        self.ready = True  # whether balancers should send new connections here

    def turn_unready(self) -> None:
        """Fail `/readyz` from now on; everybody is still served."""
        self.ready = False

    def callers(self) -> Callers:
        """Those of one server."""
        return Callers(self._config.callers, self._upstreams.head_limits)

    def connection(self, callers: Callers) -> CallerConnection:
        """A new connection, for `loop.create_server`."""
        return CallerConnection(callers, self.open)

    async def finish(self, callers: Callers, timeout_s: float, hurry: asyncio.Event) -> None:
        """Let calls in flight finish, until `timeout_s` or `hurry`; then cut off the rest."""
        self.turn_unready()
        callers.stopping = True  # from here on every response is the last on its connection
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        if callers.connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), min(IDLE_GRACE_S, timeout_s))
        for connection in tuple(callers.connections - callers.running):
            connection.close()
        if callers.running:
            callers.none_running.clear()
            ends = [asyncio.create_task(e.wait()) for e in (callers.none_running, hurry)]
            left_s = deadline - loop.time()
            await asyncio.wait(ends, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        await self._cut(callers)
        for connection in tuple(callers.connections):
            connection.close()
        while callers.unsent and loop.time() < deadline and not hurry.is_set():
            await asyncio.sleep(LOOK_S)
        callers.stop()
        self._services.stop()
        await self._upstreams.close()

    async def _cut(self, callers: Callers) -> None:
        """Break off the calls that still run, and wait until the journal has their end."""
        if callers.running:
            log.warning("Cut off %d calls in flight to stop in time.", len(callers.running))
        for connection in tuple(callers.running):
            if connection.running is not None:
                connection.running.cut_off()
        with suppress(TimeoutError):
            async with asyncio.timeout(CUT_S):
                while self._services.settling.pending:
                    await asyncio.sleep(0.001)

    def open(self, caller: CallerConnection, request: RawRequestMessage) -> Opened:
        """Begin to answer one request: through its provider, or directly if it has none."""
        started_ns = monotonic_ns()
        headers = sort_request(request.raw_headers)
        framed = not headers.chunked or headers.codings == b"chunked"
        if self.door is not None and framed and self.door.is_for(request.path):
            return self.door.open(caller, request, headers)
        route = self._routes.find(request.path, request.raw_headers)
        if not self._is_forwarded(request, headers, route) or isinstance(route, Refusal):
            # The unread rest of a body would be taken for the next request.
            lives = caller.request_whole and not (request.should_close or caller.stopping)
            lives = lives and request.method != "CONNECT"
            return self._own_answer(request, headers, route, lives=lives), lives
        return self.forward(caller, request, headers, route, started_ns=started_ns)[0]

    def forward(
        self,
        caller: Caller,
        request: RawRequestMessage,
        headers: RequestHeaders,
        route: Route,
        note: GatewayNote | None = None,
        *,
        words: tuple[str, str] | None = None,
        started_ns: int,
    ) -> tuple[Call, CallLog]:
        """A call, with its place in the journal; for `note` and `words` see `proxy.door.door`."""
        address = self._upstreams.addresses[route.provider.name]
        begun, noted = self.noted(request, headers, route, note)
        keeper = self._keeper
        guarded = keeper is not None and keeper.enforces
        call = Call(
            caller,
            request,
            headers,
            route.target,
            address,
            noted,
            self._services,
            started_ns,
            self._guard(begun, route, headers, words) if guarded else None,
        )
        return call, noted

    def noted(
        self,
        request: RawRequestMessage,
        headers: RequestHeaders,
        route: Route,
        note: GatewayNote | None = None,
    ) -> tuple[Begun, CallLog]:
        """A call's place in the journal, where it has begun."""
        who, wall_ns = self._fingerprints.caller(headers.credentials, route.target), time_ns()
        begun = Begun(
            call_id=self._ids.new(wall_ns),
            wall_ns=wall_ns,
            method=request.method,
            target=scrubbed_target(route.target),
            provider=route.provider.name,
            upstream=self._upstreams.addresses[route.provider.name].origin,
            headers=tuple([field.noted for field in headers.fields]),
            tags=scrubbed_tags({**route.tags, **headers.tags})
            if route.tags or headers.tags
            else {},
            key_id=who.name,
            credential_kind=who.kind,
            websocket=headers.websocket,
            gateway=note,
            in_flight=None if self.in_flight is None else self.in_flight() + 1,
        )
        return begun, CallLog(self._journal, self._config.journal, begun, who.secret)

    def _guard(
        self, begun: Begun, route: Route, headers: RequestHeaders, words: tuple[str, str] | None
    ) -> Guard | None:
        """What holds the call back until its budgets let it pass; None: none is about it."""
        assert self._keeper is not None
        try:
            asking = self._keeper.asking(begun, route.provider)
        except Exception:
            log.exception("Cannot match budgets; the call passes.")
            return None
        if asking is None:
            return None
        provider = route.provider
        path, dialect = words or (route.target.partition("?")[0], provider.dialect)
        idle_s = provider.idle_timeout_s or self._config.upstream.idle_timeout_s
        envelope = Envelope(headers, path, dialect)
        bytes_max = self._config.callers.body_bytes_max
        return Guard(asking, envelope, self._services.settling, bytes_max, idle_s)

    def _is_forwarded(
        self, request: RawRequestMessage, headers: RequestHeaders, route: Route | Refusal
    ) -> bool:
        if headers.chunked and headers.codings != b"chunked":
            return False
        if request.path in OWN_PATHS or request.method == "CONNECT":
            return False
        listen = self._config.proxy
        return not listen.token or listen.admits(headers.token or route.token)

    def _own_answer(
        self,
        request: RawRequestMessage,
        headers: RequestHeaders,
        route: Route | Refusal,
        *,
        lives: bool,
    ) -> bytes:
        """What the relay answers itself; the connection `lives` on, or ends with this."""
        bodyless, path = request.method == "HEAD", own_path(request.path)
        asks = request.method in ("GET", "HEAD")
        if request.method == "CONNECT":
            refusal = Refusal(405, "connect_refused", NO_FORWARD_PROXY)
        elif path in PROBES and asks:
            status, document = probes.answer(path, stopping=not self.ready, instance=self._instance)
            return relay_answer(status, document, bodyless=bodyless, keep_alive=lives)
        elif not self._config.proxy.admits(headers.token or route.token):
            refusal = Refusal(401, "unauthorized", TOKEN_WANTED)
        elif request.path == "/" and asks:
            told = self._introduction(request)
            return relay_answer(200, told, bodyless=bodyless, keep_alive=lives)
        elif headers.chunked and headers.codings != b"chunked":
            text = "the only supported Transfer-Encoding is chunked."
            refusal = Refusal(501, "transfer_coding", text)
        elif path in OWN_PATHS or not isinstance(route, Refusal):
            refusal = Refusal(405, "method", NO_METHOD)
        else:
            refusal = route
        more = {"providers": self._providers()} if refusal is route else {}
        return error_answer(
            refusal.status, refusal.kind, refusal.message,
            bodyless=bodyless, keep_alive=lives, **more,
        )  # fmt: skip

    def _providers(self) -> list[str]:
        """The names of the providers that can be called."""
        return sorted(self._upstreams.addresses)

    def _introduction(self, request: RawRequestMessage) -> dict[str, object]:
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


def _version() -> str:
    try:
        return version("taximeter")
    except PackageNotFoundError:  # run from a checkout
        return "unknown"
