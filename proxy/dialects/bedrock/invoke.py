"""Bedrock InvokeModel: the body of each model family, and the tokens that Bedrock counted.

Streamed bodies come as `{"bytes": base64}`; the last chunk has `amazon-bedrock-invocationMetrics`,
a whole body has `x-amzn-bedrock-*-token-count` headers.  Claude's bodies are Anthropic messages.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from pricing.reason import Reason
from pricing.usage import Meter, Usage
from proxy.dialects.anthropic.messages import MessagesReader
from proxy.dialects.asked import note_embeddings
from proxy.dialects.bedrock.converse import (
    count_trace,
    note_exception,
    path_model,
    profile_terms,
    tally_usage,
)
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json, Reader
from proxy.dialects.draft import Draft
from proxy.dialects.fields import HARMLESS, READ, named
from proxy.dialects.tally import Tally
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

HEADER = "x-amzn-bedrock-{}-token-count"
TRACE = "amazon-bedrock-trace"  # of a guardrail, if the request asked for it
METRICS = "amazon-bedrock-invocationMetrics"
_METRICS = {
    **named(READ, "inputTokenCount", "outputTokenCount"),
    **named(READ, "cacheReadInputTokenCount", "cacheWriteInputTokenCount"),
    **named(HARMLESS, "invocationLatency", "firstByteLatency"),  # milliseconds
}
_BODY = named(READ, "prompt_tokens", "completion_tokens", "total_tokens")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_TEXTS = ("outputText", "generation", "completion", "text")


def guarded(ask: Ask) -> bool:
    """Whether the call asked for a guardrail."""
    return "x-amzn-bedrock-guardrailidentifier" in ask.request_headers


class ClaudeReader:
    """Reads a message of Claude; the name in the path is the model that is priced."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._ask = ask
        self._reader = MessagesReader(ask, endpoint)
        self._guardrail = Tally.inferred()

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        if event.endswith("Exception"):
            message = mapping(document).get("message")
            document = {"error": {"type": event, "message": message}}
        document = unwrapped(document)
        count_trace(self._guardrail, mapping(document, TRACE))
        self._reader.read(document, at_ns)

    def close(self) -> Reading:
        """See `Reader.close`."""
        reading = self._reader.close()
        terms = profile_terms(self._ask)
        parts = tuple(
            replace(part, model=part.model or path_model(self._ask), terms={**part.terms, **terms})
            for part in reading.parts
        )
        return self._guarded(replace(reading, parts=parts))

    def _guarded(self, reading: Reading) -> Reading:
        """The reading with what a guardrail took; it is billed beside the first part."""
        units = self._guardrail.usage().quantities
        reasons = [*self._guardrail.reasons]
        if guarded(self._ask) and not units:
            reasons.append(Reason.GUARDRAIL_UNITS_NOT_REPORTED)
        parts = reading.parts
        if parts and units:
            usage = Usage({**parts[0].usage.quantities, **units}, parts[0].usage.origin)
            parts = (replace(parts[0], usage=usage), *parts[1:])
        return replace(reading, parts=parts, reasons=(*reading.reasons, *reasons))


class InvokeReader:
    """Reads the body of any other model."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        note_embeddings(self._draft, mapping(ask.request))
        self._tally: Tally | None = None
        self._guardrail = Tally.inferred()
        self._images = 0

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(unwrapped(document))
        if note_exception(draft, mapping(document), event) or draft.fail(body):
            return
        for holder in (body, *mappings(body.get("results")), *mappings(body.get("outputs"))):
            for name in _TEXTS:
                draft.delta(text(holder.get(name)), at_ns)
            draft.finish(holder.get("completionReason") or holder.get("stop_reason"))
        draft.delta(text(mapping(body, "contentBlockDelta", "delta").get("text")), at_ns)
        for block in mappings(mapping(body, "output", "message").get("content")):
            draft.delta(text(block.get("text")), at_ns)
        draft.finish(mapping(body, "messageStop").get("stopReason") or body.get("stopReason"))
        images = body.get("images") or body.get("artifacts")
        self._images += len(images) if isinstance(images, list) else 0
        count_trace(self._guardrail, mapping(body, TRACE))
        metrics = mapping(body, METRICS)
        for tally in (_body_tally(body), _count_tally(metrics, "{}TokenCount", True)):
            if tally is not None:
                draft.flag(*tally.reasons)  # what another block counts in its place is no less odd
                self._tally = tally
        draft.complete = draft.complete or bool(metrics) or not draft.ask.stream

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        tally = self._tally or _count_tally(draft.ask.response_headers, HEADER, False)
        if self._images:
            tally = tally or Tally.inferred()
            tally.add(Meter.IMAGES, self._images)
        if tally is not None:
            tally.merge(self._guardrail)
            draft.part(tally, terms=profile_terms(draft.ask))
        if guarded(draft.ask) and not self._guardrail.usage().quantities:
            draft.flag(Reason.GUARDRAIL_UNITS_NOT_REPORTED)
        return draft.reading()


def unwrapped(document: Json) -> Json:
    """The document in a chunk's `bytes`; any other document unchanged."""
    wrapped = mapping(document).get("bytes")
    if not isinstance(wrapped, str):
        return document
    try:
        return _DECODER.decode(b64decode(wrapped, validate=True))
    except (Base64Error, ValueError):
        return {}


def _count_tally(counts: Mapping[str, object], form: str, camel: bool) -> Tally | None:
    """Bedrock's own counts; the input excludes cached tokens, as in Converse."""
    names = {
        Meter.INPUT: "input",
        Meter.OUTPUT: "output",
        Meter.CACHE_READ: "cacheReadInput" if camel else "cache-read-input",
        Meter.CACHE_WRITE_5M: "cacheWriteInput" if camel else "cache-write-input",
    }
    said = {meter: _number(counts.get(form.format(name))) for meter, name in names.items()}
    if all(count is None for count in said.values()):
        return None
    tally = Tally.inferred()
    if camel:
        tally.check(counts, _METRICS, METRICS)
    for meter, count in said.items():
        tally.add(meter, count)
    return tally


def _number(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None
    return integer(value)


def _body_tally(body: Block) -> Tally | None:
    """Usage in the bodies of Nova, OpenAI's open models, Titan and Llama."""
    usage = mapping(body, "usage") or mapping(body, "metadata", "usage")
    if integer(usage.get("inputTokens")) is not None:
        return tally_usage(usage)
    tally = Tally(usage, _BODY)
    pairs = (
        (usage.get("prompt_tokens"), usage.get("completion_tokens")),
        (body.get("prompt_token_count"), body.get("generation_token_count")),
        (body.get("inputTextTokenCount"), body.get("totalOutputTextTokenCount")),
    )
    for read, made in pairs:
        if integer(read) is not None or integer(made) is not None:
            tally.add(Meter.INPUT, integer(read))
            tally.add(Meter.OUTPUT, integer(made))
            for result in mappings(body.get("results")):
                tally.add(Meter.OUTPUT, integer(result.get("tokenCount")))
            return tally
    return None


def invoke(ask: Ask, endpoint: Endpoint) -> Reader:
    """The reader for the model in the path or, behind an ARN, for the form of the request."""
    claude = "anthropic." in path_model(ask) or "anthropic_version" in mapping(ask.request)
    return (ClaudeReader if claude else InvokeReader)(ask, endpoint)


INVOKE = Endpoint(
    name="bedrock.invoke_model", operation=Operation.CHAT, reader=invoke, model=path_model
)
ROUTES = (EndpointPath("/model/.+/invoke(-with-response-stream)?", INVOKE),)
