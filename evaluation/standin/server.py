"""The HTTP and WebSocket server of the stand-in; it also keeps the journal."""

import asyncio
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, replace

import msgspec
import zstandard
from aiohttp import StreamReader, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from evaluation.standin import routes, sender, sessions
from evaluation.standin.answers import Answer, Json, Request, Step, Tokens, encode
from evaluation.standin.journal import StandinJournal
from evaluation.standin.skill import Skill
from evaluation.standin.steering import DEFAULT, PREFIX

CONTROL = "/__standin/"  # GET and DELETE journal, GET health
REQUEST_BYTES_MAX = 256 * 1024 * 1024
FAILURES_MAX = 10_000  # request bodies whose failures are counted


class StandIn:
    """One stand-in provider; `handle` answers one request."""

    def __init__(
        self, skill: Skill | None = None, steering: Mapping[str, str] | None = None
    ) -> None:
        """`steering` is by name, for calls whose headers do not say otherwise."""
        self._skill = skill
        self._steering = {PREFIX + name: value for name, value in (steering or {}).items()}
        self._in_flight = 0
        self.journal = StandinJournal()
        self._shelves = routes.Shelves()
        self._failures: Counter[str] = Counter()

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of either kind."""
        target = http.raw_path
        if target.startswith(CONTROL):
            return self._control(http.method, target)
        pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in http.raw_headers]
        if http.headers.get("upgrade", "").lower() == "websocket":
            return await self._converse(http, pairs)
        raw = await http.read()
        exchange = self.journal.receive(http.method, target, pairs, raw)
        headers = self._steering | {name.lower(): value for name, value in pairs}
        request, answer = self._answer(http.method, target, headers, raw)
        answered, sent = exchange.answered, sender.Sent()
        answered.status, answered.model = answer.status, answer.model
        answered.operation, answered.usage = answer.operation, _usage(answer.tokens)
        answered.reported = answer.reported and bool(answer.tokens)
        self._in_flight += 1
        try:
            return await sender.AnswerSender(http, request, sent, self._in_flight).send(answer)
        finally:
            self._in_flight -= 1
            answered.outcome, answered.output_tokens_sent = sent.outcome, sent.tokens
            answered.body_sha256, answered.body_bytes = sent.sha256, sent.bytes

    async def _converse(
        self, http: web.BaseRequest, pairs: list[tuple[str, str]]
    ) -> web.StreamResponse:
        """Serve a WebSocket; in the journal its messages are the two bodies."""
        exchange = self.journal.receive(http.method, http.raw_path, pairs, b"")
        session = sessions.find(http.raw_path, {name.lower(): value for name, value in pairs})
        if session is None:
            exchange.answered.status = 404
            return web.Response(status=404)
        from_caller, sent = sender.Sent(), sender.Sent()
        answered = exchange.answered
        answered.status, answered.operation, answered.reported = 101, session.operation, True
        socket = web.WebSocketResponse(max_msg_size=REQUEST_BYTES_MAX)
        await socket.prepare(http)
        try:
            await _send(socket, session, session.open(), sent)
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    raw = message.data.encode() if isinstance(message.data, str) else message.data
                    from_caller.add(raw)
                    await _send(socket, session, session.respond(msgspec.json.decode(raw)), sent)
        finally:
            received = exchange.received
            received.body_sha256, received.body_bytes = from_caller.sha256, from_caller.bytes
            answered.body_sha256, answered.body_bytes = sent.sha256, sent.bytes
            answered.model, answered.usage = session.model, _usage(session.tokens)
            answered.outcome = sent.outcome
            answered.output_tokens_sent = session.tokens.output_total
        return socket

    def _answer(
        self, method: str, target: str, headers: dict[str, str], raw: bytes
    ) -> tuple[Request, Answer]:
        try:
            body = _decoded(raw, headers.get("content-encoding", ""))
            request = self._failing_first(routes.read(method, target, headers, body))
            if self._skill is not None:
                said = self._skill.said(request.model, request.body, request.seed)
                request = replace(request, said=said)
            return request, routes.answer(request, self._shelves, body)
        except (ValueError, TypeError, AttributeError, KeyError) as failure:
            # The body does not have the dialect's shape: a provider would answer 400 as well.
            document = routes.error_document(target, headers, 400, str(failure))
            return _unread(method, target, headers), Answer(
                steps=(Step(encode(document)),), status=400
            )

    def _failing_first(self, request: Request) -> Request:
        """The request without its error, once it has failed as often as the steering says."""
        steering = request.steering
        if steering.status < 400 or not steering.times:
            return request
        if len(self._failures) >= FAILURES_MAX:
            self._failures.clear()
        self._failures[request.seed] += 1
        if self._failures[request.seed] <= steering.times:
            return request
        return replace(request, steering=msgspec.structs.replace(steering, status=200))

    def _control(self, method: str, target: str) -> web.Response:
        what = target.removeprefix(CONTROL)
        if what == "health":
            return web.json_response({"status": "ok"})
        if what != "journal":
            return web.json_response({"error": "GET or DELETE journal, GET health"}, status=404)
        if method == "DELETE":
            self.journal.clear()
            return web.Response(status=204)
        return web.Response(body=self.journal.encoded(), content_type="application/json")


async def _send(
    socket: web.WebSocketResponse,
    session: sessions.Session,
    documents: Iterable[Json],
    sent: sender.Sent,
) -> None:
    for document in documents:
        data = encode(document)
        await (socket.send_bytes(data) if session.binary else socket.send_str(data.decode()))
        sent.add(data)


@asynccontextmanager
async def serving(
    port: int = 0,
    host: str = "127.0.0.1",
    skill: Skill | None = None,
    steering: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[StandIn, int]]:
    """A stand-in that listens on `port` (0: any free one), and the port."""
    stand_in = StandIn(skill, steering)
    server = web.Server(
        stand_in.handle, request_factory=_request, access_log=None, auto_decompress=False
    )
    runner = web.ServerRunner(server, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1_024)
        await site.start()
        yield stand_in, int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    """A request whose body may be as large as providers accept."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=REQUEST_BYTES_MAX
    )


def _decoded(raw: bytes, coding: str) -> bytes:
    """A request body without its content coding.  Raises ValueError."""
    try:
        if coding == "gzip":
            return gzip.decompress(raw)
        if coding == "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    except (OSError, EOFError, zstandard.ZstdError) as failure:
        raise ValueError(f"the body is not {coding}: {failure}") from failure
    return raw


def _unread(method: str, target: str, headers: dict[str, str]) -> Request:
    """Stands in for a request that could not be parsed."""
    return Request(
        method=method,
        path=target,
        query={},
        headers=headers,
        body={},
        steering=DEFAULT,
        model="",
        seed=target,
    )


def _usage(tokens: Tokens | None) -> dict[str, int] | None:
    """The partition and its inclusive totals."""
    if tokens is None:
        return None
    totals = {"input_total": tokens.input_total, "output_total": tokens.output_total}
    return asdict(tokens) | totals
