"""Bedrock Converse, whole or streamed, and guardrails.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.  `inputTokens`
excludes cache reads and writes; each `*TokenCount` repeats the `*Tokens` of the same name.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from pricing.cause import about
from pricing.reason import Reason
from pricing.terms import Term
from pricing.usage import Meter, TermValue
from proxy.dialects.asked import note_stops
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.fields import HARMLESS, READ, Fields, is_quantity, named
from proxy.dialects.other import free_endpoint
from proxy.dialects.tally import Tally
from proxy.dialects.values import figure, integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

# The prefix of a cross-region inference profile, us.anthropic.claude-…; "global" is not dearer.
# https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
_PROFILE = re.compile(r"^(us-gov|us|eu|apac|au|jp|ca|sa|global)\.")
_WRITE = {"5m": Meter.CACHE_WRITE_5M, "1h": Meter.CACHE_WRITE_1H}
_GUARDRAIL = {
    "contentPolicyUnits": Meter.GUARDRAIL_CONTENT_UNITS,
    "sensitiveInformationPolicyUnits": Meter.GUARDRAIL_PII_UNITS,
}
_UNITS_FREE = ("wordPolicyUnits",)  # https://aws.amazon.com/bedrock/pricing/
_KNOWN: Fields = {
    **named(READ, "inputTokens", "outputTokens", "totalTokens"),
    **named(READ, "inputTokenCount", "outputTokenCount"),  # Nova's own body says both
    **named(READ, "cacheReadInputTokens", "cacheReadInputTokenCount"),
    **named(READ, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    "cacheDetails": named(READ, "inputTokens"),
    **named(HARMLESS, "serverToolUsage"),  # counted by name
}
_CONFIG = {
    "temperature": "request.temperature",
    "topP": "request.top_p",
    "maxTokens": "request.max_tokens",
}


class ConverseReader:
    """Reads one answer."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._usage: Block = {}
        self._guardrail = Tally.inferred()
        self._terms = profile_terms(ask)
        config = mapping(ask.request, "inferenceConfig")
        for name, attribute in _CONFIG.items():
            if (value := figure(config.get(name))) is not None:
                self._draft.attributes[attribute] = value
        note_stops(self._draft, config.get("stopSequences"))

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        if note_exception(draft, body, event) or draft.fail(document):
            return
        self._block(mapping(body, "start"), at_ns)
        self._block(mapping(body, "delta"), at_ns)
        for block in mappings(mapping(body, "output", "message").get("content")):
            self._block(block, at_ns)
        draft.finish(body.get("stopReason"))
        usage = mapping(body, "usage")
        if any(integer(usage.get(name)) is not None for name in ("inputTokens", "outputTokens")):
            self._usage = usage
            draft.complete = True
        self._facts(body)

    def _facts(self, body: Block) -> None:
        draft = self._draft
        draft.response_model = text(body.get("model")) or draft.response_model
        if tier := text(mapping(body, "serviceTier").get("type")):
            draft.service_tier = self._terms[Term.SERVICE_TIER] = tier
        if latency := text(mapping(body, "performanceConfig").get("latency")):
            self._terms[Term.SPEED] = latency
        latency_ms = integer(mapping(body, "metrics").get("latencyMs"))
        if latency_ms is not None:
            draft.attributes["provider_ms"] = latency_ms
        trace = mapping(body, "trace")
        if routed := text(mapping(trace, "promptRouter").get("invokedModelId")):
            draft.response_model = routed.rpartition("/")[2]  # a prompt router chose it
        count_trace(self._guardrail, trace)

    def _block(self, block: Block, at_ns: int) -> None:
        draft = self._draft
        draft.delta(text(block.get("text")), at_ns)
        reasoning = mapping(block, "reasoningContent")
        thought = text(reasoning.get("text"))
        thought = thought or text(mapping(reasoning, "reasoningText").get("text"))
        draft.delta(thought, at_ns, visible=False)
        tool = mapping(block, "toolUse")
        if name := text(tool.get("name")):
            draft.tool_calls += 1
            draft.delta(name, at_ns, of=("tool", draft.tool_calls))
        given = tool.get("input")
        if isinstance(given, str):
            draft.delta(given, at_ns, of=("tool", draft.tool_calls))
        elif given:
            draft.add_text(str(given), ("tool", draft.tool_calls))

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        asked = "guardrailConfig" in mapping(draft.ask.request)
        if self._usage:
            tally = tally_usage(self._usage)
            tally.merge(self._guardrail)
            draft.part(tally, terms=self._terms)
            if asked and not self._guardrail.usage().quantities:
                draft.flag(Reason.GUARDRAIL_UNITS_NOT_REPORTED)
        return draft.reading()


