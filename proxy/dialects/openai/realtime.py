"""The Realtime API over a WebSocket: each finished response states its own usage.

https://developers.openai.com/api/docs/guides/realtime-costs.  Usage is per response, not
cumulative: every `response.done` is a part.  Another model transcribes the caller's speech; its
usage is in `conversation.item.input_audio_transcription.completed`.
"""

from collections.abc import Mapping

from pricing.cause import about
from pricing.reason import Reason
from pricing.usage import Meter
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json, Reader, body_model
from proxy.dialects.draft import Draft
from proxy.dialects.openai.fields import DURATION
from proxy.dialects.openai.tools import Tools
from proxy.dialects.openai.usage import has_usage, tally_usage
from proxy.dialects.other import free_endpoint
from proxy.dialects.session import Lane, Session
from proxy.dialects.tally import Tally, seconds
from proxy.dialects.values import decimal, mapping, mappings, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

_TRANSCRIPTION = "conversation.item.input_audio_transcription."
_ITEM = "item:"  # what the key of a transcription begins with; the rest is the item's id
_SESSION = ("session.", "transcription_session.")


def query_model(ask: Ask) -> str:
    """The model asked for: `?model=`, else the body's."""
    return ask.query.get("model", "") or body_model(ask)


class ResponseReader:
    """Reads one response of a session."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self.draft = Draft(ask, endpoint)
        self.draft.countable = False  # each turn reads the whole session again

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        body = mapping(document)
        kind = text(body.get("type"))
        if kind == "response.done":
            self._done(mapping(body, "response"))
        elif kind.endswith(".delta"):
            self.draft.times.token(at_ns)
        elif kind == "error":
            self.draft.fail(document)

    def _done(self, response: Block) -> None:
        draft = self.draft
        draft.complete = True
        draft.response_id = text(response.get("id")) or draft.response_id
        status = text(response.get("status"))
        draft.finish(status)
        if status == "failed":
            details = mapping(response, "status_details")
            if not draft.fail(details):
                draft.fail({"error": "failed"})
        tools = Tools()
        for item in mappings(response.get("output")):
            tools.add(item)
        draft.tool_calls += tools.calls
        draft.flag(*(about(Reason.UNKNOWN_OUTPUT_ITEM, kind) for kind in tools.unknown))
        usage = mapping(response, "usage")
        if has_usage(usage):
            draft.part(tally_usage(usage, draft.ask))
        elif status != "failed":  # what a failed one had said is billed, if it had begun to speak
            draft.flag(Reason.RESPONSE_WITHOUT_USAGE)

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self.draft.reading()


class TranscriptionReader:
    """Reads the transcription of one piece of speech, by a model of its own."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self.draft = Draft(ask, endpoint)
        self.draft.countable = False
        self.draft.operation = Operation.TRANSCRIPTION

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self.draft
        body = mapping(document)
        what = text(body.get("type")).removeprefix(_TRANSCRIPTION)
        if what == "delta":
            draft.times.token(at_ns)
        elif what == "failed":
            draft.complete = True
            draft.fail(document)
        elif what == "completed":
            draft.complete = True
            self._completed(mapping(body, "usage"))

    def _completed(self, usage: Block) -> None:
        tally = Tally(usage, DURATION)
        length = seconds(decimal(usage.get("seconds")))
        if length is not None:
            tally.add(Meter.AUDIO_SECONDS, length)
        elif has_usage(usage):
            tally = tally_usage(usage, self.draft.ask, default_input=Meter.INPUT_AUDIO)
        else:
            self.draft.flag(Reason.TRANSCRIPTION_WITHOUT_USAGE)
            return
        self.draft.part(tally)

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self.draft.reading()


