"""Chat completions and legacy completions, as OpenAI defines them and most others do.

https://developers.openai.com/api/docs/api-reference/chat.  Usage is in the body or in a stream
event: OpenAI sends a last event without choices if asked; others put it on the last event with
choices, on every event (cumulative), or under `x_groq`.  The last one that is not null counts.
"""

from collections.abc import Hashable, Mapping

from pricing.cause import about
from pricing.reason import Reason
from pricing.usage import Meter, TermValue
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.openai.chunk import apart
from proxy.dialects.openai.costs import stated_usd
from proxy.dialects.openai.request import note_request
from proxy.dialects.openai.usage import (
    asks_for_tier,
    has_usage,
    served_terms,
    served_tier,
    tally_usage,
)
from proxy.dialects.repeating import Repeated, Repeating
from proxy.dialects.superseded import Superseded
from proxy.dialects.tally import Tally
from proxy.dialects.values import decimal, integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

TOOL_CALLS_MAX = 4096  # distinguished by their index in a stream

_EXECUTED = {  # https://console.groq.com/docs/browser-search, message.executed_tools[].type
    "browser.search": Meter.CALLS_BROWSER_SEARCH,
    "browser.open": Meter.CALLS_BROWSER_OPEN,
}
# Results of a search beside the choices: https://docs.z.ai/guides/tools/web-search, and Qwen's
# https://www.alibabacloud.com/help/en/model-studio/web-search
_RESULTS = ("web_search", "search_info")
# A tool that Kimi's platform answers: https://platform.moonshot.ai/docs/guide/use-web-search
_BUILTIN_SEARCH = "$web_search"
# Models that search at every call, and say so only by citing.
# https://developers.openai.com/api/docs/pricing, "Built-in tools"
_SEARCHING = {
    "-search-preview": Meter.CALLS_WEB_SEARCH_PREVIEW,
    "-search-api": Meter.CALLS_WEB_SEARCH,
}


