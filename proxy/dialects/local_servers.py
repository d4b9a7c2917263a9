"""Native APIs of servers for local models, where they differ from OpenAI's.

llama.cpp `/completion` and `/infill`
(https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md), `/generate` and
`/generate_stream` of https://huggingface.co/docs/text-generation-inference, LM Studio's
`/api/v1/chat` (https://lmstudio.ai/docs/developer/rest), and tokenizers, which are not billed.
"""

from collections.abc import Mapping

from pricing.reason import Reason
from pricing.usage import Meter
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.fields import HARMLESS, READ, Fields, named
from proxy.dialects.other import free_endpoint
from proxy.dialects.tally import Tally, split
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

# Tokens, one by one: https://huggingface.co/docs/text-generation-inference/reference/api_reference
_DETAILS: Fields = {
    **named(READ, "generated_tokens", "input_length"),
    **named(HARMLESS, "prefill", "tokens", "top_tokens", "seed"),
}
_STATS: Fields = {
    **named(READ, "input_tokens", "total_output_tokens", "reasoning_output_tokens"),
    **named(HARMLESS, "tokens_per_second", "time_to_first_token_seconds"),
    **named(HARMLESS, "model_load_time_seconds"),
}


class LocalReader:
    """Reads one answer, whole or streamed."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._tally: Tally | None = None

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if draft.fail(document):
            return
        for body in mappings(document) if isinstance(document, list) else [mapping(document)]:
            self._take(body, at_ns)

    def _take(self, body: Block, at_ns: int) -> None:
        draft = self._draft
        draft.response_model = (
            text(body.get("model")) or text(body.get("model_instance_id")) or draft.response_model
        )
        hidden = text(body.get("type")).startswith("reasoning")
        for said in (body.get("content"), body.get("generated_text")):
            draft.delta(text(said), at_ns, visible=not hidden)
        draft.delta(text(mapping(body, "token").get("text")), at_ns)
        for output in mappings(body.get("output")):
            shown = text(output.get("type")) == "message"
            draft.delta(text(output.get("content")), at_ns, visible=shown)
            draft.tool_calls += text(output.get("type")) == "tool_call"
        final = mapping(body, "result") or body  # LM Studio's last event wraps the answer
        if tally := _tally(final):
            self._tally = tally
            draft.complete = True
        draft.finish(body.get("stop_type") or mapping(body, "details").get("finish_reason"))
        if not draft.ask.stream and body:
            draft.complete = True

    def close(self) -> Reading:
        """See `Reader.close`."""
        if self._tally is not None:
            self._draft.part(self._tally)
        return self._draft.reading()


def _tally(body: Block) -> Tally | None:
    """Usage as llama.cpp, text-generation-inference and LM Studio state it at the end."""
    details, stats = mapping(body, "details"), mapping(body, "stats")
    tally = Tally(details, _DETAILS)
    tally.check(stats, _STATS)
    if body.get("stop") is True or ("tokens_predicted" in body and "stop" not in body):
        cached = integer(mapping(body, "timings").get("cache_n"))
        read = integer(body.get("tokens_evaluated"))
        if read is None:
            return None
        split(tally, read, Meter.INPUT, {Meter.CACHE_READ: cached})
        tally.add(Meter.OUTPUT, integer(body.get("tokens_predicted")))
        return tally
    if (made := integer(details.get("generated_tokens"))) is not None:
        read = integer(details.get("input_length"))
        if read is None and not (prefill := mappings(details.get("prefill"))):
            tally.flag(Reason.INPUT_TOKENS_NOT_REPORTED)
        elif read is None:
            read = len(prefill)
        tally.add(Meter.INPUT, read)
        tally.add(Meter.OUTPUT, made)
        return tally
    if (made := integer(stats.get("total_output_tokens"))) is not None:
        tally.add(Meter.INPUT, integer(stats.get("input_tokens")))
        reasoning = integer(stats.get("reasoning_output_tokens"))
        split(tally, made, Meter.OUTPUT, {Meter.OUTPUT_REASONING: reasoning})
        return tally
    return None


COMPLETION = Endpoint(
    name="local.completion", operation=Operation.TEXT_COMPLETION, reader=LocalReader
)
CHAT = Endpoint(name="local.chat", operation=Operation.CHAT, reader=LocalReader)
TOKENIZE = free_endpoint("local.tokenize", Operation.COUNT_TOKENS, Reason.TOKEN_COUNTING)

STATUS = free_endpoint("local.status", Operation.OTHER, Reason.NO_CHARGE_ENDPOINT)

ROUTES = (
    EndpointPath("^|^/(health|healthz|ping|ready|metrics)", STATUS, frozenset({"GET"})),
    EndpointPath("^/(completion|infill|generate|generate_stream)", COMPLETION),
    EndpointPath("/api/v1/chat", CHAT),
    EndpointPath("/(tokenize|detokenize|apply-template)", TOKENIZE),
)
