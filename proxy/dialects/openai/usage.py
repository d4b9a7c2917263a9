"""OpenAI's `usage` block, and the variants of those who copy it, as a partition.

OpenAI's `prompt_tokens` include cached tokens, cache writes and every modality; `completion_tokens`
include reasoning, audio and rejected predictions.
https://developers.openai.com/api/docs/guides/prompt-caching, /guides/reasoning
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pricing.cause import about
from pricing.reason import Reason
from pricing.usage import Meter, TermValue
from proxy.dialects.contract import Ask, body_model
from proxy.dialects.openai.fields import KNOWN, count_calls, count_media
from proxy.dialects.tally import Tally
from proxy.dialects.values import EMPTY, integer, mapping, text

Block = Mapping[str, object]

# Where cached tokens are stated, besides `cached_tokens` in the details.
_CACHED = (
    "prompt_cache_hit_tokens",  # https://api-docs.deepseek.com/guides/kv_cache; + miss = prompt
    "num_cached_tokens",  # https://docs.mistral.ai/api, chat completions
    "cached_tokens",  # https://platform.moonshot.ai/docs/api/chat
)
# Where the details state cache writes.
_WRITTEN = (
    "cache_write_tokens",  # OpenAI and OpenRouter
    "cache_creation_input_tokens",  # https://help.aliyun.com/zh/model-studio/context-cache
    "cache_creation_tokens",  # relays to Anthropic
)
# The split of cache writes by lifetime.  OpenAI has the first two, DashScope the others.
_WRITE_SPLIT = {
    "ttl_30m_tokens": Meter.CACHE_WRITE_30M,
    "ttl_12h_tokens": Meter.CACHE_WRITE_12H,
    "ephemeral_5m_input_tokens": Meter.CACHE_WRITE_5M,
    "ephemeral_1h_input_tokens": Meter.CACHE_WRITE_1H,
}
# Perplexity's own fields: its `total_tokens` excludes reasoning and citations.
# https://docs.perplexity.ai/getting-started/pricing
_PERPLEXITY = ("citation_tokens", "num_search_queries", "search_context_size")
_COUNTS = ("prompt_tokens", "input_tokens", "completion_tokens", "total_tokens")
_READ = {
    "text": Meter.CACHE_READ,
    "image": Meter.CACHE_READ_IMAGE,
    "audio": Meter.CACHE_READ_AUDIO,
    "video": Meter.CACHE_READ_VIDEO,
}
_INPUT = {
    "text": Meter.INPUT,
    "image": Meter.INPUT_IMAGE,
    "audio": Meter.INPUT_AUDIO,
    "video": Meter.INPUT_VIDEO,
}


@dataclass(frozen=True, slots=True)
class _Sums:
    """The provider's inclusive counts."""

    read: int
    made: int
    total: int | None


def counts_tokens(usage: object) -> bool:
    """Whether a usage block states token counts."""
    return isinstance(usage, dict) and any(usage.get(name) is not None for name in _COUNTS)


def has_usage(usage: object) -> bool:
    """Whether a usage block states token counts or seconds."""
    return counts_tokens(usage) or mapping(usage).get("seconds") is not None


def details(usage: Block, *sides: str) -> Block:
    """The details object of a side: `prompt_tokens_details` or `input_token_details`."""
    for name in [f"{side}_{noun}_details" for side in sides for noun in ("tokens", "token")]:
        if found := mapping(usage.get(name)):
            return found
    return EMPTY


def served_tier(body: Block) -> str:
    """The service tier that a body states; `auto` repeats the request and states none."""
    tier = text(body.get("service_tier")) or text(mapping(body, "usage").get("service_tier"))
    return "" if tier == "auto" else tier[:64]


def asks_for_tier(ask: Ask) -> bool:
    """Whether the request asked for a tier other than the standard one."""
    tier = mapping(ask.request).get("service_tier")
    return isinstance(tier, str) and tier not in ("auto", "default", "standard", "on_demand")


