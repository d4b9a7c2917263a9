"""What each field of LiteLLM's price set is: a price, a price we set aside, or none.

The set's own schema tells its readers to ignore fields that they do not know.  That is how a price
gets lost, so here a field that is in no table of this file leaves its model out.
https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.schema.json
"""

import re
from collections.abc import Mapping

from pricing.upkeep.listing import STANDARD, When
from pricing.usage import Meter

CACHE_WRITE = "cache_creation_input_token_cost"  # at the provider's default lifetime
TOKEN_METERS: Mapping[str, Meter] = {
    "input_cost_per_token": Meter.INPUT,
    "output_cost_per_token": Meter.OUTPUT,
    "cache_read_input_token_cost": Meter.CACHE_READ,
    "explicit_cache_read_input_token_cost": Meter.CACHE_READ_EXPLICIT,
    "cache_creation_input_token_cost_above_1hr": Meter.CACHE_WRITE_1H,
    "cache_creation_input_token_cost_above_12hr": Meter.CACHE_WRITE_12H,
    "input_cost_per_audio_token": Meter.INPUT_AUDIO,
    "input_cost_per_image_token": Meter.INPUT_IMAGE,
    "input_cost_per_video_token": Meter.INPUT_VIDEO,
    "output_cost_per_audio_token": Meter.OUTPUT_AUDIO,
    "output_cost_per_image_token": Meter.OUTPUT_IMAGE,
    "output_cost_per_video_token": Meter.OUTPUT_VIDEO,
    "output_cost_per_reasoning_token": Meter.OUTPUT_REASONING,
    "cache_read_input_audio_token_cost": Meter.CACHE_READ_AUDIO,
    "cache_read_input_image_token_cost": Meter.CACHE_READ_IMAGE,
    "citation_cost_per_token": Meter.CITATION_TOKENS,
}
TIERS: Mapping[str, When] = {
    "batches": (("processing", "batch"),),
    "flex": (("service_tier", "flex"),),
    "priority": (("service_tier", "priority"),),
    "ultrafast": (("service_tier", "ultrafast"),),
}
TOKEN_FIELD = re.compile(
    f"(?P<base>{'|'.join((CACHE_WRITE, *TOKEN_METERS))})"
    r"(?:_above_(?P<length>\d+)k_tokens)?"
    f"(?:_(?P<tier>{'|'.join(TIERS)}))?"
)
# Field → the mode in which it is a price of this meter ("": any), and how many units we price.
PLAIN_FIELDS: Mapping[str, tuple[str, Meter, int]] = {
    "input_cost_per_second": ("audio_transcription", Meter.AUDIO_SECONDS, 3_600),
    "input_cost_per_character": ("audio_speech", Meter.CHARACTERS, 1_000_000),
    "input_cost_per_query": ("rerank", Meter.SEARCH_UNITS, 1_000),
    "input_cost_per_request": ("", Meter.REQUESTS, 1_000),
    "ocr_cost_per_page": ("ocr", Meter.PAGES, 1_000),
    "annotation_cost_per_page": ("ocr", Meter.PAGES_ANNOTATED, 1_000),
    "output_cost_per_image": ("image_generation", Meter.IMAGES, 1_000),
}

# Prices that no tariff takes, and why the model's other prices are right without them.
OTHER_UNIT = "billed in a unit that is not counted here, apart from the tokens"
TOOL_FEE = "a fee of a tool: it stands once for all models of the provider"
SET_ASIDE: Mapping[re.Pattern[str], str] = {
    re.compile(pattern): why
    for pattern, why in {
        r"(in|out)put_cost_per_(image|pixel|character|second|query)(_(?!token).+)?": OTHER_UNIT,
        r"(in|out)put_cost_per_(audio|video)_per_second(_.+)?": OTHER_UNIT,
        r"(ocr|annotation)_cost_per_(page|credit)(_batches)?": OTHER_UNIT,
        r"cost_per_second": "a commitment, paid by the hour and not by the call",
        r"(in|out)put_dbu_cost_per_token": "the provider's own unit beside the price in dollars",
        r"cache_creation_input_audio_token_cost": "no response tells audio written to a cache",
        r"search_context_cost_per_query|google_maps_grounding_cost_per_query": TOOL_FEE,
        r"search_free_requests": "an allowance of a tool's fee",
        r"(file_search|vector_store|code_interpreter|computer_use)_.+": TOOL_FEE,
        r"guardrail_cost_per_unit": TOOL_FEE,
        r"fedramp_uplift_multiplier": "for accounts under a FedRAMP agreement, which no call shows",
        r"\w+_decisions": "for the Decisions endpoint, whose calls are not priced as this model's",
        r"(in|out)put_cost_per_\w*token_balanced|cache_read_input_token_cost_balanced": (
            "for a service tier that has no term here: such calls stay unpriced"
        ),
    }.items()
}
# Fields that are no price and change none: what a model can do, how large it is, where to call it.
HARMLESS = re.compile(
    r"(?!.*(?:cost|price|pricing|fee|multiplier|uplift))"
    r"(?:supports_.+|supported_.+|bedrock_\w+|token_count_\w+|reasoning_\w+"
    r"|max_(tokens|input_tokens|output_tokens|audio_\w+)|rpm|tpm|output_vector_size"
    r"|prompt_cache_min_tokens|default_reasoning_effort|audio_seconds_per_prediction"
    r"|litellm_provider|mode|source|comment|metadata|alias_of"
    r"|deprecation_(date|source)|successor_model|web_search_billing_unit"
    r"|audio_transcription_config|vertex_ai_audio_api)"
)
# The same of `provider_specific_entry`, whose other keys may be multipliers.
HARMLESS_SPECIFIC = re.compile(
    r"bedrock_invocation_schema|realtime_ga_only|transcription_\w+|dashscope_video_\w+"
    r"|volcengine_video_frames|minimax_free_input_images"
)


def why_set_aside(field: str) -> str:
    """Why no tariff takes this price; "" if it is not one of those."""
    return next((why for pattern, why in SET_ASIDE.items() if pattern.fullmatch(field)), "")


def terms(length: str | None, tier: str | None) -> When:
    """The conditions that the end of a field's name stands for."""
    size: When = (("prompt_tokens", int(length) * 1_000),) if length else STANDARD
    return tuple(sorted((*(TIERS[tier] if tier else STANDARD), *size)))