class RealtimeSession(Session):
    """Reads one connection: responses, and transcriptions of the caller's speech."""

    FACTS = ("transcriber",)

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        super().__init__(ask, endpoint)
        self.transcriber = ""

    def make(self, ask: Ask, key: str) -> Reader:
        """See `Session.make`."""
        kind = TranscriptionReader if key.startswith(_ITEM) else ResponseReader
        return kind(ask, self.draft.endpoint)

    def finish(self, lane: Lane) -> None:
        """See `Session.finish`."""
        assert isinstance(lane.reader, TranscriptionReader | ResponseReader)
        speech, draft = isinstance(lane.reader, TranscriptionReader), lane.reader.draft
        own = self.transcriber if speech else ""
        draft.request_model = own or self.draft.request_model
        draft.response_model = own or self.draft.response_model
        draft.session_id = self.draft.session_id
        draft.response_id = lane.key.removeprefix(_ITEM)
        draft.attributes["realtime_session.id"] = self.draft.session_id
        if speech and not own and draft.parts:
            draft.flag(Reason.TRANSCRIPTION_MODEL_UNKNOWN)

    def sent(self, document: Json, at_ns: int) -> None:
        """Take a message of the caller, which may ask for a response."""
        body = mapping(document)
        self._session(mapping(body, "session"))
        if body.get("type") == "response.create":
            self.begin(at_ns)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        body = mapping(document)
        kind = text(body.get("type"))
        if kind.startswith(_SESSION):
            self._session(mapping(body, "session"))
        elif kind.startswith("response."):
            self._response(kind, body, at_ns)
        elif kind == "input_audio_buffer.committed" and self.transcriber:
            self._transcription(text(body.get("item_id")), at_ns)
        elif kind.startswith(_TRANSCRIPTION):
            self._transcribed(kind.removeprefix(_TRANSCRIPTION), body, at_ns)
        elif kind == "error":
            self.draft.fail(document)
            if waits := self.waiting():  # asked for, and refused: nothing was made
                self.drop(waits)

    def _response(self, kind: str, body: Block, at_ns: int) -> None:
        response = mapping(body, "response")
        if kind.endswith(".delta") and "audio.delta" not in kind:  # audio in base64
            of = kind, text(body.get("item_id")), text(body.get("response_id"))
            self.draft.capture(text(body.get("delta")), of)
        lane = self._lane(kind, text(response.get("id")) or text(body.get("response_id")), at_ns)
        if lane is None:
            return
        self.hear_from(lane, at_ns)
        lane.reader.read(body, at_ns - lane.began_ns)
        if kind == "response.done":
            self.end(lane, at_ns)

    def _lane(self, kind: str, key: str, at_ns: int) -> Lane | None:
        """The lane of an event about a response; begun by `created`, or by an unknown `done`."""
        if kind == "response.created":
            self.again(key)
        if self.is_done(key):
            return None
        if found := self.of(key):
            return found
        if kind not in ("response.created", "response.done"):
            mine = [lane for lane in self.lanes.values() if isinstance(lane.reader, ResponseReader)]
            return mine[0] if len(mine) == 1 else None
        lane = self.waiting() or self.begin(at_ns)
        if lane is not None:
            lane.key = key
        return lane

    def _session(self, session: Block) -> None:
        draft = self.draft
        draft.response_model = text(session.get("model")) or draft.response_model
        draft.session_id = text(session.get("id")) or draft.session_id
        for place, name in (
            (mapping(session, "audio", "input"), "transcription"),
            (session, "input_audio_transcription"),
        ):
            if name in place:  # null turns it off
                self.transcriber = text(mapping(place, name).get("model"))

    def _transcription(self, item: str, at_ns: int) -> Lane | None:
        """The lane of the item's transcription."""
        return self.of(_ITEM + item) or self.begin(at_ns, key=_ITEM + item)

    def _transcribed(self, what: str, body: Block, at_ns: int) -> None:
        lane = self._transcription(text(body.get("item_id")), at_ns)
        if lane is None:
            return
        self.hear_from(lane, at_ns)
        lane.reader.read(body, at_ns - lane.began_ns)
        if what in ("completed", "failed"):
            self.end(lane, at_ns)


REALTIME = Endpoint(
    name="openai.realtime",
    operation=Operation.REALTIME,
    reader=ResponseReader,
    model=query_model,
    session=RealtimeSession,
)
SECRETS = free_endpoint(
    "openai.realtime.client_secrets", Operation.REALTIME, Reason.NO_CHARGE_ENDPOINT
)
ROUTES = (
    EndpointPath("/realtime/(?:client_secrets|sessions|transcription_sessions)", SECRETS),
    EndpointPath("/realtime", REALTIME, frozenset({"GET"})),
)
