"""Reads one call: undoes encodings and framing, and gives documents to its dialect.  Sans-I/O.

The bytes may be cut anywhere; the reading is the same (only the times of tokens depend on when they
arrived).  No input makes it raise or block: what cannot be read becomes a reason.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol
from urllib.parse import parse_qsl

from exporters.content import Captured
from pricing.cause import Reasons, about
from pricing.reason import Reason
from proxy.dialects import table
from proxy.dialects.contract import Ask, Conversation, Json, Reader
from proxy.dialects.draft import Failed
from proxy.exchange import Begun, CountRequest, Reading, ResponseHead
from proxy.reading import heads
from proxy.reading.document import Document, Limits
from proxy.reading.framers import SNIFF_BYTES, Framer, Item, JsonArray, choose
from proxy.reading.inflate import Inflate
from proxy.reading.multipart import Multipart, boundary_of
from proxy.sampling import sampled
from proxy.settings.config import MeteringOptions, Provider

DECODED_PER_DOCUMENT = 16  # most decoded bytes of one body, as a multiple of document_bytes_max
MESSAGE_OPCODES = (0x1, 0x2)  # RFC 6455, 11.8: text and binary; Gemini Live sends JSON in both
BOM = b"\xef\xbb\xbf"
SPACE = b" \t\r\n"
# Why a body was not read → the same for a request, which leaves terms unknown rather than usage.
_OF_REQUEST: Mapping[Reason, Reason] = {
    Reason.BODY_TOO_LARGE: Reason.REQUEST_BODY_TOO_LARGE,
    Reason.DECODED_BODY_TOO_LARGE: Reason.REQUEST_DECODED_BODY_TOO_LARGE,
    Reason.CONTENT_ENCODING_UNKNOWN: Reason.REQUEST_CONTENT_ENCODING_UNKNOWN,
    Reason.CONTENT_ENCODING_CORRUPT: Reason.REQUEST_CONTENT_ENCODING_CORRUPT,
}


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
        self._begun = begun
        self._provider = provider
        self._limits = limits
        self._began_ns = self._last_ns = began_ns
        self._reasons = Reasons()
        self._headers = heads.lower(begun.headers)
        self._path, _, query = begun.target.partition("?")
        self._query = dict(parse_qsl(query, keep_blank_values=True))
        family = provider.dialect if provider else "openai"
        self._endpoint = table.find(begun.method, self._path, family)
        self._request, self._head = _Request(self._headers, limits), ResponseHead(status=0)
        self._response: _Response | None = None
        self._reader: Reader | None = None

    def request(self, data: bytes, at_ns: int) -> None:
        """Take bytes of the request body, as sent."""
        self._guard(lambda: self._request.feed(data))

    def head(self, head: ResponseHead, at_ns: int) -> None:
        """Take the response head; of several (1xx come first), the last one counts."""
        self._head, headers = head, heads.lower(head.headers)
        kind = "application/jsonl" if self._endpoint.lines else headers.get("content-type", "")
        self._response = _Response(kind, headers.get("content-encoding", ""), self._limits)

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
        self._guard(self._close_capture)
        return self._finished(readings[0])

    def _close_capture(self) -> None:
        if (capture := self._capture) is not None:
            body, cut = self._request.document(), any(self._request.reasons())
            self.captured = capture.close(body, cut=cut or self._request.limits.pruned)

    def _guard(self, step: Callable[[], object]) -> None:
        """Take a step of reading.  A bug here may spoil one reading, never the meter."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 — see above
            self._reasons.add(about(Reason.READING_FAILED, type(error).__name__))

    def _hand_over(self, found: Iterable[Item]) -> None:
        for document, event in found:
            self._open().read(document, self._last_ns - self._began_ns, event)
            if self._capture is not None and self._response and not self._response.stream:
                self._capture.add_response(document)

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
        if self._capture is not None and value is not None:
            self._capture.add_message(value)
        if isinstance(reader, Conversation):
            reader.sent(value, at_ns)

    def _open(self) -> Reader:
        """The dialect's reader, created when it is first needed: the request is complete then."""
        if self._reader is None:
            ask = self._ask()
            failed = self._head.status >= 300  # a redirect is not billed either
            self._reader = (Failed if failed else self._endpoint.reader)(ask, self._endpoint)
        return self._reader

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
            response_headers=heads.lower(self._head.headers),
            stream=self._begun.websocket or bool(self._response and self._response.stream),
            array=bool(self._response and self._response.array),
            text_chars_max=self._limits.count_bytes_max,
            audit=self._audited,
            capture=self._capture.add_text if self._capture else None,
        )

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
        headers = heads.lower(self._head.headers)
        lost = self._cut_short(reading) or any(self._request.reasons())
        return replace(
            reading,
            count=count,
            audit=None if lost or self._request.limits.pruned else reading.audit,
            session_id=heads.first(self._headers, heads.SESSIONS) or reading.session_id,
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


class _Request:
    """The request body: JSON, or the plain fields of a form."""

    def __init__(self, headers: Mapping[str, str], limits: MeteringOptions) -> None:
        self.limits = Limits(limits.document_bytes_max)
        self._inflate = _inflate(headers.get("content-encoding", ""), limits)
        boundary = boundary_of(headers.get("content-type", ""))
        self._body: Document | Multipart = (
            Multipart(boundary) if boundary else Document(self.limits)
        )
        self._closed: Json = None
        self._is_closed = False

    def feed(self, data: bytes) -> None:
        """Take bytes as sent; those that arrive after the body was needed are ignored."""
        if not self._is_closed:
            for piece in self._inflate.feed(data):
                self._body.feed(piece)

    def document(self) -> Json:
        """The body; None if there is none, or if it is neither JSON nor a form."""
        if not self._is_closed:
            self._is_closed = True
            body = self._body.close()
            self._closed = None if isinstance(body, str) else body
            del self._body
        return self._closed

    def reasons(self) -> Iterator[Reason]:
        """Why the body was not read, or not in full."""
        found = (self._inflate.reason, *self.limits.reasons)
        return (_OF_REQUEST.get(reason, reason) for reason in found if reason)


class _Response:
    """The response body, down to its documents."""

    def __init__(self, kind: str, encoding: str, limits: MeteringOptions) -> None:
        self.limits = Limits(limits.document_bytes_max)
        self._kind = kind
        self._inflate = _inflate(encoding, limits)
        self._start = b""  # held back until the framer can be chosen
        self._framer: Framer | None = None

    @property
    def stream(self) -> bool:
        """Whether documents arrive over time; known once there is one."""
        return self._framer is not None and self._framer.stream

    @property
    def array(self) -> bool:
        """Whether the documents are the elements of one JSON array."""
        return isinstance(self._framer, JsonArray)

    def feed(self, data: bytes) -> Iterator[Item]:
        """Yield the documents that `data` completes."""
        for piece in self._inflate.feed(data):
            yield from self._frame(piece)

    def _frame(self, data: bytes, last: bool = False) -> Iterator[Item]:
        if self._framer is None:
            data = (self._start + data).removeprefix(BOM).lstrip(SPACE)
            if not last and len(data) < SNIFF_BYTES:
                self._start = data
                return
            self._framer = choose(self._kind, data[:SNIFF_BYTES], self.limits)
            self._start = b""
        yield from self._framer.feed(data)

    def close(self) -> Iterator[Item]:
        """Yield the documents that the end completes."""
        if self._framer is None and self._start:
            yield from self._frame(b"", last=True)
        if self._framer is not None:
            yield from self._framer.close()

    def reasons(self) -> Iterator[Reason]:
        """Why the body was not read, or not in full."""
        return (reason for reason in (self._inflate.reason, *self.limits.reasons) if reason)


def _inflate(encoding: str, limits: MeteringOptions) -> Inflate:
    return Inflate(encoding, DECODED_PER_DOCUMENT * limits.document_bytes_max)