def served_terms(body: Block, ask: Ask) -> dict[str, TermValue]:
    """How a body says it was served, and whether Azure's reserved capacity passed the call on.

    https://learn.microsoft.com/azure/ai-foundry/openai/how-to/spillover-traffic-management
    """
    terms: dict[str, TermValue] = {}
    if tier := served_tier(body):
        terms["service_tier"] = tier
    if ask.response_headers.get("x-ms-spillover-from-deployment"):
        terms["deployment"] = "GlobalStandard"
    return terms


def tally_usage(
    usage: Block,
    ask: Ask,
    *,
    default_input: Meter = Meter.INPUT,
    default_output: Meter = Meter.OUTPUT,
) -> Tally:
    """The leaves of `usage`.  The defaults are what an endpoint reads and makes if none is said."""
    tally = Tally(usage, KNOWN)
    count_calls(tally, usage)
    if count_media(tally, usage):
        return tally
    total = integer(usage.get("total_tokens"))
    made = _first(usage, "completion_tokens", "output_tokens") or 0
    read = _first(usage, "prompt_tokens", "input_tokens")
    if read is None:  # Voyage's embeddings only state a total
        read = 0 if total is None else total - made
        if total is None:
            tally.flag(Reason.USAGE_INPUT_MISSING)
    sums = _Sums(read, made, total)
    left_out = _tally_input(tally, usage, read, ask, default_input)
    connectors = integer(usage.get("connector_tokens"))
    if connectors and total == read + made + connectors:  # else they are inside the prompt
        tally.add(Meter.INPUT_TOOL_USE, connectors)
        sums = _Sums(read, made, total - connectors)
    left_out += _tally_output(tally, usage, sums, ask, default_output)
    if total is not None:
        tally.expect_total(total + left_out)
    return tally


def _first(usage: Block, *names: str) -> int | None:
    """The count under the first of `names` that has one."""
    for name in names:
        if (number := integer(usage.get(name))) is not None:
            return number
    return None


def _tally_input(tally: Tally, usage: Block, read: int, ask: Ask, default: Meter) -> int:
    """Count the input; returns the tokens that the provider's total excludes."""
    extra = details(usage, "prompt", "input")
    anthropic = "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage
    if anthropic and not extra and "input_tokens" in usage:
        return _tally_anthropic_input(tally, usage, read)
    if default is not Meter.INPUT and not extra:
        tally.add(default, read)
        return 0
    if not any(extra.values()) and not any(map(usage.get, _CACHED)):  # as mostly: plain text
        tally.add(Meter.INPUT, read)
        return 0
    pools = {kind: integer(extra.get(f"{kind}_tokens")) or 0 for kind in _INPUT if kind != "text"}
    pools = {"text": read - sum(pools.values()), **pools}
    _tally_cached(tally, usage, extra, pools)
    for meter, quantity in _written(extra, ask).items():
        tally.add(meter, quantity)
        _take(pools, quantity)
    for kind, quantity in pools.items():
        tally.add(_INPUT[kind], quantity)
    return 0


def _tally_cached(tally: Tally, usage: Block, extra: Block, pools: dict[str, int]) -> None:
    """Move cached tokens from their pools to the cache meters."""
    cached = integer(extra.get("cached_tokens")) or _first(usage, *_CACHED) or 0
    split = mapping(extra, "cached_tokens_details")
    if split:
        taken = {kind: integer(split.get(f"{kind}_tokens")) or 0 for kind in _READ}
        taken["text"] += cached - sum(taken.values())
        for kind, quantity in taken.items():
            pools[kind] -= quantity
    else:
        taken = _take(pools, cached)
        if cached and any(pools[kind] or taken[kind] for kind in pools if kind != "text"):
            tally.flag(about(Reason.CACHED_MODALITY_ASSUMED, "text_first"))
    explicit = extra.get("cache_type") == "ephemeral"  # DashScope: another price than implicit hits
    for kind, quantity in taken.items():
        tally.add(Meter.CACHE_READ_EXPLICIT if explicit else _READ[kind], quantity)


def _take(pools: dict[str, int], quantity: int) -> dict[str, int]:
    """Take `quantity` from the pools, text first, since the beginning of a prompt is cached.

    What the pools lack makes text negative, which is flagged.
    """
    taken = {}
    for kind, held in pools.items():
        taken[kind] = max(0, min(held, quantity))
        pools[kind] = held - taken[kind]
        quantity -= taken[kind]
    pools["text"] -= quantity
    taken["text"] += quantity
    return taken


