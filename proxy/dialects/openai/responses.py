"""The Responses API: one body, a stream of events, or many responses over a WebSocket.

https://developers.openai.com/api/docs/api-reference/responses.  Only the last event
(`response.completed`, `.incomplete`, `.failed`) has the usage, the tier served and all output
items.  A background call answers at once, without usage.
"""

from collections.abc import Mapping

from pricing.reason import Reason
from pricing.usage import Meter, TermValue
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import PARTS_MAX, Draft
from proxy.dialects.openai.lanes import Lane, Lanes
from proxy.dialects.openai.request import note_request
from proxy.dialects.openai.tools import Tools, container_terms, image_model, image_usage
from proxy.dialects.openai.usage import (
    asks_for_tier,
    has_usage,
    reported_usd,
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
    """Reads one response, or those of one WebSocket; each that ends is a part."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._lanes = Lanes()
        self._done: set[str] = set()  # ids of those that ended, so that none is charged twice
        self._background = False  # its usage may be shown by several calls
        self._unstated = False  # a response ended without usage
        note_request(self._draft)

    def sent(self, document: Json, at_ns: int) -> None:
        """See `Conversation.sent`: over a WebSocket, `response.create` holds the request."""
        body = mapping(document)
        if body.get("type") == "response.create":
            self._draft.asked(mapping(body, "response") or body)
            self._lanes.asked(body, self._draft.ask)

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
            self._lanes.add_tool(body, draft.ask)
        elif "response" in body:
            said, word = mapping(body, "response"), kind.removeprefix("response.")
            known = word in ENDED or word in PENDING
            self._response(body, said, word if known else text(said.get("status")) or word)
        elif has_usage(body.get("usage")) or "output" in body:
            whole = {"response": body}
            self._response(whole, body, text(body.get("status")) or "completed")

    def _delta(self, kind: str, body: Mapping[str, object], at_ns: int) -> None:
        if "audio.delta" in kind:  # audio in base64: a token, but no text
            self._draft.times.token(at_ns)
        else:
            of = kind, text(body.get("item_id")), integer(body.get("content_index"))
            shown = "reasoning" not in kind
            self._draft.delta(text(body.get("delta")), at_ns, visible=shown, of=of)

    def _response(self, event: Block, body: Block, status: str) -> None:
        """Take the response object, which early events hold too, half empty."""
        draft = self._draft
        draft.response_model = text(body.get("model")) or draft.response_model
        draft.response_id = text(body.get("id")) or draft.response_id
        draft.session_id = text(mapping(body, "conversation").get("id")) or draft.session_id
        self._background = body.get("background") is True
        lane = self._lanes.of(event, draft.ask)
        if status in PENDING:
            self._done.discard(text(body.get("id")))
        if status in ENDED or (not draft.ask.stream and status not in PENDING):
            self._lanes.end(event)
            self._end(lane, body, status)
        elif has_usage(body.get("usage")) and status not in PENDING:
            lane.stated = body
        elif not draft.ask.stream:
            self._lanes.end(event)
            draft.complete = True
            draft.countable = False  # another call gets the answer
            draft.flag(Reason.BACKGROUND_USAGE_COMES_LATER)

    def _end(self, lane: Lane, body: Block, status: str) -> None:
        draft = self._draft
        name = text(body.get("id"))
        if name in self._done:
            return
        if name and len(self._done) < PARTS_MAX:
            self._done.add(name)
        draft.complete = True
        draft.service_tier = served_tier(body) or draft.service_tier
        draft.finish(mapping(body, "incomplete_details").get("reason") or status)
        if mapping(body, "error"):
            draft.fail(body)
        tools = self._listed(lane, body)
        draft.tool_calls += tools.calls
        usage = mapping(body, "usage")
        if has_usage(usage):
            tally = tally_usage(usage, lane.ask)
            tools.tally(tally, body, lane.ask)
            cost = reported_usd(usage)
            if cost is not None:
                draft.reported_usd = cost + (draft.reported_usd or 0)
            item = draft.response_id if self._background else ""
            terms = self._terms(body, lane.ask)
            draft.part(tally, model=text(body.get("model")), terms=terms, item=item)
            draft.settle()
        else:
            self._unstated = self._unstated or status in ("completed", "incomplete")
        self._image_part(body, tools, lane.ask)

    def _end_stated(self) -> None:
        """End the responses whose last word has usage, and a status that we do not know."""
        for lane in self._lanes.take_stated():
            self._end(lane, lane.stated, text(lane.stated.get("status")))

    def _listed(self, lane: Lane, body: Block) -> Tools:
        """What the response says it did; what its events said, if it lists nothing."""
        output = mappings(body.get("output"))
        if not output:
            if lane.doubtful:
                self._draft.flag(Reason.TOOL_OF_UNKNOWN_RESPONSE)
            return lane.tools
        tools = Tools()
        for number, item in enumerate(output):
            tools.add(item)
            if not self._draft.ask.stream:
                self._say(item, number)
        return tools

    def _say(self, item: Mapping[str, object], number: int) -> None:
        """Keep the text of an output item in case there is no usage."""
        for piece in (*mappings(item.get("content")), *mappings(item.get("summary"))):
            self._draft.say(text(piece.get("text")) or text(piece.get("refusal")), number)
            if piece.get("type") == "refusal":
                self._draft.attributes["response.refusal"] = True
        self._draft.say(text(item.get("arguments")), number)

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
        if self._lanes.busy and draft.parts:  # over a WebSocket: a response was cut
            draft.usage_final = draft.complete = False
        if self._unstated and draft.parts:  # another response, or the image tool, stated theirs
            draft.flag(Reason.RESPONSE_WITHOUT_USAGE)
        return draft.reading()


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
    # A WebSocket opens with GET.
    EndpointPath("/responses", RESPONSES, frozenset({"POST", "GET"})),
)
