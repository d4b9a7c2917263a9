"""The door: `/gateway/…` on the proxy's port.  Whoever comes must show a caller's token.

The gateway spends its owner's money, so it asks on loopback too: a web page in the owner's browser
reaches loopback as well.
"""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from time import monotonic, monotonic_ns, time_ns
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp.http import RawRequestMessage

from pricing.book import TariffBook
from proxy.door import keys, targets
from proxy.door.call import GatewayCall
from proxy.door.callers import caller_of
from proxy.door.counting import Counted
from proxy.door.plan import Arrived, Asked, Plan, Sent
from proxy.door.plans import Planner
from proxy.door.refusals import refused
from proxy.door.request import METHODS, Sender, model_in_path
from proxy.door.stage import Stage
from proxy.door.state import State
from proxy.exchange import Begun, GatewayNote, Outcome, lower
from proxy.gateway import names
from proxy.gateway.body import with_model, with_resource
from proxy.gateway.chain import Target
from proxy.gateway.options import GatewayCaller
from proxy.relay.answers import relay_answer
from proxy.relay.call import Call, Caller
from proxy.relay.call_log import CallLog
from proxy.relay.headers import RequestHeaders, sort_request
from proxy.relay.ids import CallIds
from proxy.relay.routes import Refusal, Route
from proxy.relay.running import Opened
from proxy.settings.config import Config
from proxy.settings.places import Places

PATH = "/gateway"
PATHS = (
    *("/v1/chat/completions", "/v1/responses", "/v1/embeddings"),
    *("/v1/messages", "/v1/messages/count_tokens"),
)
MODELS = ("/v1/models", "/v1beta/models")
GEMINI_PATH = f"/v1beta/models/NAME:{{{','.join(METHODS)}}}"
TOKEN_WANTED = (
    "the gateway requires a caller's token (gateway.callers). Make one with `taximeter keys add "
    "NAME`, and send it as the API key."
)
NO_PAGES = "the gateway answers no web pages: the request has an Origin."
FOREIGN = "unknown Host {!r}. Use localhost, an IP address or a name in proxy.host."
NO_PATH = "the gateway has no {} {}. It has POST {}, and GET {}."
ENCODED = "the gateway reads no encoded request bodies; send it without Content-Encoding."


class Way(Protocol):
    """The relay's way to a provider, and to the journal.  `words`: path and dialect of who asks,
    for a refusal."""

    def forward(
        self,
        caller: Caller,
        request: RawRequestMessage,
        headers: RequestHeaders,
        route: Route,
        note: GatewayNote,
        *,
        words: tuple[str, str],
        started_ns: int,
    ) -> tuple[Call, CallLog]: ...

    def noted(
        self, request: RawRequestMessage, headers: RequestHeaders, route: Route, note: GatewayNote
    ) -> tuple[Begun, CallLog]: ...