def _written(extra: Block, ask: Ask) -> dict[Meter, int]:
    """Cache writes by lifetime; the rest of the total is under the meter without one."""
    splits = mapping(extra, "cache_write_tokens_details"), mapping(extra, "cache_creation")
    written = {
        meter: quantity
        for split in splits
        for name, meter in _WRITE_SPLIT.items()
        if (quantity := integer(split.get(name)))
    }
    total = _first(extra, *_WRITTEN)
    if total is not None:
        five = "cache_write_5m" in ask.quirks and body_model(ask).startswith("anthropic/")
        rest = total - sum(written.values())
        meter = Meter.CACHE_WRITE_5M if five else Meter.CACHE_WRITE
        written[meter] = written.get(meter, 0) + rest
    return written


def _tally_anthropic_input(tally: Tally, usage: Block, read: int) -> int:
    """Count Anthropic's block, which some relays pass on: `input_tokens` excludes the cache."""
    tally.add(Meter.INPUT, read)
    hit = integer(usage.get("cache_read_input_tokens")) or 0
    tally.add(Meter.CACHE_READ, hit)
    split = mapping(usage, "cache_creation")
    five = integer(split.get("ephemeral_5m_input_tokens")) or 0
    hour = integer(split.get("ephemeral_1h_input_tokens")) or 0
    total = integer(usage.get("cache_creation_input_tokens"))
    total = five + hour if total is None else total
    tally.add(Meter.CACHE_WRITE_5M, five)
    tally.add(Meter.CACHE_WRITE_1H, hour)
    tally.add(Meter.CACHE_WRITE, total - five - hour)
    return hit + total


def _tally_output(tally: Tally, usage: Block, sums: _Sums, ask: Ask, default: Meter) -> int:
    """Count the output; returns the tokens that the provider's total excludes."""
    extra = details(usage, "completion", "output")
    reasoning, outside = _reasoning(usage, extra, sums, ask)
    left_out = 0
    if _is_perplexity(usage, ask):
        left_out = reasoning
        tally.add(Meter.CITATION_TOKENS, integer(usage.get("citation_tokens")))
    image = integer(extra.get("image_tokens")) or 0
    audio = integer(extra.get("audio_tokens")) or 0
    video = integer(extra.get("video_tokens")) or 0
    tally.add(Meter.OUTPUT_REASONING, reasoning)
    tally.add(Meter.OUTPUT_IMAGE, image)
    tally.add(Meter.OUTPUT_AUDIO, audio)
    tally.add(Meter.OUTPUT_VIDEO, video)
    inside = 0 if outside else reasoning
    # Without details an image endpoint made images: github.com/BerriAI/litellm/issues/31142
    tally.add(Meter.OUTPUT if extra else default, sums.made - inside - image - audio - video)
    return left_out


def _reasoning(usage: Block, extra: Block, sums: _Sums, ask: Ask) -> tuple[int, bool]:
    """Reasoning tokens, and whether the completion's count excludes them.

    Perplexity's always does; that of xAI and Gemini if their total says so (quirk
    `reasoning_outside_output`).
    """
    said = integer(extra.get("reasoning_tokens")) or 0
    own = integer(usage.get("reasoning_tokens")) or 0
    if _is_perplexity(usage, ask):
        return own or said, True
    quirk = "reasoning_outside_output" in ask.quirks or ask.family == "gemini"
    if sums.total is None:
        return said, quirk
    gap = sums.total - sums.read - sums.made
    if gap > 0 and (quirk or gap == said):
        return gap, True
    return said or min(own, sums.made), False


def _is_perplexity(usage: Block, ask: Ask) -> bool:
    """Whether this is a Sonar block; Perplexity's Agent API counts as OpenAI does."""
    known = "perplexity_search" in ask.quirks
    said = "prompt_tokens" in usage
    return said and (known or any(usage.get(name) is not None for name in _PERPLEXITY))
