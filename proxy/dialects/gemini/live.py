"""Gemini Live: a conversation over a WebSocket, billed by turn.

https://ai.google.dev/api/live.  Each turn is billed for everything the model read, including the
session so far, so turns add up.  Within a turn, each `usageMetadata` replaces the previous one.
"""

from collections.abc import Mapping

from pricing.reason import Reason
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import PARTS_MAX, Draft
from proxy.dialects.gemini.generate import call_terms, note_parts
from proxy.dialects.gemini.usage import Grounding, has_counts, served_tier, tally_usage
from proxy.dialects.values import mapping, mappings, text
from proxy.exchange import Operation, Reading


class LiveReader:
    """Reads both directions of one session."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False
        self._turns: list[tuple[Mapping[str, object], Grounding]] = []
        self._usage: Mapping[str, object] = {}
        self._grounding = Grounding()
        self._tier = ""
        self._open = False  # something came since the last complete turn

    def sent(self, document: Json, at_ns: int) -> None:
        """See `Conversation.sent`."""
        setup = mapping(document, "setup")
        if model := text(setup.get("model")):
            self._draft.request_model = model.rpartition("/")[2]

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if draft.fail(document):
            return
        body = mapping(document)
        content = mapping(body, "serverContent")
        note_parts(draft, mapping(content, "modelTurn").get("parts"), at_ns)
        draft.delta(text(mapping(content, "outputTranscription").get("text")), at_ns)
        self._grounding.take(mapping(content, "groundingMetadata"))
        calls = mappings(mapping(body, "toolCall").get("functionCalls"))
        for call in calls:
            draft.tool_calls += 1
            draft.delta(text(call.get("name")), at_ns, of=("tool", draft.tool_calls))
        self._open = self._open or bool(calls or content)
        self._count(mapping(body, "usageMetadata"))
        if session := text(mapping(body, "sessionResumptionUpdate").get("newHandle")):
            draft.session_id = session[:128]
        if content.get("turnComplete") is True:
            draft.finish("turn_complete")
            self._end_turn()

    def _count(self, usage: Mapping[str, object]) -> None:
        self._tier = served_tier(usage) or self._tier
        if not has_counts(usage):
            return
        if self._open or not self._turns:
            self._draft.flag(*tally_usage(self._usage).unknown())
            self._usage = usage
        else:  # the usage of a turn that has already ended
            self._turns[-1] = (usage, self._turns[-1][1])

    def _end_turn(self) -> None:
        if len(self._turns) >= PARTS_MAX:
            self._draft.flag(Reason.TOO_MANY_PARTS)
        elif self._usage:
            self._turns.append((self._usage, self._grounding))
        self._usage, self._grounding, self._open = {}, Grounding(), False

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        draft.complete = not self._open
        draft.usage_final = not self._open
        self._end_turn()
        terms = call_terms(draft, self._tier)
        draft.attributes["session.turns"] = len(self._turns)
        for usage, grounding in self._turns:
            tally = tally_usage(usage)
            grounding.count(tally, draft.request_model)
            draft.part(tally, terms=terms)
        return draft.reading()


LIVE = Endpoint(name="gemini.live", operation=Operation.REALTIME, reader=LiveReader)
ROUTES = (
    EndpointPath(
        r"\.(GenerativeService|LlmBidiService)(\.|/)BidiGenerateContent\w*",
        LIVE,
        frozenset({"GET"}),
    ),
)
