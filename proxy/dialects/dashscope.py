"""DashScope's native API (Qwen): generation, multimodal generation, embeddings and reranking.

https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope.  Every event of a stream
repeats the usage so far.  It also repeats the text so far, unless the request asks for
`incremental_output`.
"""

from collections.abc import Mapping

from pricing.reason import Reason
from pricing.terms import Term
from pricing.usage import Meter, TermValue
from proxy.dialects.asked import note_embeddings, note_numbers, note_stops
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.errors import find_error_body
from proxy.dialects.fields import HARMLESS, READ, Fields, named
from proxy.dialects.other import free_endpoint
from proxy.dialects.superseded import Superseded
from proxy.dialects.tally import Tally, split
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

_INPUT = {
    "image_tokens": Meter.INPUT_IMAGE,
    "video_tokens": Meter.INPUT_VIDEO,
    "audio_tokens": Meter.INPUT_AUDIO,
}
_OUTPUT = {
    "reasoning_tokens": Meter.OUTPUT_REASONING,
    "audio_tokens": Meter.OUTPUT_AUDIO,
    "image_tokens": Meter.OUTPUT_IMAGE,
}

_KINDS = named(READ, "text_tokens", "image_tokens", "video_tokens", "audio_tokens")
_WRITES = named(READ, "ephemeral_5m_input_tokens")  # repeats `cache_creation_input_tokens`
_INPUT_DETAILS: Fields = {
    **_KINDS,
    **named(READ, "cached_tokens", "cache_creation_input_tokens"),
    "cache_creation": _WRITES,
}
_KNOWN: Fields = {
    **named(READ, "total_tokens", "input_tokens", "output_tokens"),
    **named(READ, "image_tokens", "video_tokens", "audio_tokens"),
    **named(READ, "characters", "image_count", "duration"),
    **named(READ, "output_video_duration", "video_duration", "video_count"),
    "prompt_tokens_details": _INPUT_DETAILS,
    "input_tokens_details": _INPUT_DETAILS,
    "output_tokens_details": {
        **named(READ, "text_tokens", "audio_tokens", "image_tokens"),
        **named(READ, "reasoning_tokens"),
    },
    **named(HARMLESS, "plugins"),  # counted by name
}

_ASKED = {
    "temperature": "request.temperature",
    "top_p": "request.top_p",
    "top_k": "request.top_k",
    "max_tokens": "request.max_tokens",
    "seed": "request.seed",
    "presence_penalty": "request.presence_penalty",
}


