"""Anthropic messages, whole or streamed, on Anthropic's own API, Vertex and Bedrock.

https://platform.claude.com/docs/en/api/messages.  In a stream, `message_start` states the usage of
the prompt.  Each field of a later `message_delta` replaces what was known, except for the split of
cache writes by time to live, which it lacks.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from pricing.cause import about
from pricing.reason import Reason
from pricing.terms import Term
from pricing.usage import TermValue
from proxy.dialects.anthropic.delta import apart
from proxy.dialects.anthropic.request import cache_ttls, code_runs_free, note_request
from proxy.dialects.anthropic.usage import Share, has_counts, shares
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.other import free_endpoint
from proxy.dialects.repeating import Repeated, Repeating
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

BETA_CHARS_MAX = 512
TOOL_RESULTS = "_tool_result"  # ends the type of every block that answers a server tool
CODE_TOOLS = frozenset({"code_execution", "bash_code_execution", "text_editor_code_execution"})
# Counted in the usage block, or without a fee of their own.
# https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing
SERVER_TOOLS = frozenset(
    ("web_search", "web_fetch", "advisor", "tool_search_tool_regex", "tool_search_tool_bm25")
)
NO_FEE = frozenset(("", "text", "thinking", "redacted_thinking", "compaction", "container_upload"))
_LOCATION = re.compile(r"/locations/([^/]+)/")

Block = Mapping[str, object]


class MessagesReader(Repeating):
    """Reads one message."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._usage: dict[str, object] = {}
        self._blocks = 0
        self._code_runs = 0
        self._passes = 1
        self._after_result = False
        self.repeated = Repeated(apart)
        self._said_by: int | None = None  # the block that was extended last
        self._thinks = False  # by a thought
        self._ended = False  # the block of usage is the final one
        self._draft.session_id = ask.request_headers.get("x-claude-code-session-id", "")
        note_request(self._draft)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        self._read(document, at_ns, event)
        self.repeated.remember(document)

    def again(self, text: str, at_ns: int) -> None:
        """See `Repeating.again`."""
        self._draft.delta(text, at_ns, visible=not self._thinks, of=self._said_by)

    def _read(self, document: Json, at_ns: int, event: str) -> None:
        body = mapping(document)
        kind = text(body.get("type")) or event
        if not body or self._draft.fail(document):  # not an object: [DONE], which relays add
            return
        if kind == "message_start":
            self._start(mapping(body, "message"))
        elif kind == "content_block_start":
            self._block(mapping(body, "content_block"), at_ns, body.get("index"))
        elif kind == "content_block_delta":
            self._delta(mapping(body, "delta"), at_ns, body.get("index"))
        elif kind == "message_delta":
            self._merge(mapping(body, "usage"))
            self._stop(mapping(body, "delta"))
            self._ended = True
        elif kind == "message_stop":
            self._draft.complete = True
        elif kind in ("", "message", "completion"):
            self._whole(body, at_ns)

    def _whole(self, message: Block, at_ns: int) -> None:
        self._start(message)
        for number, block in enumerate(mappings(message.get("content"))):
            self._block(block, at_ns, number)
        self._stop(message)
        self._ended = self._draft.complete = True

    def _start(self, message: Block) -> None:
        self._draft.response_model = text(message.get("model")) or self._draft.response_model
        self._draft.response_id = text(message.get("id")) or self._draft.response_id
        self._merge(mapping(message, "usage"))

    def _merge(self, usage: Block) -> None:
        for share in self.shares():
            self._draft.flag(*share.tally.unknown())
        self._usage.update((name, said) for name, said in usage.items() if said is not None)

    def _stop(self, message: Block) -> None:
        self._draft.finish(message.get("stop_reason"))
        if category := text(mapping(message, "stop_details").get("category")):
            self._draft.attributes["response.refusal"] = category[:64]
        if container := text(mapping(message, "container").get("id")):
            self._draft.attributes["response.container_id"] = container[:128]

    def _block(self, block: Block, at_ns: int, number: Json) -> None:
        """Take a content block: a whole one, or the empty start of a streamed one."""
        of = integer(number)
        kind = text(block.get("type"))
        name = text(block.get("name"))
        self._blocks += 1
        if kind.endswith(TOOL_RESULTS):
            self._after_result = True
            return
        if self._after_result:  # the model read the results: another pass
            self._passes += 1
            self._after_result = False
        if kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
            self._draft.tool_calls += kind == "tool_use"
            self._code_runs += kind == "server_tool_use" and name in CODE_TOOLS
            if kind == "server_tool_use" and name not in CODE_TOOLS | SERVER_TOOLS:
                self._draft.flag(about(Reason.UNKNOWN_TOOL, name))
            self._draft.delta(name, at_ns, of=of)
            if arguments := mapping(block, "input"):
                self._draft.add_text(str(arguments), of)
        elif kind == "fallback":
            # Another model took over: the rest, and the usage of the final event, is from it.
            served = text(mapping(block, "to").get("model"))
            self._draft.response_model = served or self._draft.response_model
        else:
            if kind not in NO_FEE:
                self._draft.flag(about(Reason.UNKNOWN_OUTPUT_ITEM, kind))
            self._delta(block, at_ns, number)

    def _delta(self, delta: Block, at_ns: int, number: Json) -> None:
        """Take the text of a content block, or of an event that extends one."""
        of = self._said_by = integer(number)
        self._thinks = "thinking" in delta
        self._draft.delta(text(delta.get("thinking")), at_ns, visible=False, of=of)
        self._draft.delta(text(delta.get("text")), at_ns, of=of)
        self._draft.delta(text(delta.get("partial_json")), at_ns, of=of)
        if text(delta.get("type")) in ("compaction", "compaction_delta"):
            self._draft.delta(text(delta.get("content")), at_ns, visible=False, of=of)

    def shares(self) -> Iterator[Share]:
        """What each model used, as far as it was stated."""
        if has_counts(self._usage):
            ask = self._draft.ask
            yield from shares(
                self._usage,
                served=self._draft.response_model,
                terms=call_terms(ask),
                ttls=cache_ttls(ask.request),
                passes=self._passes,
            )

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        draft.service_tier = text(self._usage.get("service_tier"))
        if self._code_runs:
            draft.attributes["response.code_executions"] = self._code_runs
            if not code_runs_free(draft.ask.request):
                draft.flag(Reason.CONTAINER_TIME_NOT_REPORTED)
        if mapping(self._usage, "fallback_credit", "status").get("type") == "redeemed":
            # Billed as if the cache had always been this model's, which the counts do not show.
            draft.flag(Reason.FALLBACK_CREDIT_REDEEMED)
        done = [*self.shares()]
        if "refusal" in draft.finish_reasons.values() and not self._blocks:
            # A refusal before any output is free; its numbers are kept as a record.
            # https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
            draft.flag(Reason.REFUSED_BEFORE_OUTPUT)
            draft.billable = len(done) > 1
            done = done[1:] or done
        for share in done:
            draft.part(share.tally, model=share.model, terms=share.terms)
        draft.usage_final = self._ended  # earlier usage only covers the prompt
        return draft.reading()


