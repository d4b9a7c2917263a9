"""What an Anthropic `usage` block bills: one share per model, each token under one meter.

Input, cache reads and cache writes are disjoint; the output includes thinking.  `iterations` lists
the passes of one call, and what the top level includes depends on their type (anthropic SDK,
`BetaUsage.iterations` and the types of its entries):

- `message`: a pass of the server-tool loop.  The top level is the sum of these.
- `fallback_message`: the last pass of the model that took over after a refusal.  The top level is
  that model's passes; `message` entries of another model are attempts that were declined.
- `compaction`, `advisor_message`: outside the top level, and the advisor is another model.

A sum over passes must not select a long-context tier, so a share of several passes states the
length of its longest prompt, or that it is unknown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pricing.reason import Reason
from pricing.terms import Term
from pricing.usage import Meter, Terms
from proxy.dialects.fields import HARMLESS, READ, Fields, named
from proxy.dialects.tally import Tally, split
from proxy.dialects.values import integer, mapping, mappings, text

ANSWER = frozenset({"message", "fallback_message"})  # other types are side work

Block = Mapping[str, object]

_TOOLS = {
    "web_search_requests": Meter.CALLS_WEB_SEARCH,
    "web_fetch_requests": Meter.CALLS_WEB_FETCH,
    # Free; code runs in a container, whose time no response states:
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-search-tool
    "tool_search_requests": None,
}
_ENTRY: Fields = {
    **named(READ, "input_tokens", "output_tokens"),
    **named(READ, "cache_read_input_tokens", "cache_creation_input_tokens"),
    "cache_creation": named(READ, "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
    "output_tokens_details": named(READ, "thinking_tokens"),
    **named(HARMLESS, "server_tool_use"),  # counted by name
}
_KNOWN: Fields = {
    **_ENTRY,
    "iterations": _ENTRY,
    **named(HARMLESS, "fallback_credit"),  # flagged where it was redeemed
}


@dataclass(frozen=True, slots=True)
class Share:
    """What one model used in a call.  `model` is "" for the one that answered."""

    tally: Tally
    model: str
    terms: Terms


def has_counts(usage: Block) -> bool:
    """Whether the block counts tokens; one with only a tier states no usage."""
    names = ("input_tokens", "output_tokens")
    return any(integer(usage.get(name)) is not None for name in names)


def shares(
    usage: Block, *, served: str, terms: Terms, ttls: frozenset[str] | None, passes: int = 1
) -> Iterator[Share]:
    """The shares of a final `usage` block; that of the model that answered comes first.

    `served` is that model's name in the body, `ttls` the cache lifetimes that the request asks for
    (None: unknown), `passes` how many requests to the model the content shows.
    """
    said = {
        term: text(usage.get(term)) for term in (Term.SERVICE_TIER, Term.SPEED, Term.INFERENCE_GEO)
    }
    terms = {**terms, **{term: value for term, value in said.items() if value}}
    answer: dict[str, list[Block]] = {}
    side: dict[str, list[Block]] = {}
    last = served
    for entry in mappings(usage.get("iterations")):
        group = answer if text(entry.get("type")) in ANSWER else side
        model = text(entry.get("model")) or served
        group.setdefault(model, []).append(entry)
        if group is answer:
            last = model
    # The model of the last pass is the one that answered, however the body spells its name.
    yield _own(usage, answer.pop(last, []), terms, ttls, passes)
    for model, entries in answer.items():
        # An attempt that was declined before any output is not billed:
        # https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
        if billed := [entry for entry in entries if integer(entry.get("output_tokens"))]:
            yield _sum(billed, model, terms, ttls)
    for model, entries in side.items():
        yield _sum(entries, "" if model in (served, last) else model, terms, ttls)


def _own(
    usage: Block, entries: Sequence[Block], terms: Terms, ttls: frozenset[str] | None, passes: int
) -> Share:
    """The top level, which must be the sum of its passes; if it is not, the passes count, since
    they record what ran.
    """
    if entries:
        share = _sum(entries, "", terms, ttls)
        if _size(usage) != tuple(map(sum, zip(*map(_size, entries), strict=True))):
            share.tally.flag(Reason.ITERATIONS_DO_NOT_SUM)
            share.tally.check(usage, _KNOWN)
            _count_calls(share.tally, usage)
            return share
        terms = share.terms
    elif passes > 1:
        terms = {**terms, Term.SUMMED_REQUESTS: True}
    tally = Tally(usage, _KNOWN)
    _count(tally, usage, ttls)
    return Share(tally, "", terms)


def _sum(entries: Sequence[Block], model: str, terms: Terms, ttls: frozenset[str] | None) -> Share:
    tally = Tally.inferred()
    for entry in entries:
        tally.check(entry, _ENTRY, "iterations")
        _count(tally, entry, ttls)
    if len(entries) > 1:
        longest = max(prompt for prompt, _ in map(_size, entries))
        terms = {**terms, Term.MAX_REQUEST_PROMPT_TOKENS: longest}
    return Share(tally, model, terms)


def _size(usage: Block) -> tuple[int, int]:
    """Tokens read, cached or not, and tokens made."""
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(integer(usage.get(n)) or 0 for n in names), integer(usage.get("output_tokens")) or 0


def _count(tally: Tally, usage: Block, ttls: frozenset[str] | None) -> None:
    tally.add(Meter.INPUT, integer(usage.get("input_tokens")))
    tally.add(Meter.CACHE_READ, integer(usage.get("cache_read_input_tokens")))
    _count_writes(tally, usage, ttls)
    thinking = integer(mapping(usage, "output_tokens_details").get("thinking_tokens"))
    output = integer(usage.get("output_tokens")) or 0
    split(tally, output, Meter.OUTPUT, {Meter.OUTPUT_REASONING: thinking})
    _count_calls(tally, usage)


def _count_writes(tally: Tally, usage: Block, ttls: frozenset[str] | None) -> None:
    """Cache writes by time to live.

    A split may cover less than the total: a stream's final event only repeats the total.  The rest
    has the lifetime that the request asks for; if that is unknown or mixed it is flagged, and
    writes without any split count as 5-minute ones, the API's default.
    """
    by_ttl = mapping(usage, "cache_creation")
    five = integer(by_ttl.get("ephemeral_5m_input_tokens")) or 0
    hour = integer(by_ttl.get("ephemeral_1h_input_tokens")) or 0
    total = integer(usage.get("cache_creation_input_tokens"))
    rest = 0 if total is None else total - five - hour
    tally.add(Meter.CACHE_WRITE_5M, five)
    tally.add(Meter.CACHE_WRITE_1H, hour)
    if rest < 0:
        tally.flag(Reason.CACHE_WRITE_SPLIT_EXCEEDS_TOTAL)
    elif rest:
        tally.add(*_rest(tally, rest, ttls, split_known=bool(five or hour)))


def _rest(
    tally: Tally, rest: int, ttls: frozenset[str] | None, *, split_known: bool
) -> tuple[Meter, int]:
    if ttls == frozenset({"1h"}):
        return Meter.CACHE_WRITE_1H, rest
    if ttls is not None and ttls <= frozenset({"5m"}):
        return Meter.CACHE_WRITE_5M, rest
    tally.flag(Reason.CACHE_WRITE_TTL_UNKNOWN)
    return Meter.CACHE_WRITE if split_known else Meter.CACHE_WRITE_5M, rest


def _count_calls(tally: Tally, usage: Block) -> None:
    # What was billed: a failed search is in the content, but not here.
    tools = mapping(usage, "server_tool_use")
    tally.count_calls(tools, _TOOLS)
