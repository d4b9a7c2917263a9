"""Reads one call: undoes encodings and framing, and gives documents to its dialect.  Sans-I/O.

The bytes may be cut anywhere; the reading is the same (only the times of tokens depend on when they
arrived).  No input makes it raise or block: what cannot be read becomes a reason.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from msgspec.structs import replace

from exporters.content import Captured
from pricing.cause import Reasons, about
from pricing.reason import Reason
from proxy.dialects import table
from proxy.dialects.contract import Ask, Json, Reader
from proxy.dialects.draft import Failed
from proxy.dialects.repeating import Repeating
from proxy.dialects.session import Answer, Session, State
from proxy.exchange import Begun, CountRequest, Reading, ResponseHead
from proxy.reading import heads
from proxy.reading.bodies import RequestBody, ResponseBody
from proxy.reading.document import Document, Item, Limits
from proxy.reading.echoes import WITHHELD, Messages, without_echo
from proxy.reading.hiding import hidden
from proxy.reading.repeats import REPEATED
from proxy.reading.sessions import session
from proxy.sampling import sampled
from proxy.settings.config import MeteringOptions, Provider

MESSAGE_OPCODES = (0x1, 0x2)  # RFC 6455, 11.8: text and binary; Gemini Live sends JSON in both


class Listener(Protocol):
    """Takes what was said, if content is captured.  Nothing here raises."""

    def add_text(self, text: str, channel: Hashable) -> None:
        """Take text that the model made; the pieces of one channel are one text."""

    def add_message(self, document: Json) -> None:
        """Take a message of the caller, if a call has many."""

    def add_response(self, document: Json) -> None:
        """Take a document of a response that is not a stream."""

    def close(self, request: Json, *, cut: bool = False) -> Captured | None:
        """What was said.  `request` is the request body, `cut` whether only a part was read."""


class CallReader:
    """Takes the frames of one call in order; `close` returns its `Reading`."""

    def __init__(
        self,
        begun: Begun,
        provider: Provider | None,
        limits: MeteringOptions,
        began_ns: int = 0,
        capture: Listener | None = None,
    ) -> None:
        """`began_ns` is when the call began on the clock of `at_ns`; times count from it.

        `capture` takes what was said, if content is captured.
        """
        self._audited = not begun.websocket and sampled(begun.call_id, limits.audit_sample)
        self._capture = capture
        self.captured: Captured | None = None  # after `close`
        self._torn = False  # an earlier meter read the beginning
        self._begun = begun
        self._provider = provider
        self._limits = limits
        self._began_ns = self._last_ns = began_ns
        self._reasons = Reasons()
        self._headers = begun.by_name
        self._path, _, query = begun.target.partition("?")
        self._query = dict(parse_qsl(query, keep_blank_values=True))
        self._endpoint = table.find(
            begun.method, self._path, provider.dialect if provider else "openai"
        )
        self._request = RequestBody(self._headers, limits)
        self._sent = Messages()
        self._head = ResponseHead(status=0)
        self._response: ResponseBody | None = None
        self._reader: Reader | None = None

    def request(self, data: bytes, at_ns: int) -> None:
        """Take bytes of the request body, as sent."""
        self._guard(lambda: self._request.feed(data))

    def head(self, head: ResponseHead, at_ns: int) -> None:
        """Take the response head; of several (1xx come first), the last one counts."""
        self._head, headers = head, head.by_name
        kind = "application/jsonl" if self._endpoint.lines else headers.get("content-type", "")
        self._response = ResponseBody(kind, headers.get("content-encoding", ""), self._limits)

    def response(self, data: bytes, at_ns: int) -> None:
        """Take bytes of the response body, as received."""
        self._last_ns = at_ns
        if (response := self._response) is not None:
            self._guard(lambda: self._hand_over(response.feed(data)))

    def message(self, up: bool, data: bytes, at_ns: int) -> None:
        """Take a WebSocket message: its opcode byte, then its payload."""
        self._last_ns = at_ns
        if data and data[0] in MESSAGE_OPCODES:
            self._guard(lambda: self._message(up, data[1:]))

    def close(self) -> Reading:
        """The reading.  Called once, at any time."""
        if (response := self._response) is not None:
            self._guard(lambda: self._hand_over(response.close()))
            self._reasons.add(*response.reasons())
        self._guard(self._open)
        readings: list[Reading] = []
        if (reader := self._reader) is not None:
            self._guard(lambda: readings.append(reader.close()))
        if not readings:
            name, operation = self._endpoint.name, self._endpoint.operation
            readings.append(Reading(endpoint=name, operation=operation))
        if not self._begun.websocket:  # which tells of its responses afterwards
            self._reader = None  # it knows us: together they would wait for the garbage collector
        self._guard(self._close_capture)
        return self._finished(readings[0])

    def _close_capture(self) -> None:
        if (capture := self._capture) is not None:
            body, cut = self._request.document(), any(self._request.reasons())
            cut = cut or self._torn or self._request.limits.pruned
            self.captured = capture.close(body, cut=cut)

    def _guard(self, step: Callable[[], object]) -> None:
        """Take a step of reading.  A bug here may spoil one reading, never the meter."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 — see above
            self._reasons.add(about(Reason.READING_FAILED, type(error).__name__))

    def _hand_over(self, found: Iterable[Item]) -> None:
        at_ns = self._last_ns - self._began_ns
        for document, event in found:
            reader = self._open()
            if document is REPEATED and isinstance(reader, Repeating):
                reader.again(event, at_ns)
                continue
            reader.read(document, at_ns, event)
            self._learn(reader)
            if self._capture is not None and self._response and not self._response.stream:
                self._capture.add_response(document)

    def _learn(self, reader: Reader) -> None:
        """Have events recognised that repeat the one just read."""
        repeats = self._response.repeats if self._response else None
        if repeats is not None and isinstance(reader, Repeating) and reader.repeated.texts:
            repeats.learn(reader.repeated.texts, reader.repeated.text)

    def _message(self, up: bool, payload: bytes) -> None:
        limits = Limits(self._limits.document_bytes_max)
        document = Document(limits)
        document.feed(payload)
        value, at_ns = document.close(), self._last_ns - self._began_ns
        self._reasons.add(*limits.reasons)
        reader = self._open()
        if not up:
            reader.read(value, at_ns)
            return
        self._sent.add(value, len(payload))
        if self._capture is not None and value is not None:
            self._capture.add_message(value)
        if isinstance(reader, Session):
            reader.sent(value, at_ns)

    def _open(self) -> Reader:
        """The dialect's reader, created when it is first needed: the request is complete then."""
        if self._reader is None:
            ask = self._ask()
            failed = self._head.status >= 300  # a redirect is not billed either
            kind = Failed if failed else self._endpoint.reader
            if self._begun.websocket and not failed and self._endpoint.session is not None:
                kind = self._endpoint.session
            self._reader = kind(ask, self._endpoint)
        return self._reader

    # -- sockets of many responses --------------------------------------------------------------

    def take_began(self) -> list[tuple[int, State]]:
        """See `Session.take_began`."""
        return self._reader.take_began() if isinstance(self._reader, Session) else []

    def take_ended(self) -> list[Answer]:
        """See `Session.take_ended`."""
        if not isinstance(self._reader, Session) or not (ended := self._reader.take_ended()):
            return []
        named = session(self._headers, self._request.document())
        readings = [hidden(one.reading) for one in ended]
        return [
            replace(one, reading=replace(reading, session_id=named or reading.session_id))
            for one, reading in zip(ended, readings, strict=True)
        ]

    def settle(self, now_ns: int) -> None:
        """See `Session.settle`."""
        if isinstance(reader := self._reader, Session):
            self._guard(lambda: reader.settle(now_ns - self._began_ns))

    def state(self) -> State | None:
        """See `Session.state`; None: what is being read cannot be remembered."""
        return self._reader.state() if isinstance(self._reader, Session) else None

    def lose(self) -> None:
        """Some of what passed is lost."""
        self._reasons.add(Reason.BYTES_DROPPED)

    def restore(self, state: State | None) -> None:
        """Read on where an earlier meter stopped, which remembered this."""
        self._torn = self._sent.lost = True
        reader = self._open()
        if state is None:
            self.lose()
        elif isinstance(reader, Session):
            reader.restore(state)

    def _ask(self) -> Ask:
        provider = self._provider
        return Ask(
            method=self._begun.method,
            path=self._path,
            query=self._query,
            family=provider.dialect if provider else "openai",
            provider=self._begun.provider,
            quirks=provider.quirks if provider else frozenset(),
            request=self._request.document(),
            request_headers=self._headers,
            status=self._head.status,
            response_headers=self._head.by_name,
            stream=self._begun.websocket or bool(self._response and self._response.stream),
            array=bool(self._response and self._response.array),
            text_chars_max=self._limits.count_bytes_max,
            audit=self._audited,
            capture=self._capture.add_text if self._capture else None,
            unsaid=self._unsaid,
        )

    def _unsaid(self, message: str) -> str:
        """An error message without what it repeats of the request."""
        if message and (self._sent.lost or not self._request.whole):
            return WITHHELD
        said = (
            self._request.document(),
            self._request.text,
            unquote(self._path),
            *self._query.values(),
        )
        return without_echo(message, [*said, *self._sent.documents()])

    def _finished(self, reading: Reading) -> Reading:
        """`reading` with what the heads say, and the reasons for bodies that were not read."""
        self._reasons.add(*self._request.reasons())
        if self._response is None and not self._begun.websocket:
            self._reasons.add(Reason.NO_RESPONSE)
        count = reading.count
        if count is not None:
            known = count.output_known and not self._cut_short(reading)
            request = {} if self._request.limits.pruned else count.request
            count = CountRequest(request=request, output=count.output, output_known=known)
        headers = self._head.by_name
        lost = self._cut_short(reading) or any(self._request.reasons())
        cached = reading.billable and heads.is_cached(headers)
        if cached:
            self._reasons.add(Reason.GATEWAY_CACHE)
        return replace(
            hidden(reading),
            count=count,
            billable=reading.billable and not cached,
            audit=None if lost or cached or self._request.limits.pruned else reading.audit,
            session_id=session(self._headers, self._request.document()) or reading.session_id,
            reported_usd=reading.reported_usd if reading.stream else heads.cost(reading, headers),
            attributes={**heads.facts(headers), **reading.attributes},
            reasons=tuple(dict.fromkeys((*reading.reasons, *self._reasons))),
        )

    def _cut_short(self, reading: Reading) -> bool:
        """Whether the model may have made more than the reader saw."""
        if self._begun.websocket:
            return False
        response = self._response
        if response is None or response.limits.pruned or any(response.reasons()):
            return True
        return not response.stream and not reading.complete