def call_terms(ask: Ask) -> dict[str, TermValue]:
    """The terms of every part of a call."""
    terms: dict[str, TermValue] = {}
    if beta := ask.request_headers.get("anthropic-beta", ""):
        terms[Term.BETA] = ",".join(part.strip() for part in beta.split(","))[:BETA_CHARS_MAX]
    if location := _LOCATION.search(ask.path):
        terms[Term.REGION] = location[1]
    return terms


class CompletionReader(MessagesReader):
    """Reads a legacy text completion, which states no usage."""

    def _whole(self, message: Block, at_ns: int) -> None:
        self._start(message)
        self._stop(message)
        self._draft.delta(text(message.get("completion")), at_ns)
        if message.get("stop_reason") or not self._draft.ask.stream:
            self._draft.complete = True


def vertex_model(ask: Ask) -> str:
    """The model in a Vertex path: `…/models/claude-opus-5-5:rawPredict`."""
    found = re.search(r"/models/([^/]+):[a-zA-Z]+/?$", unquote(ask.path))
    return found[1] if found else ""


MESSAGES = Endpoint(name="anthropic.messages", operation=Operation.CHAT, reader=MessagesReader)
VERTEX = Endpoint(
    name="vertex.anthropic_messages",
    operation=Operation.CHAT,
    reader=MessagesReader,
    model=vertex_model,
)
COMPLETE = Endpoint(
    name="anthropic.complete", operation=Operation.TEXT_COMPLETION, reader=CompletionReader
)
COUNT = free_endpoint("anthropic.count_tokens", Operation.COUNT_TOKENS, Reason.TOKEN_COUNTING)

ROUTES = (
    EndpointPath("/(v1|anthropic)/messages/count_tokens", COUNT),
    EndpointPath("/(v1|anthropic)/messages", MESSAGES),
    EndpointPath("/v1/complete", COMPLETE),
    EndpointPath("/models/count-tokens(:|%3A)rawPredict", COUNT),
    EndpointPath("/publishers/anthropic/models/[^/]+(:|%3A)(rawPredict|streamRawPredict)", VERTEX),
)
