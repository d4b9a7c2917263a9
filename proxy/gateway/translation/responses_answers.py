"""Reads answers of OpenAI's Responses as events: a whole one, or event by event.

An item that came in pieces is not said again by the event that ends it; an item or an end that
came without pieces is said whole, as some servers send their streams.
"""

from collections.abc import Iterator, Mapping

from proxy.gateway.translation.events import (
    Argues,
    Begin,
    Calls,
    Counts,
    Ends,
    Event,
    Fails,
    Finish,
    Said,
    Signed,
    Thinks,
    Used,
)
from proxy.gateway.translation.losses import Json
from proxy.gateway.translation.neutral import Signature
from proxy.gateway.translation.values import listed, mapping, number, text

REASONS = {"max_output_tokens": Finish.LENGTH, "content_filter": Finish.REFUSAL}
# Codes of errors → the status of an answer that would say the same; any other is the server's.
STATUSES = {"rate_limit_exceeded": 429, "invalid_prompt": 400, "context_length_exceeded": 400}
ENDS = ("completed", "incomplete")
PENDING = ("queued", "in_progress")
# A piece of text of an event → what it is of: said, refused or thought.
_PIECES = {
    "response.output_text.delta": "output_text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "summary",
    "response.reasoning_text.delta": "content",
}
# Of a part of an answer: what no other API has.
UNCARRIED = ("annotations", "logprobs")


class ResponsesAnswer:
    """One answer.  `lost` are the fields that nobody else could be told."""

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}
        self._began = False
        self._ended = False
        self._pieced: set[int] = set()  # items whose text came in pieces
        self._done: set[int] = set()
        self._calls: dict[int, int] = {}  # an item's place → the number of its call
        self._argued: set[int] = set()
        self._thought: tuple[str, int] | None = None  # which part of a thought was the last
        self._refused = False

    def events(self, document: Json) -> Iterator[Event]:
        """What an event of a stream, or a whole response, says."""
        kind = text(document.get("type"))
        place = number(document.get("output_index"))
        response = mapping(document.get("response"))
        if not kind and "output" in document:
            status = text(document.get("status")) or "completed"
            if status not in PENDING:  # of one that goes on elsewhere, there is no answer
                yield from self._response(document, status)
        elif kind == "error" or (not kind and document.get("error")):
            yield _fails(mapping(document.get("error")) or document)
        elif response:
            status = text(response.get("status")) or kind.removeprefix("response.")
            yield from self._response(response, status)
        elif part := _PIECES.get(kind):
            self._pieced.add(place)
            yield from self._piece(part, document)
        elif kind == "response.output_item.added":
            yield from self._call(place, mapping(document.get("item")))
        elif kind == "response.function_call_arguments.delta":
            yield from self._argue(place, text(document.get("delta")))
        elif kind == "response.output_item.done":
            yield from self._item(place, mapping(document.get("item")))

    def _response(self, response: Json, status: str) -> Iterator[Event]:
        """As far as it is: what was not said before, and the end."""
        if status in ("failed", "cancelled"):
            yield _fails(mapping(response.get("error")))
            return
        if not self._began:
            self._began = True
            named = text(response.get("id")), text(response.get("model"))
            yield Begin(id=named[0], model=named[1], created=number(response.get("created_at")))
        if status not in ENDS or self._ended:
            return
        self._ended = True
        for place, item in enumerate(map(mapping, listed(response.get("output")))):
            yield from self._item(place, item)
        yield self._ends(text(mapping(response.get("incomplete_details")).get("reason")))
        if isinstance(usage := response.get("usage"), Mapping):
            yield Counts(used(usage))

    # -- items ----------------------------------------------------------------------------------

    def _item(self, place: int, item: Json) -> Iterator[Event]:
        """An item that is whole: what its pieces have not said."""
        if place in self._done:
            return
        self._done.add(place)
        kind = text(item.get("type"))
        if kind == "function_call":
            yield from self._call(place, item)
            if place not in self._argued:
                yield from self._argue(place, text(item.get("arguments")))
        elif kind == "message":
            for part in map(mapping, listed(item.get("content"))):
                yield from self._part(part, silent=place in self._pieced)
        elif kind == "reasoning":
            yield from self._reasoning(place, item)
        else:
            self.lost[f"output[].type={kind}"] = None

    def _part(self, part: Json, *, silent: bool) -> Iterator[Event]:
        for name in UNCARRIED:
            if part.get(name):
                self.lost[f"output[].content[].{name}"] = None
        kind = text(part.get("type"))
        if kind not in ("output_text", "refusal"):
            self.lost[f"output[].content[].type={kind}"] = None
        elif not silent:
            said = text(part.get("text")) or text(part.get("refusal"))
            yield from self._piece(kind, {"delta": said})

    def _reasoning(self, place: int, item: Json) -> Iterator[Event]:
        thought = place in self._pieced
        for key in () if thought else ("summary", "content"):
            for at, part in enumerate(map(mapping, listed(item.get(key)))):
                where = {"output_index": place, f"{key}_index": at}
                for event in self._piece(key, {"delta": part.get("text"), **where}):
                    thought = True
                    yield event
        self._thought = None
        if value := text(item.get("encrypted_content")):
            yield Signed(Signature("responses", value), hidden=not thought)

    def _piece(self, part: str, document: Json) -> Iterator[Event]:
        said = text(document.get("delta"))
        if not said:
            return
        if part in ("output_text", "refusal"):
            self._refused = self._refused or part == "refusal"
            yield Said(said, refusal=part == "refusal")
            return
        at = (part, number(document.get(f"{part}_index")))
        before, self._thought = self._thought, at
        yield Thinks(said if before in (None, at) else f"\n\n{said}")

    def _call(self, place: int, item: Json) -> Iterator[Event]:
        if item.get("type") == "function_call" and place not in self._calls:
            self._calls[place] = len(self._calls)
            named = text(item.get("call_id")), text(item.get("name"))
            yield Calls(index=self._calls[place], id=named[0], name=named[1])

    def _argue(self, place: int, more: str) -> Iterator[Event]:
        if more and place in self._calls:
            self._argued.add(place)
            yield Argues(self._calls[place], more)

    def _ends(self, reason: str) -> Ends:
        finish = REASONS.get(reason, Finish.STOP)
        if finish is Finish.STOP and self._calls:
            finish = Finish.TOOLS
        elif finish is Finish.STOP and self._refused:
            finish = Finish.REFUSAL
        return Ends(finish=finish, native=reason)


def _fails(error: Json) -> Fails:
    kind = text(error.get("code")) or text(error.get("type"))
    return Fails(
        status=STATUSES.get(kind, 500),
        message=text(error.get("message")) or "the response failed",
        kind=kind,
    )


def used(usage: Json) -> Used:
    """`input_tokens` count cached ones too, `output_tokens` reasoning."""
    prompt, answer = number(usage.get("input_tokens")), number(usage.get("output_tokens"))
    of_prompt = mapping(usage.get("input_tokens_details"))
    read = number(of_prompt.get("cached_tokens"))
    written = number(of_prompt.get("cache_write_tokens"))
    reasoning = number(mapping(usage.get("output_tokens_details")).get("reasoning_tokens"))
    return Used(
        input=max(prompt - read - written, 0),
        cache_read=read,
        cache_write=written,
        output=max(answer - reasoning, 0),
        reasoning=reasoning,
    )
