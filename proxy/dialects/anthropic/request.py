"""What a request to Anthropic asks for and its response may not repeat."""

from collections.abc import Mapping

from proxy.dialects.asked import note_stops
from proxy.dialects.draft import Draft
from proxy.dialects.openai.request import VALUE_CHARS_MAX
from proxy.dialects.values import figure, mapping, mappings, text

_NAMES = {
    "temperature": "request.temperature",
    "top_p": "request.top_p",
    "top_k": "request.top_k",
    "max_tokens": "request.max_tokens",
    "service_tier": "request.service_tier",
    "speed": "request.speed",
}
# Starting with this version, the web tools make code execution free of charge:
# https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool#usage-and-pricing
FREE_CODE_TOOLS = ("web_search_", "web_fetch_")
FREE_CODE_FROM = "20260209"


def cache_ttls(request: object) -> frozenset[str] | None:
    """The cache lifetimes that the request asks for, "5m" by default; None if it is unknown.

    `cache_control` may be set on the request, on tools, on system blocks, and on message blocks and
    the blocks inside them (tool results).
    """
    body = mapping(request)
    if not body:
        return None
    blocks = [body, *mappings(body.get("tools")), *mappings(body.get("system"))]
    for message in mappings(body.get("messages")):
        for block in mappings(message.get("content")):
            blocks += [block, *mappings(block.get("content"))]
    controls = (block.get("cache_control") for block in blocks)
    return frozenset(text(c.get("ttl")) or "5m" for c in controls if isinstance(c, Mapping))


def code_runs_free(request: object) -> bool:
    """Whether the request has a web tool that makes code execution free of charge."""
    kinds = (text(tool.get("type")) for tool in mappings(mapping(request).get("tools")))
    return any(
        kind.startswith(FREE_CODE_TOOLS) and kind.rpartition("_")[2] >= FREE_CODE_FROM
        for kind in kinds
    )


def note_request(draft: Draft) -> None:
    """Copy the known parameters of the request into the reading's attributes."""
    request = mapping(draft.ask.request)
    for name, attribute in _NAMES.items():
        value = request.get(name)
        if isinstance(value, str):
            draft.attributes[attribute] = value[:VALUE_CHARS_MAX]
        elif (shown := figure(value)) is not None:
            draft.attributes[attribute] = shown
    note_stops(draft, request.get("stop_sequences"))
    if kind := text(mapping(request, "thinking").get("type")):
        draft.attributes["request.thinking"] = kind[:VALUE_CHARS_MAX]
    if effort := text(mapping(request, "output_config").get("effort")):
        draft.attributes["request.reasoning.level"] = effort[:VALUE_CHARS_MAX]