def tally_usage(usage: Block) -> Tally:
    """The leaves of a `usage` block of Converse, or of Nova's InvokeModel."""
    tally = Tally(usage, _KNOWN)
    tally.count_calls(mapping(usage, "serverToolUsage"), {})
    tally.add(Meter.INPUT, integer(usage.get("inputTokens")))
    tally.add(Meter.OUTPUT, integer(usage.get("outputTokens")))
    tally.add(Meter.CACHE_READ, _either(usage, "cacheReadInputToken"))
    written = _either(usage, "cacheWriteInputToken") or 0
    for entry in mappings(usage.get("cacheDetails")):
        meter = _WRITE.get(text(entry.get("ttl")), Meter.CACHE_WRITE)
        tokens = integer(entry.get("inputTokens")) or 0
        tally.add(meter, tokens)
        written -= tokens
    if written > 0:
        # The only lifetime before it could be chosen.
        # https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
        tally.add(Meter.CACHE_WRITE_5M, written)
        tally.flag(Reason.CACHE_WRITE_TTL_UNKNOWN)
    elif written < 0:
        tally.flag(Reason.CACHE_WRITE_SPLIT_EXCEEDS_TOTAL)
    tally.expect_total(integer(usage.get("totalTokens")))
    return tally


def _either(usage: Block, stem: str) -> int | None:
    tokens = integer(usage.get(f"{stem}s"))
    return integer(usage.get(f"{stem}Count")) if tokens is None else tokens


def count_trace(tally: Tally, trace: Block) -> None:
    """Count the units of every assessment in a trace, of Converse or of InvokeModel."""
    guardrail = mapping(trace, "guardrail")
    listed = mappings(guardrail.get("outputs"))  # InvokeModel's; Converse has one object
    one = (mapping(guardrail, name) for name in ("input", "inputAssessment", "outputAssessments"))
    for found in (*one, *listed):
        for assessment in found.values():
            entries = assessment if isinstance(assessment, list) else [assessment]
            for entry in entries:
                count_guardrail(tally, mapping(entry, "invocationMetrics", "usage"))


def count_guardrail(tally: Tally, usage: Block) -> None:
    """Count the text units of an assessment; flag policies that have no meter."""
    for name, value in usage.items():
        if not is_quantity(value) or name.endswith("FreeUnits") or name in _UNITS_FREE:
            continue
        if meter := _GUARDRAIL.get(name):
            tally.add(meter, integer(value))
        else:
            tally.flag(about(Reason.GUARDRAIL_NOT_METERED, name[:64]))


def note_exception(draft: Draft, body: Block, event: str) -> bool:
    """Record an exception event of a stream; returns whether it was one."""
    if not event.endswith(("Exception", "Error")):
        return False
    draft.fail({"error": {"type": event, "message": body.get("message")}})
    return True


def profile_terms(ask: Ask) -> dict[str, TermValue]:
    """The region of a cross-region inference profile."""
    profile = _PROFILE.match(path_model(ask))
    return {Term.REGION: profile[1]} if profile else {}


def path_model(ask: Ask) -> str:
    """The model or inference profile in a path; the last part of an ARN."""
    found = re.search(r"/model/(.+)/[^/]+/?$", unquote(ask.path))
    return found[1].rpartition("/")[2] if found else ""


class GuardrailReader:
    """Reads a guardrail that is applied without a model."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        usage = mapping(document, "usage")
        if usage and not self._draft.parts:
            tally = Tally.inferred()
            count_guardrail(tally, usage)
            self._draft.part(tally)
        self._draft.complete = True

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


CONVERSE = Endpoint(
    name="bedrock.converse", operation=Operation.CHAT, reader=ConverseReader, model=path_model
)
GUARDRAIL = Endpoint(
    name="bedrock.apply_guardrail", operation=Operation.MODERATION, reader=GuardrailReader
)
COUNT = free_endpoint("bedrock.count_tokens", Operation.COUNT_TOKENS, Reason.TOKEN_COUNTING)

ROUTES = (
    EndpointPath("/model/.+/converse(-stream)?", CONVERSE),
    EndpointPath("/model/.+/count-tokens", COUNT),
    EndpointPath("/guardrail/[^/]+/version/[^/]+/apply", GUARDRAIL),
)
