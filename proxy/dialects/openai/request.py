"""Request parameters that spans show, named by the end of their `gen_ai.request.*` attributes."""

from proxy.dialects.asked import note_stops
from proxy.dialects.draft import Draft
from proxy.dialects.values import figure, mapping, text

_NAMES = {
    "temperature": "request.temperature",
    "top_p": "request.top_p",
    "max_tokens": "request.max_tokens",
    "max_completion_tokens": "request.max_tokens",
    "max_output_tokens": "request.max_tokens",
    "frequency_penalty": "request.frequency_penalty",
    "presence_penalty": "request.presence_penalty",
    "seed": "request.seed",
    "top_k": "request.top_k",
    "n": "request.choice.count",
    "reasoning_effort": "request.reasoning.level",
    "service_tier": "request.service_tier",
    "previous_response_id": "request.previous_response.id",
}
VALUE_CHARS_MAX = 128


def note_request(draft: Draft) -> None:
    """Copy the known parameters of an OpenAI-like request into the reading's attributes."""
    request = mapping(draft.ask.request)
    for name, attribute in _NAMES.items():
        if (value := request.get(name)) is None:
            continue
        shown = value[:VALUE_CHARS_MAX] if isinstance(value, str) else figure(value)
        if shown not in (None, ""):
            draft.attributes[attribute] = shown
    note_stops(draft, request.get("stop"))
    if effort := text(mapping(request, "reasoning").get("effort")):
        draft.attributes["request.reasoning.level"] = effort[:VALUE_CHARS_MAX]
    form = mapping(request, "response_format") or mapping(request, "text", "format")
    if form.get("type") in ("json_schema", "json_object"):
        draft.attributes["output.type"] = "json"
