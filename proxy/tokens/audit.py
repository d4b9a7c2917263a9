"""Counts a call whose provider reported its tokens, to be compared with them.  Pure.

Only calls of which a count covers everything: text in turns, and text that answers it.  The count
never changes a price.  docs/tokens.md has the errors from which the bands come.
"""

import re
from collections.abc import Sequence

from pricing.reason import Reason
from pricing.usage import Meter, Origin
from proxy.exchange import CountRequest, Operation, Reading
from proxy.tokens import prompts, vocabularies
from proxy.tokens.tokens import count

BYTES_MAX = 262_144  # of text in one call, 50 to 100 ms; a larger call is not counted
OPERATIONS = (
    *(Operation.CHAT, Operation.TEXT_COMPLETION, Operation.GENERATE_CONTENT),
    Operation.EMBEDDINGS,
)
# Usage of which text is all that is billed.
COVERED = frozenset((Meter.INPUT, Meter.OUTPUT, Meter.OUTPUT_REASONING, Meter.REQUESTS))
CACHE = ("cache_read", "cache_write")  # reported as parts of the input
# What the count itself doubts, besides the vocabulary.
ALLOWED = frozenset((Reason.MODEL_VOCABULARY_UNKNOWN, Reason.REASONING_NOT_COUNTED))
# Keys of a request that name a prompt which the provider keeps, or something that it adds.
STORED = frozenset(
    (
        *("previous_response_id", "conversation", "prompt", "cachedContent", "cached_content"),
        *("web_search_options", "search_parameters", "enable_search", "plugins", "documents"),
        *("container", "mcp_servers", "guardrailConfig", "safety_identifier_prompt"),
    )
)

# The error of one call that nine of ten stay below: docs/tokens.md, table "Accuracy", text; the
# published formats have more than the 0.0 % measured, since formats change a little with a model.
BANDS = (
    ("gpt-oss", 0.5),
    ("search-preview|o1-mini|o1-preview", 0.5),
    (r"gpt-|\bo[1-9]\b|codex|text-embedding-|davinci-002|babbage-002", 0.03),
    ("claude", 0.15),
    ("gemini|gemma|learnlm", 0.1),
    ("qwen|qwq|qvq|tongyi", 0.1),
    ("deepseek", 0.35),
    ("mistral|mixtral|ministral|magistral|codestral|devstral|pixtral", 0.25),
    ("llama", 0.25),
)
_BANDS = tuple((re.compile(pattern), band) for pattern, band in BANDS)
BAND_UNKNOWN = 0.6  # a stand-in for a vocabulary that nobody measured


def band(model: str) -> float:
    """By how much reported tokens may differ from counted ones, as a share of those."""
    name = model.lower()
    return next((share for pattern, share in _BANDS if pattern.search(name)), BAND_UNKNOWN)


def audit(reading: Reading, family: str) -> tuple[int, int | None] | None:
    """(input, output) tokens by our own count; None if a count does not cover the call.

    The output is None if a part of it did not pass, such as hidden reasoning.
    """
    asked = reading.audit
    if asked is None or not _covered(reading, asked):
        return None
    model = reading.response_model or reading.request_model
    found = count(family, model, asked, BYTES_MAX)
    doubts = {cause.reason for cause in found.reasons} - ALLOWED
    if found.usage.origin is Origin.NONE or doubts - {Reason.COUNTED, Reason.ESTIMATED}:
        return None
    usage = reading.parts[0].usage
    hidden = vocabularies.find(model).hidden or usage.quantities.get(Meter.OUTPUT_REASONING, 0)
    return found.usage.input_tokens, None if hidden else found.usage.output_tokens


def _covered(reading: Reading, asked: CountRequest) -> bool:
    if reading.operation not in OPERATIONS or len(reading.parts) != 1 or reading.tool_calls:
        return False
    part = reading.parts[0]
    names = set(part.usage.quantities)
    if part.usage.origin is not Origin.REPORTED or part.item not in ("", reading.response_id):
        return False
    if any(meter not in COVERED and not meter.value.startswith(CACHE) for meter in names):
        return False
    return _only_text(asked) and _size(asked) <= BYTES_MAX


def _only_text(asked: CountRequest) -> bool:
    """Whether the prompt is text that passed: no tools, pictures, schema, or state elsewhere."""
    stored = STORED - ({"prompt"} if isinstance(asked.request.get("prompt"), str) else set())
    if any(asked.request.get(name) for name in stored):
        return False
    prompt = prompts.read(asked.request)
    special = prompt.tools or prompt.images or prompt.schema is not None or prompt.thinking
    return not special and not prompt.reasons and not any(turn.calls for turn in prompt.turns)


def _size(asked: CountRequest) -> int:
    prompt = prompts.read(asked.request)
    texts: Sequence[str] = [*prompt.bare, *(text for turn in prompt.turns for text in turn.texts)]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in (*texts, asked.output))