class GatewayDoor:
    """Opens gateway calls.  `relay` makes each attempt as it would for the other door."""

    def __init__(self, config: Config, relay: Way, book: Callable[[], TariffBook]) -> None:
        self.options = config.gateway
        self.state = State(monotonic, Places(config.data))
        self._config = config
        self._relay = relay
        self._ids = CallIds()
        self._keys = keys.here(self.options)
        missing = self.options.keys.keys() - self._keys.keys()
        self._planner = Planner(config, self.state, book, missing)

    def is_for(self, path: str) -> bool:
        """Whether a request is the gateway's."""
        return path.startswith(PATH) and path[len(PATH) : len(PATH) + 1] in ("", "/", "?")

    def open(self, caller: Caller, request: RawRequestMessage, headers: RequestHeaders) -> Opened:
        """Begin to answer; at once if nothing is to be sent."""
        path = request.path.removeprefix(PATH).partition("?")[0]
        named = self._admitted(request, headers)
        lives = caller.request_whole and not (request.should_close or caller.stopping)
        if isinstance(named, Refusal):
            return refused(named, path, lives=lives), lives
        if path in MODELS and request.method == "GET":
            document = _models(names.listed(self.options, named))
            return relay_answer(200, document, keep_alive=lives), lives
        known = path in PATHS or model_in_path(path)
        if not known or request.method != "POST":
            text = NO_PATH.format(
                request.method, path, ", ".join((*PATHS, GEMINI_PATH)), ", ".join(MODELS)
            )
            return refused(Refusal(404, "unknown_path", text), path, lives=lives), lives
        sent = lower((n.decode("latin-1"), v.decode("latin-1")) for n, v in headers.forward)
        if sent.get("content-encoding", "identity") != "identity" or headers.websocket:
            return refused(Refusal(415, "content_encoding", ENCODED), path, lives=lives), lives
        tags = _tags(headers, named)
        sender = Sender(headers=sent, tags=tags, caller=named.name if named else "")
        asked = Asked(
            path=path,
            sender=sender,
            caller=named,
            request_id=self._ids.new(time_ns()),
            lost=targets.lost(headers.forward),
        )
        arrived = Arrived(request=request, headers=headers)
        return GatewayCall(caller, arrived, self, asked)

    def _admitted(
        self, request: RawRequestMessage, headers: RequestHeaders
    ) -> GatewayCaller | Refusal | None:
        """The caller; None if nobody has to be one."""
        if "Origin" in request.headers:
            return Refusal(403, "origin", NO_PAGES)
        host = request.headers.get("Host", "")
        if not self._is_ours(host):
            return Refusal(421, "foreign_host", FOREIGN.format(host[:80]))
        found = caller_of(_token(headers), self.options.callers)
        if found is None and not self.options.insecure:
            return Refusal(401, "unauthorized", TOKEN_WANTED)
        return found

    def _is_ours(self, host: str) -> bool:
        """Whether a Host is an address or a name of ours: another site's name may lead here."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name in self._config.proxy.named_hosts:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True

    async def plan(self, asked: Asked, body: bytes) -> Plan | Counted | Refusal:
        """What is to be done with a request, or why nothing is."""
        return await self._planner.plan(asked, body)

    def send(self, stage: Stage, arrived: Arrived, plan: Plan, sent: Sent) -> None:
        """Begin one attempt; `stage` gets its answer."""
        candidate = plan.route.candidates[sent.target.candidate]
        options = candidate.options
        provider = self._config.providers[options.provider]
        translated = plan.translated(sent.target)
        if translated is not None:
            facts = plan.facts
            api = candidate.api(facts.operation)
            path = targets.foreign_path(
                provider, api, options.model, facts.operation, stream=facts.stream
            )
            body = translated.body
        else:
            query = arrived.request.path.partition("?")[2]
            path = targets.own_path(provider, plan.asked.path, query, options.model)
            body = _addressed(plan, options.model)
        route = Route(provider, path, {})
        length = (b"Content-Length", b"%d" % len(body))
        is_foreign = translated is not None
        rewritten = self._rewritten(arrived, plan, sent.target, length, foreign=is_foreign)
        call, noted = self._relay.forward(
            stage,
            arrived.request,
            rewritten,
            route,
            sent.note,
            words=(plan.asked.path, plan.facts.dialect),
            started_ns=monotonic_ns(),
        )
        stage.call, stage.log = call, noted
        call.begin()
        call.upload(body, True)

    def _rewritten(
        self,
        arrived: Arrived,
        plan: Plan,
        target: Target,
        *more: tuple[bytes, bytes],
        foreign: bool,
    ) -> RequestHeaders:
        """The caller's headers for a target, with its credential and without the caller's."""
        provider = self._config.providers[plan.route.candidates[target.candidate].options.provider]
        key = self._keys[target.key]
        pairs = targets.headers(arrived.headers.forward, provider, key, foreign=foreign)
        rewritten = sort_request([*pairs, *more])
        rewritten.tags = dict(plan.asked.sender.tags)
        return rewritten

    def give_up(self, arrived: Arrived, plan: Plan, attempts: int, error: str) -> None:
        """Record that nobody is left to be asked, in the name of the one who was first to be."""
        first = plan.targets[0]
        provider = self._config.providers[plan.route.candidates[first.candidate].options.provider]
        route = Route(provider, plan.asked.path, {})
        headers = self._rewritten(arrived, plan, first, foreign=False)
        _, log = self._relay.noted(arrived.request, headers, route, plan.end_note(attempts))
        log.end(Outcome.REFUSED, error)
        log.flush()


def _addressed(plan: Plan, model: str) -> bytes:
    """The caller's body for this model, which Gemini's path names, and its embeddings once more."""
    if plan.model_at is not None:
        return with_model(plan.body, plan.model_at, model)
    return with_resource(plan.body, model) if plan.facts.operation == "embeddings" else plan.body


def _token(headers: RequestHeaders) -> str:
    """As the SDKs send an API key, or in our own header."""
    if headers.token:
        return headers.token
    sent = {name.lower(): value.decode("latin-1") for name, value in headers.forward}
    scheme, _, token = sent.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return sent.get(b"x-api-key", "") or sent.get(b"x-goog-api-key", "")


def _tags(headers: RequestHeaders, caller: GatewayCaller | None) -> Mapping[str, str]:
    """The configured ones are not the caller's to change."""
    named = {**caller.tags, "caller": caller.name} if caller else {}
    return {**headers.tags, **named}


def _models(listed: list[str]) -> dict[str, object]:
    """As the SDKs of OpenAI, Anthropic and Google read it, who ask at one address.  Nobody knows
    when a route was made."""
    models = [
        {
            "id": name,
            "object": "model",
            "type": "model",
            "display_name": name,
            "created": 0,
            "created_at": "1970-01-01T00:00:00Z",
            "owned_by": "taximeter",
        }
        for name in listed
    ]
    named = [
        {"name": f"models/{one}", "displayName": one, "supportedGenerationMethods": METHODS}
        for one in listed
    ]
    first, last = (listed[0], listed[-1]) if listed else (None, None)
    return {
        "object": "list",
        "data": models,
        "models": named,
        "has_more": False,
        "first_id": first,
        "last_id": last,
    }
