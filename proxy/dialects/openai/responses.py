"""The Responses API: one body, or a stream of events.

https://developers.openai.com/api/docs/api-reference/responses.  Only the last event
(`response.completed`, `.incomplete`, `.failed`) has the usage, the tier served and all output
items.  A background call answers at once, without usage.
"""

from collections.abc import Mapping

from pricing.reason import Reason
from pricing.usage import Meter, TermValue
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.openai.costs import reported_usd
from proxy.dialects.openai.request import note_request
from proxy.dialects.openai.tools import Tools, container_terms, image_model, image_usage
from proxy.dialects.openai.usage import (
    asks_for_tier,
    has_usage,
    served_terms,
    served_tier,
    tally_usage,
)
from proxy.dialects.other import free_endpoint
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

ENDED = ("completed", "incomplete", "failed", "cancelled")
PENDING = ("queued", "in_progress", "created")


class ResponsesReader:
    """Reads one response."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._tools = Tools()  # as the events show them
        self._doubtful = False  # a tool ran that may be its own or another's
        self.stated: Block = {}  # a response object with usage and a status that is not known
        self._background = False  # its usage may be shown by several calls
        self._unstated = False  # it ended without usage
        self.ended = False
        note_request(self._draft)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        kind = text(body.get("type")) or event
        plain = not kind.startswith("response.") and "output" not in body
        if plain and draft.fail(document):
            return
        if kind.startswith("response.") and kind.endswith(".delta"):
            self._delta(kind, body, at_ns)
        elif kind == "response.output_item.done":
            self._tools.add(mapping(body, "item"))
        elif "response" in body:
            said, word = mapping(body, "response"), kind.removeprefix("response.")
            known = word in ENDED or word in PENDING
            self._response(said, word if known else text(said.get("status")) or word)
        elif has_usage(body.get("usage")) or "output" in body:
            self._response(body, text(body.get("status")) or "completed")

    def doubt(self) -> None:
        """Something came that belongs to this response or to another one."""
        self._doubtful = True
        self._draft.output_known = False

    def _delta(self, kind: str, body: Mapping[str, object], at_ns: int) -> None:
        if "audio.delta" in kind:  # audio in base64: a token, but no text
            self._draft.times.token(at_ns)
        else:
            of = kind, text(body.get("item_id")), integer(body.get("content_index"))
            shown = "reasoning" not in kind
            self._draft.delta(text(body.get("delta")), at_ns, visible=shown, of=of)

    def _response(self, body: Block, status: str) -> None:
        """Take the response object, which early events hold too, half empty."""
        draft = self._draft
        draft.response_model = text(body.get("model")) or draft.response_model
        draft.response_id = text(body.get("id")) or draft.response_id
        draft.session_id = text(mapping(body, "conversation").get("id")) or draft.session_id
        self._background = body.get("background") is True
        if status in ENDED or (not draft.ask.stream and status not in PENDING):
            self._end(body, status)
        elif has_usage(body.get("usage")) and status not in PENDING:
            self.stated = body
        elif not draft.ask.stream:
            draft.complete = True
            draft.countable = False  # another call gets the answer
            draft.flag(Reason.BACKGROUND_USAGE_COMES_LATER)

    def _end(self, body: Block, status: str) -> None:
        draft = self._draft
        if self.ended:  # an event that repeats the end
            return
        self.ended = draft.complete = True
        draft.service_tier = served_tier(body) or draft.service_tier
        draft.finish(mapping(body, "incomplete_details").get("reason") or status)
        if mapping(body, "error"):
            draft.fail(body)
        tools = self._listed(body)
        draft.tool_calls += tools.calls
        usage = mapping(body, "usage")
        if has_usage(usage):
            tally = tally_usage(usage, draft.ask)
            tools.tally(tally, body, draft.ask)
            draft.reported_usd = reported_usd(usage)
            item = draft.response_id if self._background else ""
            terms = self._terms(body, draft.ask)
            draft.part(tally, model=text(body.get("model")), terms=terms, item=item)
            draft.settle()
        elif status in ("completed", "incomplete"):
            self._unstated = True
        self._image_part(body, tools, draft.ask)

    def _listed(self, body: Block) -> Tools:
        """What the response says it did; what its events said, if it lists nothing."""
        output = mappings(body.get("output"))
        if not output:
            if self._doubtful:
                self._draft.flag(Reason.TOOL_OF_UNKNOWN_RESPONSE)
            return self._tools
        tools = Tools()
        for number, item in enumerate(output):
            tools.add(item)
            if not self._draft.ask.stream:
                self._say(item, number)
        return tools

    def _say(self, item: Mapping[str, object], number: int) -> None:
        """Keep the text of an output item in case there is no usage."""
        for piece in (*mappings(item.get("content")), *mappings(item.get("summary"))):
            self._draft.add_text(text(piece.get("text")) or text(piece.get("refusal")), number)
            if piece.get("type") == "refusal":
                self._draft.attributes["response.refusal"] = True
        self._draft.add_text(text(item.get("arguments")), number)

    def _terms(self, body: Block, ask: Ask) -> dict[str, TermValue]:
        if not served_tier(body) and asks_for_tier(ask):
            self._draft.flag(Reason.SERVICE_TIER_NOT_STATED)
        return {**container_terms(body, ask), **served_terms(body, ask)}

    def _image_part(self, body: Block, tools: Tools, ask: Ask) -> None:
        """The image tool runs a model of its own, with its own usage."""
        draft = self._draft
        usage = image_usage(body)
        if usage:
            model = text(usage.get("model")) or image_model(body, ask)
            if not model:
                draft.flag(Reason.IMAGE_MODEL_UNKNOWN)
            tally = tally_usage(usage, ask, default_output=Meter.OUTPUT_IMAGE)
            item = draft.response_id if self._background else ""
            draft.part(tally, model=model or "image_generation", item=item)
        elif tools.images:
            draft.flag(Reason.IMAGE_TOOL_USAGE_MISSING)

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        self._end_stated()
        if self._unstated and draft.parts:  # the image tool stated its own
            draft.flag(Reason.RESPONSE_WITHOUT_USAGE)
        return draft.reading()

    def _end_stated(self) -> None:
        """End a response whose last word has usage, and a status that we do not know."""
        if self.stated and not self.ended:
            self._end(self.stated, text(self.stated.get("status")))


class FetchedResponseReader(ResponsesReader):
    """Reads a response that is fetched by its id.

    If it ran in the background, the first call that shows its usage is charged, whichever that is;
    any other response was charged to the call that created it.
    """

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        self._end_stated()
        if self._background and draft.parts:
            draft.operation = Operation.CHAT
        else:
            draft.billable = False
            draft.parts.clear()
            draft.flag(Reason.FETCHED_AGAIN)
        draft.countable = False
        return super().close()


RESPONSES = Endpoint(name="openai.responses", operation=Operation.CHAT, reader=ResponsesReader)
COMPACT = Endpoint(
    name="openai.responses.compact", operation=Operation.CHAT, reader=ResponsesReader
)
COUNT = free_endpoint(
    "openai.responses.input_tokens", Operation.COUNT_TOKENS, Reason.TOKEN_COUNTING
)
FETCH = Endpoint(
    name="openai.responses.fetch", operation=Operation.FETCH_RESPONSE, reader=FetchedResponseReader
)
ROUTES = (
    EndpointPath("/responses/input_tokens(?:/count)?", COUNT),
    EndpointPath("/responses/compact", COMPACT),
    EndpointPath("/responses/[^/]+/cancel", FETCH),
    EndpointPath("/responses/[^/]+(?:/input_items)?", FETCH, frozenset({"GET", "DELETE"})),
    EndpointPath("/responses", RESPONSES),
)
