"""The Responses API over a WebSocket: the caller asks again and again, and answers may overlap.

https://developers.openai.com/api/docs/guides/websocket-mode.  Each `response.create` is a request;
the events that answer it are those of a stream.  With `stream_id` several are in progress at a
time; without it, an event without an id belongs to the only response there is.
"""

from collections.abc import Mapping

from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.errors import find_error
from proxy.dialects.openai.responses import PENDING, ResponsesReader
from proxy.dialects.session import Lane, Session
from proxy.dialects.values import mapping, text
from proxy.exchange import Operation

Block = Mapping[str, object]


class ResponsesSession(Session):
    """Reads one connection; each response has a `ResponsesReader`."""

    def make(self, ask: Ask, key: str) -> ResponsesReader:
        """See `Session.make`."""
        return ResponsesReader(ask, self.draft.endpoint)

    def sent(self, document: Json, at_ns: int) -> None:
        """Take a message of the caller: `response.create` holds a request."""
        body = mapping(document)
        if body.get("type") != "response.create":
            return
        stream = text(body.get("stream_id"))
        for lane in [*self.lanes.values()]:  # one that has stated its usage, and never said "end"
            if lane.stream == stream and _reader(lane).stated:
                self.end(lane, lane.last_ns)
        request = mapping(body, "response") or body
        self.draft.request_model = text(request.get("model")) or self.draft.request_model
        model = {"model": self.draft.request_model} if self.draft.request_model else {}
        self.begin(at_ns, {**request, **model}, stream=stream)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        body = mapping(document)
        kind = text(body.get("type"))
        response = mapping(body, "response")
        if not kind and ("output" in body or "usage" in body):
            response = body
        if not kind.startswith("response.") and not response:
            if find_error(document) is not None:
                self._refused(body, document, at_ns)
            return
        lane = self._lane(body, response, kind, at_ns)
        if lane is None:
            return
        self.hear_from(lane, at_ns)
        lane.reader.read(document, at_ns - lane.began_ns)
        self._note(response)
        if _reader(lane).ended:
            self.end(lane, at_ns)

    def _note(self, response: Block) -> None:
        draft = self.draft
        draft.response_model = text(response.get("model")) or draft.response_model
        conversation = text(mapping(response, "conversation").get("id"))
        draft.session_id = conversation or draft.session_id

    def _lane(self, body: Block, response: Block, kind: str, at_ns: int) -> Lane | None:
        """The lane of an event; one that holds a response begins a lane if it has none."""
        key = text(response.get("id")) or text(body.get("response_id"))
        stream = text(body.get("stream_id"))
        begins = kind.removeprefix("response.") in PENDING
        if begins:
            self.again(key)
        if self.is_done(key):
            return None
        if found := self.of(key):
            return found
        unnamed = (not key and not begins) or (stream and not response)
        if unnamed and (found := self._unnamed(stream)) is not None:
            return found
        if response:
            lane = self.waiting(stream, any_stream=True) or self.begin(at_ns, stream=stream)
            if lane is not None:
                lane.key, lane.stream = key, lane.stream or stream
            return lane
        for open_lane in self.lanes.values():  # it may be of any that has begun
            if open_lane.key:
                _reader(open_lane).doubt()
        return None

    def _unnamed(self, stream: str) -> Lane | None:
        """The lane of an event that names its stream at best: if it can be no other."""
        lanes = [*self.lanes.values()]
        if not stream:
            return lanes[0] if len(lanes) == 1 else None
        mine = [lane for lane in lanes if lane.stream == stream]
        return next((lane for lane in mine if lane.key), next(iter(mine), None))

    def _refused(self, body: Block, document: Json, at_ns: int) -> None:
        """An error answers the request that waits, else the only response in progress."""
        stream = text(body.get("stream_id"))
        lane = self.of(text(body.get("response_id"))) or self.waiting(stream)
        if lane is None and len(self.lanes) == 1:
            [lane] = self.lanes.values()
        if lane is None:
            self.draft.fail(document)
            return
        self.hear_from(lane, at_ns)
        lane.reader.read(document, at_ns - lane.began_ns)
        self.end(lane, at_ns)


def _reader(lane: Lane) -> ResponsesReader:
    assert isinstance(lane.reader, ResponsesReader)
    return lane.reader


SOCKET = Endpoint(
    name="openai.responses",
    operation=Operation.CHAT,
    reader=ResponsesReader,
    session=ResponsesSession,
)
ROUTES = (EndpointPath("/responses", SOCKET, frozenset({"GET"})),)