class ChatReader(Repeating):
    """Reads one chat completion, whole or streamed."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._usage: Mapping[str, object] = {}
        self._superseded = Superseded()
        self._executed: dict[Meter, int] = {}
        self._searched = False  # results of a search that the provider ran
        self._searches: set[tuple[int, int]] = set()  # tool calls that the provider answers
        self._tool_indexes: set[tuple[int, int]] = set()
        self._reasoned = False
        self.repeated = Repeated(apart)
        self._said_by: Hashable = 0  # the choice, or its tool call, that was read last
        self._thinks = False  # in that
        self.item = ""  # what the answer is charged as, where several calls may show it
        note_request(self._draft)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if document == "[DONE]":
            draft.complete = True
            return
        if (more := self.repeated.text(document)) is not None:
            self.again(more, at_ns)
            return
        self._read(document, at_ns)
        self.repeated.remember(document)

    def again(self, text: str, at_ns: int) -> None:
        """See `Repeating.again`."""
        self._draft.delta(text, at_ns, visible=not self._thinks, of=self._said_by)

    def _read(self, document: Json, at_ns: int) -> None:
        draft, body = self._draft, mapping(document)
        draft.response_model = text(body.get("model")) or draft.response_model
        draft.response_id = text(body.get("id")) or draft.response_id
        if draft.fail(document):  # OpenRouter bills nothing then, and says so
            draft.reported_usd = stated_usd(body)
            return
        draft.service_tier = served_tier(body) or draft.service_tier
        for name, attribute in _ATTRIBUTES.items():
            if value := text(body.get(name)):
                draft.attributes[attribute] = value[:128]
        draft.reported_usd = stated_usd(body, draft.reported_usd)
        self._searched = self._searched or any(body.get(name) for name in _RESULTS)
        choices = mappings(body.get("choices"))
        # Moonshot and vLLM put it into the last choice of a stream.
        blocks = [choice.get("usage") for choice in choices]
        for usage in (*blocks, body.get("usage"), mapping(body, "x_groq").get("usage")):
            if has_usage(usage) and usage != self._usage:
                if self._usage:
                    draft.flag(*self._superseded.unknown(self._usage, self._tallied))
                self._usage = mapping(usage)
        for choice in choices:
            self._choice(choice, at_ns)
        if not draft.ask.stream and body:
            draft.complete = True

    def _choice(self, choice: Mapping[str, object], at_ns: int) -> None:
        draft = self._draft
        self._said_by = index = integer(choice.get("index")) or 0
        draft.finish(choice.get("finish_reason"), index)
        if choice.get("finish_reason") == "content_filter":
            draft.attributes["response.content_filter"] = True
        said = mapping(choice, "delta") or mapping(choice, "message")
        hidden = text(said.get("reasoning_content")) or text(said.get("reasoning"))
        self._content(said.get("content"), at_ns, index)
        self._thinks = bool(hidden)
        self._reasoned = self._reasoned or self._thinks
        draft.delta(hidden, at_ns, visible=False, of=index)
        draft.delta(text(choice.get("text")), at_ns, of=index)
        draft.delta(text(said.get("refusal")), at_ns, of=index)
        draft.delta(text(mapping(said, "audio").get("transcript")), at_ns, of=index)
        for position, call in enumerate(mappings(said.get("tool_calls"))):
            given = integer(call.get("index"))
            self._tool_call(call, (index, position if given is None else given), at_ns)
        if legacy := mapping(said, "function_call"):
            self._tool_call({"function": legacy}, (index, -1), at_ns)
        for tool in mappings(said.get("executed_tools")):
            if meter := _EXECUTED.get(text(tool.get("type"))):
                self._executed[meter] = self._executed.get(meter, 0) + 1
            else:
                draft.flag(about(Reason.UNKNOWN_TOOL, text(tool.get("type"))))
        if said.get("refusal"):
            draft.attributes["response.refusal"] = True

    def _content(self, content: Json, at_ns: int, index: int) -> None:
        """Take text, or Mistral's list of text and thinking."""
        self._draft.delta(text(content), at_ns, of=index)
        for piece in mappings(content):
            for thought in mappings(piece.get("thinking")):
                self._reasoned = True
                self._draft.delta(text(thought.get("text")), at_ns, visible=False, of=index)
            self._draft.delta(text(piece.get("text")), at_ns, of=index)

    def _tool_call(self, call: Mapping[str, object], key: tuple[int, int], at_ns: int) -> None:
        if key not in self._tool_indexes and len(self._tool_indexes) < TOOL_CALLS_MAX:
            self._tool_indexes.add(key)
            self._draft.tool_calls += 1
        self._said_by = key
        function = mapping(call, "function")
        if function.get("name") == _BUILTIN_SEARCH and key not in self._searches:
            if len(self._searches) < TOOL_CALLS_MAX:
                self._searches.add(key)
            else:
                self._draft.flag(about(Reason.LIMIT_REACHED, "searches"))
        self._draft.delta(text(function.get("name")), at_ns, of=key)
        self._draft.delta(text(function.get("arguments")), at_ns, of=key)

    @property
    def states_usage(self) -> bool:
        """Whether usage was stated so far."""
        return bool(self._usage)

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        deferred = mapping(draft.ask.request).get("deferred") is True and not self.item
        if deferred and not self._usage and not draft.finish_reasons:
            draft.countable = False
            draft.flag(Reason.BACKGROUND_USAGE_COMES_LATER)
        if self._usage:
            draft.reported_usd = stated_usd({"usage": self._usage}, draft.reported_usd)
            if self._usage.get("is_byok") is True:  # the owner of the upstream key pays that
                upstream = decimal(
                    mapping(self._usage, "cost_details").get("upstream_inference_cost")
                )
                draft.attributes["response.byok"] = True
                draft.attributes["response.byok_upstream_usd"] = str(upstream or "")
            draft.part(self._tally(), terms=self._terms(), item=self.item)
            # Not every server sends [DONE].  Usage on every event is no last word if none ended.
            draft.complete = draft.complete or bool(draft.finish_reasons)
            draft.usage_final = draft.complete
        return draft.reading()

    def _tallied(self, usage: Mapping[str, object]) -> Tally:
        return tally_usage(usage, self._draft.ask)

    def _tally(self) -> Tally:
        tally = self._tallied(self._usage)
        for meter, quantity in self._executed.items():
            tally.add(meter, quantity)
        # Results do not say how many searches they are of: one at least.
        searches = len(self._searches) or int(self._searched)
        tally.add(Meter.CALLS_WEB_SEARCH, searches)
        tally.add(Meter.CALLS_FUNCTION, self._draft.tool_calls - len(self._searches))
        for name, meter in _SEARCHING.items():
            tally.add(meter, int(name in (self._draft.response_model or self._draft.request_model)))
        return tally

    def _terms(self) -> dict[str, TermValue]:
        """The terms that prices of chat completions depend on."""
        draft = self._draft
        request = mapping(draft.ask.request)
        terms = served_terms({"service_tier": draft.service_tier}, draft.ask)
        if not draft.service_tier and asks_for_tier(draft.ask):
            draft.flag(Reason.SERVICE_TIER_NOT_STATED)
        size = text(self._usage.get("search_context_size")) or text(
            mapping(request, "web_search_options").get("search_context_size")
        )
        if size:
            terms["search_context_size"] = size[:16]
        # DashScope: the mode sets the price of the whole output.
        thinking = request.get("enable_thinking")
        if thinking is True or self._reasoned or _reasoning_tokens(self._usage):
            terms["mode"] = "thinking"
        elif thinking is False:
            terms["mode"] = "non_thinking"
        return terms


def _reasoning_tokens(usage: Mapping[str, object]) -> int:
    return integer(mapping(usage, "completion_tokens_details").get("reasoning_tokens")) or 0


_ATTRIBUTES = {
    "system_fingerprint": "response.system_fingerprint",
    "provider": "response.provider",  # OpenRouter: who served it
}
CHAT = Endpoint(name="openai.chat", operation=Operation.CHAT, reader=ChatReader)
COMPLETIONS = Endpoint(
    name="openai.completions", operation=Operation.TEXT_COMPLETION, reader=ChatReader
)
ROUTES = (
    EndpointPath("/chat/completions", CHAT),
    EndpointPath("/completions", COMPLETIONS),
)
