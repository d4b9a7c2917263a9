"""Gemini's generateContent family, on the Gemini API and on Vertex.

https://ai.google.dev/api/generate-content.  A stream is SSE (`alt=sse`) or one JSON array.  Every
chunk has the usage so far, so the last one counts.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from pricing.reason import Reason
from pricing.terms import Term
from pricing.usage import TermValue
from proxy.dialects.asked import note_stops
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.gemini.usage import Grounding, has_counts, served_tier, tally_usage
from proxy.dialects.other import free_endpoint
from proxy.dialects.superseded import Superseded
from proxy.dialects.tally import Tally
from proxy.dialects.values import figure, mapping, mappings, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

_FINISH = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}  # as numbers
_LOCATION = re.compile(r"/locations/([^/]+)/")
_VERTEX = re.compile(r"/publishers/google/")
_CONFIG = {
    "temperature": "request.temperature",
    "topP": "request.top_p",
    "topK": "request.top_k",
    "maxOutputTokens": "request.max_tokens",
    "frequencyPenalty": "request.frequency_penalty",
    "presencePenalty": "request.presence_penalty",
    "candidateCount": "request.choice.count",
    "seed": "request.seed",
}


class GenerateReader:
    """Reads one answer, whole or streamed."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._usage: Block = {}
        self._superseded = Superseded()
        self._tier = ask.response_headers.get("x-gemini-service-tier", "")
        self._grounding = Grounding()
        note_config(self._draft)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        if self._draft.fail(document):
            return
        for body in mappings(document) if isinstance(document, list) else [mapping(document)]:
            self._chunk(body, at_ns)

    def _chunk(self, body: Block, at_ns: int) -> None:
        draft = self._draft
        draft.response_model = text(body.get("modelVersion")) or draft.response_model
        draft.response_id = text(body.get("responseId")) or draft.response_id
        usage = mapping(body, "usageMetadata")
        self._tier = served_tier(usage) or self._tier
        if has_counts(usage) and usage != self._usage:
            draft.flag(*self._superseded.unknown(self._usage, tally_usage))
            self._usage = usage
        if blocked := text(mapping(body, "promptFeedback").get("blockReason")):
            draft.finish(blocked)
            draft.attributes["response.block_reason"] = blocked[:64]
            draft.complete = True
        for number, candidate in enumerate(mappings(body.get("candidates"))):
            index = candidate.get("index")
            self._candidate(candidate, index if isinstance(index, int) else number, at_ns)
        if not draft.ask.stream and body:
            draft.complete = True

    def _candidate(self, candidate: Block, index: int, at_ns: int) -> None:
        draft = self._draft
        note_parts(draft, mapping(candidate, "content").get("parts"), at_ns, of=index)
        self._grounding.take(mapping(candidate, "groundingMetadata"))
        if _VERTEX.search(self._draft.ask.path):
            self._grounding.take_own_data(mapping(candidate, "groundingMetadata"))
        if mapping(candidate, "urlContextMetadata") or self._draft.attributes.get("response.code"):
            self._grounding.other_tools = True
        reason = candidate.get("finishReason")
        if reason:
            draft.finish(
                _FINISH.get(reason, str(reason)) if isinstance(reason, int) else reason, index
            )
            draft.complete = True

    def tally(self) -> Tally | None:
        """The stated usage; None if there is none."""
        if not self._usage:
            return None
        tally = tally_usage(self._usage)
        self._grounding.count(tally, self._draft.response_model or self._draft.request_model)
        return tally

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        terms = call_terms(draft, self._tier)
        if tally := self.tally():
            draft.part(tally, terms=terms)
            draft.usage_final = draft.complete
        return draft.reading()


def note_parts(draft: Draft, parts: object, at_ns: int, of: int = 0) -> None:
    """Take the parts of a content: text, thoughts, calls, code and media."""
    for part in mappings(parts):
        hidden = part.get("thought") is True
        draft.delta(text(part.get("text")), at_ns, visible=not hidden, of=of)
        if call := mapping(part, "functionCall"):
            draft.tool_calls += 1
            draft.delta(text(call.get("name")), at_ns, of=("tool", draft.tool_calls))
            draft.add_text(str(mapping(call, "args") or ""), ("tool", draft.tool_calls))
        if code := text(mapping(part, "executableCode").get("code")):
            draft.attributes["response.code"] = True
            draft.delta(code, at_ns, of=("code", of))
        if mapping(part, "inlineData"):
            draft.times.token(at_ns, visible=True)
            draft.output_known = False  # images and audio cannot be counted from text


def note_config(draft: Draft) -> None:
    """Copy the known parameters of the request into the reading's attributes."""
    request = mapping(draft.ask.request)
    config = mapping(request, "generationConfig") or mapping(request, "generation_config")
    for name, attribute in _CONFIG.items():
        if (value := figure(config.get(name))) is not None:
            draft.attributes[attribute] = value
    note_stops(draft, config.get("stopSequences") or config.get("stop_sequences"))
    if cached := text(request.get("cachedContent")):
        draft.attributes["request.cached_content"] = cached[:128]


def call_terms(draft: Draft, tier: str) -> dict[str, TermValue]:
    """The terms of a call; flags a tier that was asked for and not confirmed."""
    terms: dict[str, TermValue] = {}
    draft.service_tier = tier
    request = mapping(draft.ask.request)
    asked = text(request.get("serviceTier")) or text(request.get("service_tier"))
    if tier:
        terms[Term.SERVICE_TIER] = tier
    elif asked.lower() not in ("", "standard", "auto", "service_tier_unspecified"):
        draft.flag(Reason.SERVED_TIER_UNKNOWN)
    if location := _LOCATION.search(draft.ask.path):
        terms[Term.REGION] = location[1]
    return terms


def path_model(ask: Ask) -> str:
    """The model in a path: `…/models/gemini-2.5-flash:generateContent`."""
    found = re.search(r"/(?:models|tunedModels|endpoints)/([^/:]+):", unquote(ask.path))
    return found[1] if found else ""


GENERATE = Endpoint(
    name="gemini.generate_content",
    operation=Operation.GENERATE_CONTENT,
    reader=GenerateReader,
    model=path_model,
)
COUNT = free_endpoint("gemini.count_tokens", Operation.COUNT_TOKENS, Reason.TOKEN_COUNTING)

ROUTES = (
    EndpointPath(r"(:|%3A)(generateContent|streamGenerateContent)", GENERATE),
    EndpointPath(r"(:|%3A)(countTokens|computeTokens)", COUNT),
)
