"""The Realtime API over a WebSocket: each finished response states its own usage.

https://developers.openai.com/api/docs/guides/realtime-costs.  Usage is per response, not
cumulative: every `response.done` is a part.  Another model transcribes the caller's speech; its
usage is in `conversation.item.input_audio_transcription.completed`.
"""

from collections.abc import Mapping

from pricing.cause import about
from pricing.reason import Reason
from pricing.usage import Meter
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json, body_model
from proxy.dialects.draft import Draft
from proxy.dialects.openai.fields import DURATION
from proxy.dialects.openai.lanes import LANES_MAX
from proxy.dialects.openai.tools import Tools
from proxy.dialects.openai.usage import has_usage, tally_usage
from proxy.dialects.other import free_endpoint
from proxy.dialects.tally import Tally, seconds
from proxy.dialects.values import decimal, mapping, mappings, text
from proxy.exchange import Operation, Reading

_TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def query_model(ask: Ask) -> str:
    """The model asked for: `?model=`, else the body's."""
    return ask.query.get("model", "") or body_model(ask)


class RealtimeReader:
    """Reads one session."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False  # each turn reads the whole session again
        self._transcriber = ""
        self._open: set[str] = set()  # responses in progress, by id

    def sent(self, document: Json, at_ns: int) -> None:
        """See `Conversation.sent`."""
        self._session(mapping(document, "session"))

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        kind = text(body.get("type"))
        if kind.startswith("session."):
            self._session(mapping(body, "session"))
        elif kind == "response.created":
            self._begun(text(mapping(body, "response").get("id")))
        elif kind == "response.done":
            name = text(mapping(body, "response").get("id"))
            self._open.discard(name if name in self._open else "")  # begun without an id
            self._done(mapping(body, "response"))
        elif kind == _TRANSCRIBED:
            self._transcribed(mapping(body, "usage"))
        elif kind.startswith("response.") and kind.endswith(".delta"):
            draft.times.token(at_ns)
            if "audio.delta" not in kind:  # audio in base64
                of = kind, text(body.get("item_id")), text(body.get("response_id"))
                draft.capture(text(body.get("delta")), of)
        elif kind == "error":
            draft.fail(document)

    def _begun(self, name: str) -> None:
        if len(self._open) < LANES_MAX:
            self._open.add(name)
        else:
            self._draft.flag(Reason.TOO_MANY_PARTS)

    def _session(self, session: Mapping[str, object]) -> None:
        draft = self._draft
        draft.response_model = text(session.get("model")) or draft.response_model
        draft.session_id = text(session.get("id")) or draft.session_id
        asked = mapping(session, "audio", "input", "transcription") or mapping(
            session, "input_audio_transcription"
        )
        self._transcriber = text(asked.get("model")) or self._transcriber

    def _done(self, response: Mapping[str, object]) -> None:
        draft = self._draft
        draft.complete = True
        draft.response_id = text(response.get("id")) or draft.response_id
        draft.finish(response.get("status"))
        tools = Tools()
        for item in mappings(response.get("output")):
            tools.add(item)
        draft.tool_calls += tools.calls
        draft.flag(*(about(Reason.UNKNOWN_OUTPUT_ITEM, kind) for kind in tools.unknown))
        usage = mapping(response, "usage")
        if has_usage(usage):
            draft.part(tally_usage(usage, draft.ask))
        elif response.get("status") == "completed":
            draft.flag(Reason.RESPONSE_WITHOUT_USAGE)

    def _transcribed(self, usage: Mapping[str, object]) -> None:
        tally = Tally(usage, DURATION)
        length = seconds(decimal(usage.get("seconds")))
        if length is not None:
            tally.add(Meter.AUDIO_SECONDS, length)
        elif has_usage(usage):
            tally = tally_usage(usage, self._draft.ask, default_input=Meter.INPUT_AUDIO)
        else:
            self._draft.flag(Reason.TRANSCRIPTION_WITHOUT_USAGE)
            return
        self._draft.part(tally, model=self._transcriber)
        if not self._transcriber:
            self._draft.flag(Reason.TRANSCRIPTION_MODEL_UNKNOWN)

    def close(self) -> Reading:
        """See `Reader.close`."""
        if self._open:  # a response began, and its usage never came
            self._draft.complete = False
            self._draft.usage_final = False
        return self._draft.reading()


REALTIME = Endpoint(
    name="openai.realtime",
    operation=Operation.REALTIME,
    reader=RealtimeReader,
    model=query_model,
)
SECRETS = free_endpoint(
    "openai.realtime.client_secrets", Operation.REALTIME, Reason.NO_CHARGE_ENDPOINT
)
ROUTES = (
    EndpointPath("/realtime/(?:client_secrets|sessions|transcription_sessions)", SECRETS),
    EndpointPath("/realtime", REALTIME, frozenset({"GET"})),
)
