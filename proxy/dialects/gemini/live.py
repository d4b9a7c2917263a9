"""Gemini Live: a conversation over a WebSocket, billed by turn.

https://ai.google.dev/api/live.  Each turn is billed for everything the model read, including the
session so far, so turns add up.  Within a turn, each `usageMetadata` replaces the previous one.
"""

from collections.abc import Mapping

from pricing.reason import Reason
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.gemini.generate import call_terms, note_parts
from proxy.dialects.gemini.usage import Grounding, has_counts, served_tier, tally_usage
from proxy.dialects.session import Lane, Session
from proxy.dialects.superseded import Superseded
from proxy.dialects.values import mapping, mappings, text
from proxy.exchange import Operation, Reading

LATE_NS = 500_000_000  # how long after the end of a turn its last usage may come


class TurnReader:
    """Reads one turn of the model."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self.draft = Draft(ask, endpoint)
        self.draft.countable = False
        self.tier = ""
        self.ended_ns: int | None = None  # when it was complete, since the call began
        self._usage: Mapping[str, object] = {}
        self._superseded = Superseded()
        self._grounding = Grounding()

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self.draft
        body = mapping(document)
        content = mapping(body, "serverContent")
        note_parts(draft, mapping(content, "modelTurn").get("parts"), at_ns)
        draft.delta(text(mapping(content, "outputTranscription").get("text")), at_ns)
        self._grounding.take(mapping(content, "groundingMetadata"))
        for call in mappings(mapping(body, "toolCall").get("functionCalls")):
            draft.tool_calls += 1
            draft.delta(text(call.get("name")), at_ns, of=("tool", draft.tool_calls))
        usage = mapping(body, "usageMetadata")
        if has_counts(usage):
            draft.flag(*self._superseded.unknown(self._usage, tally_usage))
            self._usage = usage

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self.draft
        draft.complete = self.ended_ns is not None
        if draft.complete:
            draft.finish("turn_complete")
        terms = call_terms(draft, self.tier)
        if self._usage:
            tally = tally_usage(self._usage)
            self._grounding.count(tally, draft.request_model)
            draft.part(tally, terms=terms)
        elif draft.complete:
            draft.flag(Reason.RESPONSE_WITHOUT_USAGE)
        return draft.reading()


class LiveSession(Session):
    """Reads both directions of one connection; the model has one turn at a time.

    A turn ends `LATE_NS` after the message that completes it, or when the next one begins.
    """

    FACTS = ("tier",)

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        super().__init__(ask, endpoint)
        self.tier = ""

    def make(self, ask: Ask, key: str) -> TurnReader:
        """See `Session.make`."""
        return TurnReader(ask, self.draft.endpoint)

    def finish(self, lane: Lane) -> None:
        """See `Session.finish`."""
        turn = _turn(lane)
        turn.tier = self.tier
        turn.draft.request_model = self.draft.request_model
        turn.draft.attributes["realtime_session.id"] = self.draft.session_id

    def sent(self, document: Json, at_ns: int) -> None:
        """Take a message of the caller: the setup, or text that the model is to answer."""
        self.settle(at_ns)
        body = mapping(document)
        if model := text(mapping(body, "setup").get("model")):
            self.draft.request_model = model.rpartition("/")[2]
        if mapping(body, "clientContent").get("turnComplete") is True:
            self._open_turn(at_ns)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        self.settle(at_ns)
        body = mapping(document)
        if self.draft.fail(document):
            return
        if session := text(mapping(body, "sessionResumptionUpdate").get("newHandle")):
            self.draft.session_id = session[:128]
        usage = mapping(body, "usageMetadata")
        self.tier = served_tier(usage) or self.tier
        content = mapping(body, "serverContent")
        made = bool(content or mapping(body, "toolCall"))
        if not made and not has_counts(usage):
            return
        lane = self._open_turn(at_ns) if made else self._turn_now() or self._open_turn(at_ns)
        if lane is None:
            return
        self.hear_from(lane, at_ns)
        lane.reader.read(body, at_ns - lane.began_ns)
        if content.get("turnComplete") is True:
            _turn(lane).ended_ns = at_ns

    def _turn_now(self) -> Lane | None:
        return next(iter(self.lanes.values()), None)

    def _open_turn(self, at_ns: int) -> Lane | None:
        """The turn in progress; a new one if there is none, or if that has ended."""
        lane = self._turn_now()
        if lane is not None and _turn(lane).ended_ns is not None:
            self._end_turn(lane)
            lane = None
        return lane or self.begin(at_ns)

    def settle(self, now_ns: int) -> None:
        """See `Session.settle`."""
        lane = self._turn_now()
        ended = None if lane is None else _turn(lane).ended_ns
        if lane is not None and ended is not None and now_ns - ended >= LATE_NS:
            self._end_turn(lane)

    def _end_turn(self, lane: Lane) -> None:
        self.end(lane, _turn(lane).ended_ns or lane.last_ns)


def _turn(lane: Lane) -> TurnReader:
    assert isinstance(lane.reader, TurnReader)
    return lane.reader


LIVE = Endpoint(
    name="gemini.live", operation=Operation.REALTIME, reader=TurnReader, session=LiveSession
)
ROUTES = (
    EndpointPath(
        r"\.(GenerativeService|LlmBidiService)(\.|/)BidiGenerateContent\w*",
        LIVE,
        frozenset({"GET"}),
    ),
)
