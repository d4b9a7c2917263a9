"""What a reading's reasons mean for the charge.  Pure.

Dialects say what they could not read; a charge made from such a reading is not exact.  A reason
that is listed nowhere here explains something that does not touch the amount.
"""

from collections.abc import Iterable
from dataclasses import replace

from pricing import Charge, Status

# Something that is billed is missing from the usage: the charge is a lower bound.
MISSING = frozenset(
    {
        "audio_not_counted",
        "billed_unit_unknown",
        "body_too_large",
        "cache_storage_not_reported",
        "container_time_not_reported",
        "document_not_counted",
        "event_stream_corrupt",
        "fallback_credit_redeemed",
        "guardrail_not_metered",
        "guardrail_units_not_reported",
        "hosted_tool_not_counted",
        "image_size_unknown",
        "image_tool_usage_missing",
        "input_tokens_not_reported",
        "item_without_usage",
        "reading_failed",
        "reasoning_not_counted",
        "request_not_counted",
        "stored_context_not_counted",
        "too_many_parts",
        "usage_input_missing",
        "video_not_counted",
        "video_not_yet_made",
    }
)
# The usage is whole, but how it divides among meters, or under which terms, is a guess.
GUESSED = frozenset(
    {
        "cache_modality_unknown",
        "cache_write_split_exceeds_total",
        "cache_write_ttl_unknown",
        "cached_modality_assumed",
        "count_truncated",
        "grounding_unit_unknown",
        "image_model_unknown",
        "iterations_do_not_sum",
        "pages_counted_from_body",
        "search_results_maybe_free",
        "served_tier_unknown",
        "transcription_model_unknown",
        "usage_negative",
        "usage_not_final",
        "usage_sum_mismatch",
    }
)
ORDER = (Status.EXACT, Status.ESTIMATED, Status.PARTIAL)


def doubted(charge: Charge, reasons: Iterable[str]) -> Charge:
    """`charge` with the status that the reading's reasons allow, never a better one."""
    if charge.status not in ORDER:
        return charge
    names = {reason.partition(":")[0] for reason in reasons}
    worst = Status.PARTIAL if names & MISSING else Status.EXACT
    if worst is Status.EXACT and names & GUESSED:
        worst = Status.ESTIMATED
    return replace(charge, status=max(charge.status, worst, key=ORDER.index))