class DashScopeReader:
    """Reads one answer, whole or streamed."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._usage: Block = {}
        self._superseded = Superseded()
        self._task = ""
        self._searched = False  # https://www.alibabacloud.com/help/en/model-studio/web-search
        parameters = mapping(ask.request, "parameters")
        note_numbers(self._draft, parameters, _ASKED)
        note_stops(self._draft, parameters.get("stop"))
        note_embeddings(self._draft, parameters)
        self._incremental = parameters.get("incremental_output")  # the default is the model's own
        self._thinking = parameters.get("enable_thinking")
        self._seen: dict[str, str] = {}  # the last text of streams that repeat it

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        if event == "error" or (text(body.get("code")) and "output" not in body):
            draft.fail(
                {"error": dict(zip(("code", "message"), find_error_body(body), strict=True))}
            )
            return
        draft.response_id = text(body.get("request_id")) or draft.response_id
        draft.response_model = text(body.get("model")) or draft.response_model
        usage = mapping(body, "usage")
        if any(integer(count) is not None for count in usage.values()) and usage != self._usage:
            draft.flag(*self._superseded.unknown(self._usage, tally_usage))
            self._usage = usage
        output = mapping(body, "output")
        self._task = text(output.get("task_id"))[:128] or self._task
        self._searched = self._searched or bool(mapping(output, "search_info"))
        self._say("text", output.get("text"), at_ns)
        self._end(output.get("finish_reason"))
        for number, choice in enumerate(mappings(output.get("choices"))):
            self._message(mapping(choice, "message"), number, at_ns)
            self._end(choice.get("finish_reason"), number)
        if not draft.ask.stream and body:
            draft.complete = True

    def _end(self, reason: object, choice: int = 0) -> None:
        if reason and reason != "null":  # the text "null" until the end
            self._draft.finish(reason, choice)
            self._draft.complete = True

    def _message(self, message: Block, number: int, at_ns: int) -> None:
        self._say(f"r{number}", message.get("reasoning_content"), at_ns, visible=False)
        content = message.get("content")
        self._say(f"c{number}", content, at_ns)
        for index, piece in enumerate(mappings(content)):
            self._say(f"c{number}.{index}", piece.get("text"), at_ns)
        for call in mappings(message.get("tool_calls")):
            function = mapping(call, "function")
            self._draft.tool_calls += bool(text(function.get("name")))
            of = number, integer(call.get("index"))
            self._draft.delta(text(function.get("name")), at_ns, of=of)
            self._draft.delta(text(function.get("arguments")), at_ns, of=of)

    def _say(self, where: str, value: object, at_ns: int, *, visible: bool = True) -> None:
        said = text(value)
        before = self._seen.get(where, "")
        if said and self._draft.ask.stream and self._incremental is not True:
            self._seen[where] = said
            said = said.removeprefix(before)  # a new piece hardly ever begins with the previous one
        self._draft.delta(said, at_ns, visible=visible, of=where)

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        if self._task and not self._usage:
            draft.billable = False
            draft.flag(Reason.CHARGED_WHEN_POLLED if draft.ask.method == "POST" else Reason.POLL)
        if self._usage:
            tally = tally_usage(self._usage)
            reasoned = tally.quantity(Meter.OUTPUT_REASONING)
            terms: dict[str, TermValue] = {}
            if reasoned or isinstance(self._thinking, bool):
                terms[Term.MODE] = "thinking" if reasoned or self._thinking else "non_thinking"
            if self._searched and not tally.quantity(Meter.CALLS_WEB_SEARCH):
                tally.add(Meter.CALLS_WEB_SEARCH, 1)
            # A task is polled any number of times and billed once.
            draft.part(tally, terms=terms, item=f"tasks/{self._task}" if self._task else "")
            draft.usage_final = draft.complete
        return draft.reading()


def tally_usage(usage: Block) -> Tally:
    """The leaves of a native `usage` block.

    The input includes image, video and audio tokens, and its text includes cached ones; embeddings
    and reranking state only a total.  Modalities are beside `input_tokens` or in its details.
    """
    tally = Tally(usage, _KNOWN)
    total = integer(usage.get("total_tokens"))
    made = integer(usage.get("output_tokens")) or 0
    read = integer(usage.get("input_tokens"))
    if read is None:
        read = (total or 0) - made
    cache = mapping(usage, "prompt_tokens_details") or mapping(usage, "input_tokens_details")
    details = {**mapping(usage, "input_tokens_details"), **cache}
    hits = integer(details.get("cached_tokens"))
    explicit = details.get("cache_type") == "ephemeral"
    written = integer(details.get("cache_creation_input_tokens"))
    parts: dict[Meter, int | None] = {
        Meter.CACHE_READ_EXPLICIT if explicit else Meter.CACHE_READ: hits,
        Meter.CACHE_WRITE_5M: written,
    }
    for name, meter in _INPUT.items():
        inside = integer(details.get(name))
        parts[meter] = integer(usage.get(name)) if inside is None else inside
    split(tally, read, Meter.INPUT, parts)
    made_of = mapping(usage, "output_tokens_details")
    split(tally, made, Meter.OUTPUT, {m: integer(made_of.get(name)) for name, m in _OUTPUT.items()})
    tally.expect_total(total)
    tally.add(Meter.CHARACTERS, integer(usage.get("characters")))
    tally.add(Meter.IMAGES, integer(usage.get("image_count")))
    video = usage.get("output_video_duration") or usage.get("video_duration")
    tally.add(Meter.VIDEO_SECONDS, integer(video))
    if not video:  # else it is the video's
        tally.add(Meter.AUDIO_SECONDS, integer(usage.get("duration")))
    plugins = {
        name: mapping(use).get("count", use) for name, use in mapping(usage, "plugins").items()
    }
    tally.count_calls(plugins, {"search": Meter.CALLS_WEB_SEARCH})
    return tally


GENERATION = Endpoint(name="dashscope.generation", operation=Operation.CHAT, reader=DashScopeReader)
EMBEDDING = Endpoint(
    name="dashscope.embedding", operation=Operation.EMBEDDINGS, reader=DashScopeReader
)
RERANK = Endpoint(name="dashscope.rerank", operation=Operation.RERANK, reader=DashScopeReader)
IMAGE = Endpoint(
    name="dashscope.image", operation=Operation.IMAGE_GENERATION, reader=DashScopeReader
)
TASK = Endpoint(name="dashscope.task", operation=Operation.OTHER, reader=DashScopeReader)
CANCEL = free_endpoint("dashscope.task", Operation.OTHER, Reason.NO_CHARGE_ENDPOINT)

ROUTES = (
    EndpointPath("/services/aigc/(text|multimodal)-generation/generation", GENERATION),
    EndpointPath("/services/embeddings/[^/]+/[^/]+", EMBEDDING),
    EndpointPath("/services/rerank/[^/]+/[^/]+", RERANK),
    EndpointPath("/services/aigc/[^/]+/[^/]+", IMAGE),
    EndpointPath("/api/v1/tasks/[^/]+", TASK, frozenset({"GET"})),
    EndpointPath("/api/v1/tasks/[^/]+/cancel", CANCEL),
)
