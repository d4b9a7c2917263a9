"""Gemini's interactions, whole or streamed.  https://ai.google.dev/api/interactions-api"""

from collections.abc import Mapping

from pricing.cause import about
from pricing.reason import Reason
from pricing.usage import Meter
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.fields import HARMLESS, READ, Fields, named
from proxy.dialects.gemini.generate import call_terms
from proxy.dialects.gemini.usage import (
    by_modality,
    tally_input,
    tally_output,
    tally_tool_use,
)
from proxy.dialects.other import free_endpoint
from proxy.dialects.tally import Tally
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

_GROUNDING = {"google_maps": Meter.GROUNDING_MAPS, "google_search": Meter.GROUNDING_QUERIES}
_SPLIT = {**named(READ, "tokens"), **named(HARMLESS, "modality")}
_KNOWN: Fields = {
    **named(READ, "total_input_tokens", "total_output_tokens", "total_cached_tokens"),
    **named(READ, "total_thought_tokens", "total_tool_use_tokens", "total_tokens"),
    **named(HARMLESS, "grounding_tool_count"),  # counted by type
    "input_tokens_by_modality": _SPLIT,
    "output_tokens_by_modality": _SPLIT,
    "cached_tokens_by_modality": _SPLIT,
    "tool_use_tokens_by_modality": _SPLIT,
}
# Types of steps, contents and deltas by how they end; what tools cost is in the usage block.
# https://ai.google.dev/api/interactions-api
_NO_FEE = (
    *("text", "thought", "thought_summary", "thought_signature", "image", "audio", "video"),
    *("document", "model_output", "user_input", "_call", "_result", "_annotation", "arguments"),
)
_PENDING = frozenset({"queued", "in_progress"})


class InteractionReader:
    """Reads one interaction."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._usage: Block = {}
        self._tier = ""
        self._pending = False

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        if self._draft.fail(document):
            return
        body = mapping(document)
        kind = text(body.get("event_type")) or event
        if not kind:
            self._interaction(body, at_ns)
        elif inner := mapping(body, "interaction"):
            self._interaction(inner, at_ns)
        elif kind.endswith((".start", ".delta")):
            # Steps used to be called contents: content.start, content.delta.
            block = mapping(body, "delta") or mapping(body, "step") or mapping(body, "content")
            self._block(block, at_ns)

    def _interaction(self, body: Block, at_ns: int) -> None:
        draft = self._draft
        model = text(body.get("model")) or text(body.get("agent"))  # deep research names no model
        draft.response_model = model.rpartition("/")[2] or draft.response_model
        draft.response_id = text(body.get("id")) or draft.response_id
        self._tier = text(body.get("service_tier")) or self._tier
        usage = mapping(body, "usage")
        names = ("total_tokens", "total_input_tokens", "total_output_tokens")
        if any(integer(usage.get(name)) is not None for name in names):
            draft.flag(*self._tally().unknown())
            self._usage = usage
        for step in mappings(body.get("steps")) or mappings(body.get("outputs")):
            self._block(step, at_ns)
        status = text(body.get("status"))
        self._pending = status in _PENDING
        if status and not self._pending:
            draft.finish(status)
            draft.complete = True
        if status == "failed":
            draft.error_type = draft.error_type or status

    def _block(self, block: Block, at_ns: int) -> None:
        kind = text(block.get("type"))
        if kind and not kind.endswith(_NO_FEE):
            self._draft.flag(about(Reason.UNKNOWN_OUTPUT_ITEM, kind))
        hidden = kind.startswith("thought")
        self._draft.delta(text(block.get("text")), at_ns, visible=not hidden)
        self._draft.delta(text(mapping(block, "content").get("text")), at_ns, visible=not hidden)
        for content in mappings(block.get("content")):
            self._draft.delta(text(content.get("text")), at_ns, visible=not hidden)
        if kind == "function_call" and text(block.get("name")):
            self._draft.tool_calls += 1
            self._draft.delta(text(block.get("name")), at_ns, of=("tool", self._draft.tool_calls))

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        terms = call_terms(draft, self._tier)
        background = mapping(draft.ask.request).get("background") is True
        if self._usage and not (background and self._pending):
            # The call that began it and any that fetch it may show it: the first one is charged.
            draft.part(self._tally(), terms=terms, item=draft.response_id)
        elif background:
            draft.countable = False  # the answer does not come this way
            draft.flag(Reason.BACKGROUND_USAGE_COMES_LATER)
        return draft.reading()

    def _tally(self) -> Tally:
        usage = self._usage
        tally = Tally(usage, _KNOWN)
        tally_input(
            tally,
            integer(usage.get("total_input_tokens")) or 0,
            by_modality(usage.get("input_tokens_by_modality"), "tokens"),
            integer(usage.get("total_cached_tokens")) or 0,
            by_modality(usage.get("cached_tokens_by_modality"), "tokens"),
        )
        made = integer(usage.get("total_output_tokens"))
        tally_output(tally, made, by_modality(usage.get("output_tokens_by_modality"), "tokens"))
        tally.add(Meter.OUTPUT_REASONING, integer(usage.get("total_thought_tokens")))
        tool_use = by_modality(usage.get("tool_use_tokens_by_modality"), "tokens")
        tally_tool_use(tally, integer(usage.get("total_tool_use_tokens")), tool_use)
        tally.expect_total(integer(usage.get("total_tokens")))
        for entry in mappings(usage.get("grounding_tool_count")):
            count = integer(entry.get("count")) or 0
            if meter := _GROUNDING.get(text(entry.get("type")).lower()):
                by_prompt = "gemini-2" in (self._draft.response_model or self._draft.request_model)
                if meter is Meter.GROUNDING_QUERIES and by_prompt:
                    meter, count = Meter.GROUNDING_PROMPTS, min(count, 1)
                tally.add(meter, count)
            elif count:
                tally.flag(about(Reason.UNKNOWN_TOOL, text(entry.get("type"))))
        return tally


class FetchedInteractionReader(InteractionReader):
    """Reads an interaction by its id: charged if no call before showed its usage."""

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        draft.countable = False
        if self._usage and not self._pending:
            draft.operation = Operation.GENERATE_CONTENT
        else:
            draft.billable = False
            draft.flag(Reason.POLL)
            self._usage = {}
        return super().close()


INTERACTIONS = Endpoint(
    name="gemini.interactions", operation=Operation.GENERATE_CONTENT, reader=InteractionReader
)
FETCH = Endpoint(
    name="gemini.interaction", operation=Operation.FETCH_RESPONSE, reader=FetchedInteractionReader
)
DELETE = free_endpoint("gemini.interaction", Operation.OTHER, Reason.NO_CHARGE_ENDPOINT)

ROUTES = (
    EndpointPath("/interactions", INTERACTIONS),
    EndpointPath("/interactions/[^/]+(/cancel)?", FETCH, frozenset({"GET", "POST"})),
    EndpointPath("/interactions/[^/]+", DELETE, frozenset({"DELETE"})),
)
