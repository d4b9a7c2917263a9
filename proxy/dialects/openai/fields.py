"""The fields of OpenAI's `usage` block and of its copies, and the tool calls that they list."""

from collections.abc import Mapping

from pricing.usage import Meter
from proxy.dialects.fields import HARMLESS, READ, Fields, named
from proxy.dialects.tally import Tally, seconds
from proxy.dialects.values import decimal, integer, mapping

Block = Mapping[str, object]
Meters = Mapping[str, Meter | None]

# https://docs.x.ai/docs/guides/tools, server_side_tool_usage_details
XAI_TOOLS: Meters = {
    "web_search_calls": Meter.CALLS_WEB_SEARCH,
    "x_search_calls": Meter.CALLS_X_SEARCH,
    "code_interpreter_calls": Meter.CALLS_CODE_EXECUTION,
    "file_search_calls": Meter.CALLS_COLLECTIONS_SEARCH,
    "document_search_calls": Meter.CALLS_COLLECTIONS_SEARCH,
    "mcp_calls": None,
}
# https://docs.mistral.ai/agents/connectors/websearch
MISTRAL_CONNECTORS: Meters = {
    "web_search": Meter.CALLS_WEB_SEARCH,
    "code_interpreter": Meter.CALLS_CODE_EXECUTION,
    "image_generation": Meter.IMAGES,
}
# Perplexity's Agent API: https://docs.perplexity.ai/api-reference/responses-post
PERPLEXITY_TOOLS: Meters = {
    "web_search": Meter.CALLS_WEB_SEARCH,
    "fetch_url": Meter.CALLS_WEB_FETCH,
}
# Anthropic's block, which relays hand through, and OpenRouter's server tools
SERVER_TOOLS: Meters = {
    "web_search_requests": Meter.CALLS_WEB_SEARCH,
    "web_fetch_requests": Meter.CALLS_WEB_FETCH,
}

_WRITES = named(
    READ,
    "ttl_30m_tokens",
    "ttl_12h_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
)
_KINDS = named(READ, "text_tokens", "audio_tokens", "image_tokens", "video_tokens")
_INPUT_DETAILS: Fields = {
    **_KINDS,
    **named(READ, "cached_tokens", "cache_write_tokens", "cache_creation_input_tokens"),
    **named(READ, "cache_creation_tokens"),
    "cached_tokens_details": _KINDS,
    "cache_write_tokens_details": _WRITES,
    "cache_creation": _WRITES,
}
_OUTPUT_DETAILS: Fields = {
    **_KINDS,
    **named(READ, "reasoning_tokens"),
    # Inside the completion, and billed like the rest of it:
    # https://developers.openai.com/api/docs/guides/predicted-outputs
    **named(READ, "accepted_prediction_tokens", "rejected_prediction_tokens"),
}
COSTS: Fields = named(HARMLESS, "cost", "cost_details", "cost_in_usd_ticks", "estimated_cost")
KNOWN: Fields = {
    **named(READ, "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"),
    **named(READ, "total_tokens", "cached_tokens", "num_cached_tokens", "reasoning_tokens"),
    # hit + miss = prompt: https://api-docs.deepseek.com/guides/kv_cache
    **named(READ, "prompt_cache_hit_tokens", "prompt_cache_miss_tokens"),
    **named(READ, "cache_read_input_tokens", "cache_creation_input_tokens"),
    "cache_creation": _WRITES,
    **{
        f"{side}_{noun}_details": details
        for noun in ("tokens", "token")
        for sides, details in (
            (("prompt", "input"), _INPUT_DETAILS),
            (("completion", "output"), _OUTPUT_DETAILS),
        )
        for side in sides
    },
    **named(READ, "citation_tokens", "num_search_queries"),  # Perplexity
    **named(READ, "connector_tokens"),  # Mistral
    **named(READ, "prompt_audio_seconds"),  # Mistral's Voxtral
    **named(READ, "text_tokens", "image_pixels", "video_pixels"),  # Voyage's multimodal models
    # Counted by name, where a name without a meter is flagged.
    **named(HARMLESS, "connectors", "server_side_tool_usage_details"),
    **named(HARMLESS, "tool_calls_details", "server_tool_use"),
    # The sum of the details beside it, or of the output items: https://docs.x.ai/docs/guides/tools
    **named(READ, "num_server_side_tools_used"),
    # The cost that the provider states, see `reported_usd`, and its parts.
    **COSTS,
    # What a gateway reckons: https://ai.pydantic.dev/gateway
    **named(HARMLESS, "pydantic_ai_gateway"),
    # Seconds that the provider took: https://console.groq.com/docs/api-reference
    **named(HARMLESS, "queue_time", "prompt_time", "completion_time", "total_time"),
    # The same: https://docs.sambanova.ai/docs/en/api-reference/overview
    **named(HARMLESS, "time_to_first_token", "total_latency", "start_time", "end_time"),
    **named(HARMLESS, "completion_tokens_per_sec", "total_tokens_per_sec", "acceptance_rate"),
    **named(HARMLESS, "completion_tokens_after_first_per_sec"),
    **named(HARMLESS, "completion_tokens_after_first_per_sec_first_ten"),
}

# Of a transcription that is billed by its length:
# https://developers.openai.com/api/docs/api-reference/audio
DURATION: Fields = named(READ, "seconds")


def count_calls(tally: Tally, usage: Block) -> None:
    """Count the server-side tool calls that a usage block lists."""
    tally.count_calls(mapping(usage, "server_side_tool_usage_details"), XAI_TOOLS)
    tally.count_calls(mapping(usage, "connectors"), MISTRAL_CONNECTORS)
    tally.count_calls(mapping(usage, "server_tool_use"), SERVER_TOOLS)
    calls = mapping(usage, "tool_calls_details")
    # A form that is not known is passed on whole, and so is flagged.
    invoked = {name: mapping(call).get("invocation", call) for name, call in calls.items()}
    tally.count_calls(invoked, PERPLEXITY_TOOLS)
    tally.add(Meter.CALLS_WEB_SEARCH, integer(usage.get("num_search_queries")))


def count_media(tally: Tally, usage: Block) -> bool:
    """Count pixels and seconds; whether the block is one of pixels, whose text stands apart.

    Voyage's total of tokens there is a figure for its limits: an image is billed by its pixels.
    https://docs.voyageai.com/docs/pricing
    """
    tally.add(Meter.AUDIO_SECONDS, seconds(decimal(usage.get("prompt_audio_seconds"))))
    pixels = [integer(usage.get(name)) for name in ("image_pixels", "video_pixels")]
    if not any(pixels):
        return False
    tally.add(Meter.PIXELS, sum(count or 0 for count in pixels))
    tally.add(Meter.INPUT, integer(usage.get("text_tokens")))
    return True
