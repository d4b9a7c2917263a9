"""The relay's front: takes a request apart, finds its provider, and hands it to a `Call`.

The relay parses no body, prices nothing and talks to no database; it appends what passes to the
journal.
"""

import asyncio
import logging
import os
import traceback
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from time import monotonic_ns, time_ns

from aiohttp import web
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from proxy.answers import CLOSED, KEPT, Answer, error_answer
from proxy.call import Call
from proxy.call_log import CallLog, Journal
from proxy.config import Config
from proxy.exchange import Begun
from proxy.fingerprint import Fingerprints, load_key
from proxy.headers import RequestHeaders, credential, scrubbed, scrubbed_target, sort_request
from proxy.routes import Refusal, Route, Routes
from proxy.upstream import HEADERS_MAX, READ_BUFFER_BYTES, Upstreams

log = logging.getLogger(__name__)

IDLE_GRACE_S = 0.5  # a request may be on its way on a connection that looks idle
BASE_URLS = (  # what the best-known SDKs read, and where they want their provider
    ("openai", "OPENAI_BASE_URL", "/openai/v1"),
    ("anthropic", "ANTHROPIC_BASE_URL", "/anthropic"),
    ("gemini", "GOOGLE_GEMINI_BASE_URL", "/gemini"),
)
CUT_S = 2.0  # for calls that are cut short to note their end


class Relay:
    """Serves callers.  Make it inside the running loop; `server()` makes the protocol factory.

    Raises OSError or ValueError if the data directory gives no fingerprint key.
    """

    def __init__(self, config: Config, journal: Journal) -> None:
        self._config = config
        self._journal = journal
        self._routes = Routes(config.providers)
        self._upstreams = Upstreams(config.providers, config.upstream)
        self._fingerprints = Fingerprints(load_key(config.data), config.key_names)
        self._running: dict[RequestHandler, asyncio.Task[object]] = {}
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()

    def server(self) -> "CallerServer":
        """What `loop.create_server` wants: makes one protocol for each connection."""
        return CallerServer(
            self.handle,
            handler_cancellation=True,  # a caller that leaves ends its call at once
            access_log=None,
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=self._config.upstream.header_bytes_max,
            max_field_size=self._config.upstream.header_bytes_max,
            max_headers=HEADERS_MAX,
        )

    async def finish(self, callers: "CallerServer", timeout_s: float, hurry: asyncio.Event) -> None:
        """Let calls in flight finish, until `timeout_s` or `hurry`; then cut what is left.

        aiohttp's own `shutdown` stops reading request bodies at once, and may wait twice as long.
        """
        self._stopping.set()  # from here on every response is the last of its connection
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
        """End what still runs, so that the journal has its end too."""
        if not self._running:
            return
        log.warning("%d calls were cut short to stop in time.", len(self._running))
        for task in self._running.values():
            task.cancel()
        await asyncio.wait(self._running.values(), timeout=CUT_S)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: by its provider, or by ourselves where no provider is meant."""
        started_ns = monotonic_ns()
        refusal = partial(
            error_answer,
            bodyless=request.method == "HEAD",
            # What is left of a body would be taken for the next request.
            keep_alive=request.keep_alive and request.content.at_eof(),
        )
        if request.method == "CONNECT":
            text = "this is not a forward proxy. Set your SDK's base URL to it, not HTTPS_PROXY."
            return error_answer(405, "connect_refused", text, keep_alive=False)
        if request.raw_path == "/" and request.method in ("GET", "HEAD"):
            return Answer(200, self._introduction(request), bodyless=request.method == "HEAD")
        headers = sort_request(request.raw_headers)
        if headers.chunked and headers.codings != b"chunked":
            text = "only the chunked transfer coding is understood."
            return refusal(501, "transfer_coding", text)
        route = self._routes.find(request.raw_path)
        if isinstance(route, Refusal):
            return refusal(route.status, route.kind, route.message, providers=self._providers())
        address = self._upstreams.addresses[route.provider.name]
        begun = self._begun(request, headers, route, address.origin)
        call = Call(
            request,
            headers,
            target=route.target,
            address=address,
            log=CallLog(self._journal, self._config.journal, begun),
            upstreams=self._upstreams,
            stopping=self._stopping,
            started_ns=started_ns,
        )
        return await self._run(call, request.protocol)

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
        self, request: web.BaseRequest, headers: RequestHeaders, route: Route, origin: str
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
            tags={**route.tags, **headers.tags},
            key_id=self._fingerprints.name(credential(headers.forward, route.target)),
            websocket=headers.websocket,
        )

    def _providers(self) -> list[str]:
        """Names of those that can be called."""
        return sorted(self._upstreams.addresses)

    def _introduction(self, request: web.BaseRequest) -> dict[str, object]:
        """What this is, and how to point an SDK at it the way this caller came."""
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


class CallerServer(web.Server):
    """Makes our own protocol, whose errors neither echo nor log what the caller sent."""

    def __call__(self) -> RequestHandler:
        return CallerConnection(self, loop=self._loop, **self._kwargs)


class CallerConnection(RequestHandler):
    """A caller's connection."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Let a body whose framing is damaged fail: aiohttp leaves its reader waiting for ever."""
        super().data_received(data)
        if self._messages and self._current_request is not None:
            content = self._current_request.content
            if isinstance(self._messages[-1][0], _ErrInfo) and not content.is_eof():
                content.set_exception(RequestPayloadError("not a chunked body"))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed (400), or a bug of ours (500)."""
        if request.writer.output_size > 0:
            raise ConnectionError("a response is on its way already")
        if status == 500:
            self.log_exception("A call failed in the relay itself.", exc_info=exc)
            return error_answer(500, "internal", "this is a bug; the log has it.", keep_alive=False)
        text = "the request is not valid HTTP/1.1, or a header is too long."
        return error_answer(status, "bad_request", text, keep_alive=False)

    def log_exception(self, *args: object, **kw: object) -> None:
        """Say where it happened; the exception's own text may quote a header."""
        error = kw.get("exc_info")
        if isinstance(error, BaseException):
            frame = traceback.extract_tb(error.__traceback__)[-1:]
            where = "".join(f" at {f.filename}:{f.lineno}" for f in frame)
            log.error("%s %s%s.", args[0], type(error).__name__, where)
        else:
            log.error("%s", args[0])


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
