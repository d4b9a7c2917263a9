"""Ollama's native API: chat, generate and embeddings, whole or as one JSON value per line.

https://docs.ollama.com/api.  The last value has `prompt_eval_count` and `eval_count`.  The first
may be missing if the prompt is still in the model's memory, which does not mean zero.
"""

from collections.abc import Mapping

from pricing.reason import Reason
from pricing.usage import Meter
from proxy.dialects.asked import note_embeddings, note_stops
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.other import free_endpoint
from proxy.dialects.tally import Tally
from proxy.dialects.values import figure, integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

_OPTIONS = {
    "temperature": "request.temperature",
    "top_p": "request.top_p",
    "top_k": "request.top_k",
    "num_predict": "request.max_tokens",
    "seed": "request.seed",
}


class OllamaReader:
    """Reads one answer or one embedding."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        options = mapping(ask.request, "options")
        for name, attribute in _OPTIONS.items():
            if (value := figure(options.get(name))) is not None:
                self._draft.attributes[attribute] = value
        note_stops(self._draft, options.get("stop"))
        note_embeddings(self._draft, mapping(ask.request))

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if draft.fail(document):
            return
        body = mapping(document)
        draft.response_model = text(body.get("model")) or draft.response_model
        if remote := text(body.get("remote_host")):  # a model of Ollama's cloud, passed on
            draft.attributes["remote_host"] = remote
        message = mapping(body, "message")
        for holder, name in ((message, "content"), (body, "response")):
            draft.delta(text(holder.get(name)), at_ns)
        for holder in (message, body):
            draft.delta(text(holder.get("thinking")), at_ns, visible=False)
        for call in mappings(message.get("tool_calls")):
            draft.tool_calls += 1
            of = "tool", draft.tool_calls
            draft.delta(text(mapping(call, "function").get("name")), at_ns, of=of)
            draft.add_text(str(mapping(call, "function", "arguments") or ""), of)
        embedded = "embeddings" in body or "embedding" in body
        if body.get("done") is True or embedded:
            self._end(body)

    def _end(self, body: Mapping[str, object]) -> None:
        draft = self._draft
        draft.finish(body.get("done_reason"))
        draft.complete = True
        read, made = integer(body.get("prompt_eval_count")), integer(body.get("eval_count"))
        load_ns = integer(body.get("load_duration"))
        if load_ns is not None:
            draft.attributes["provider.load_ms"] = load_ns // 1_000_000
        if read is None and made is None:
            return
        tally = Tally.inferred()  # the counts stand among the rest of the body
        tally.add(Meter.INPUT, read)
        tally.add(Meter.OUTPUT, made)
        if read is None:
            tally.flag(Reason.INPUT_TOKENS_NOT_REPORTED)
        draft.part(tally)

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


CHAT = Endpoint(name="ollama.chat", operation=Operation.CHAT, reader=OllamaReader)
GENERATE = Endpoint(
    name="ollama.generate", operation=Operation.TEXT_COMPLETION, reader=OllamaReader
)
EMBED = Endpoint(name="ollama.embed", operation=Operation.EMBEDDINGS, reader=OllamaReader)
MODELS = free_endpoint("ollama.models", Operation.OTHER, Reason.NO_CHARGE_ENDPOINT)

ROUTES = (
    EndpointPath("/api/chat", CHAT),
    EndpointPath("/api/generate", GENERATE),
    EndpointPath("/api/(embed|embeddings)", EMBED),
    EndpointPath("/api/(show|pull|push|create|copy|delete|blobs/[^/]+)", MODELS),
)
