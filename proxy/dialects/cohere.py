"""Cohere's chat, embeddings, reranking and classification, versions 1 and 2.

https://docs.cohere.com/reference/chat.  `billed_units` is what is billed; `tokens` counts what the
model saw, including hidden preambles, and is not billed.  Version 2 has both under `usage`,
version 1 and the other endpoints under `meta`.
"""

from collections.abc import Mapping

from pricing.cause import about
from pricing.reason import Reason
from pricing.usage import Meter
from proxy.dialects.asked import note_embeddings, note_numbers, note_stops
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.fields import HARMLESS, named
from proxy.dialects.other import free_endpoint
from proxy.dialects.tally import Tally
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

_BILLED = {
    "input_tokens": Meter.INPUT,
    "image_tokens": Meter.INPUT_IMAGE,
    "output_tokens": Meter.OUTPUT,
    "search_units": Meter.SEARCH_UNITS,
    "images": Meter.IMAGES,
}
_KNOWN = named(
    HARMLESS,
    "billed_units",  # counted by name
    "tokens",  # what the model saw
    "cached_tokens",  # the billed units are net of them
    "api_version",
)
_ASKED = {
    "temperature": "request.temperature",
    "p": "request.top_p",
    "k": "request.top_k",
    "max_tokens": "request.max_tokens",
    "seed": "request.seed",
    "frequency_penalty": "request.frequency_penalty",
    "presence_penalty": "request.presence_penalty",
}
FAMILY = frozenset({"cohere"})


class CohereReader:
    """Reads one answer, whole or streamed."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._usage: Block = {}
        request = mapping(ask.request)
        note_numbers(self._draft, request, _ASKED)
        note_stops(self._draft, request.get("stop_sequences"))
        note_embeddings(self._draft, request)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if document == "[DONE]" or draft.fail(document):
            return
        body = mapping(document)
        kind = text(body.get("type")) or text(body.get("event_type"))
        if kind:
            self._event(kind, body, at_ns)
        elif body:
            self._whole(body, at_ns)

    def _event(self, kind: str, body: Block, at_ns: int) -> None:
        draft = self._draft
        draft.response_id = (
            text(body.get("id")) or text(body.get("generation_id")) or draft.response_id
        )
        if kind == "stream-end":  # version 1 ends with the whole answer
            self._finish(body.get("finish_reason"))
            self._note_usage(mapping(body, "response"))
            return
        delta = mapping(body, "delta")
        if kind == "message-end":
            self._finish(delta.get("finish_reason"))
            self._note_usage(delta)
        elif kind == "text-generation":
            draft.delta(text(body.get("text")), at_ns)
        else:
            self._message(mapping(delta, "message"), at_ns, starts=kind == "tool-call-start")

    def _whole(self, body: Block, at_ns: int) -> None:
        draft = self._draft
        ids = (body.get(name) for name in ("id", "generation_id", "response_id"))
        draft.response_id = next((text(found) for found in ids if text(found)), "")
        draft.delta(text(body.get("text")), at_ns)
        self._message(mapping(body, "message"), at_ns, starts=True)
        draft.tool_calls += len(mappings(body.get("tool_calls")))
        self._note_usage(body)
        self._finish(body.get("finish_reason"))
        draft.complete = True

    def _message(self, message: Block, at_ns: int, *, starts: bool) -> None:
        """Take a message or a piece of one; a stream has single parts instead of lists."""
        draft = self._draft
        contents = mappings(message.get("content")) or [mapping(message, "content")]
        for content in contents:
            draft.delta(text(content.get("thinking")), at_ns, visible=False)
            draft.delta(text(content.get("text")), at_ns)
        draft.delta(text(message.get("tool_plan")), at_ns, visible=False)
        calls = mappings(message.get("tool_calls")) or [mapping(message, "tool_calls")]
        for call in calls:
            function = mapping(call, "function")
            draft.tool_calls += bool(function) and starts
            of = "tool", draft.tool_calls
            draft.delta(text(function.get("name")), at_ns, of=of)
            draft.delta(text(function.get("arguments")), at_ns, of=of)

    def _finish(self, reason: object) -> None:
        self._draft.finish(reason)
        self._draft.complete = True
        if reason in ("ERROR", "ERROR_TOXIC", "ERROR_LIMIT"):
            self._draft.error_type = self._draft.error_type or str(reason)

    def _note_usage(self, holder: Block) -> None:
        self._draft.flag(*tally_billed(self._usage).unknown())
        self._usage = mapping(holder, "usage") or mapping(holder, "meta") or self._usage

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        billed = mapping(self._usage, "billed_units")
        if any(integer(units) is not None for units in billed.values()):
            draft.part(tally_billed(self._usage))
        for name, attribute in (
            ("input_tokens", "usage.seen_input_tokens"),
            ("output_tokens", "usage.seen_output_tokens"),
        ):
            if (seen := integer(mapping(self._usage, "tokens").get(name))) is not None:
                draft.attributes[attribute] = seen
        if (cached := integer(self._usage.get("cached_tokens"))) is not None:
            draft.attributes["usage.seen_cached_tokens"] = cached
        return draft.reading()


def tally_billed(holder: Block) -> Tally:
    """The leaves of `billed_units` in a `usage` or `meta`; an unknown unit is flagged."""
    tally = Tally(holder, _KNOWN)
    billed = mapping(holder, "billed_units")
    for name, value in billed.items():
        if meter := _BILLED.get(name):
            tally.add(meter, integer(value))
        elif value:
            tally.flag(about(Reason.BILLED_UNIT_UNKNOWN, name[:64]))
    return tally


CHAT = Endpoint(name="cohere.chat", operation=Operation.CHAT, reader=CohereReader)
EMBED = Endpoint(name="cohere.embed", operation=Operation.EMBEDDINGS, reader=CohereReader)
RERANK = Endpoint(name="cohere.rerank", operation=Operation.RERANK, reader=CohereReader)
CLASSIFY = Endpoint(name="cohere.classify", operation=Operation.OTHER, reader=CohereReader)
TOKENIZE = free_endpoint("cohere.tokenize", Operation.COUNT_TOKENS, Reason.TOKEN_COUNTING)

ROUTES = (
    EndpointPath("/v[12]/chat", CHAT),
    EndpointPath("/v[12]/generate", CHAT),
    EndpointPath("/v[12]/embed", EMBED),
    EndpointPath("/v[12]/rerank", RERANK, families=FAMILY),
    EndpointPath("/v1/classify", CLASSIFY),
    EndpointPath("/v1/(tokenize|detokenize|check-api-key)", TOKENIZE),
)
