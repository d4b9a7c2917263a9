"""Tokens by modality: from the meters of a record to the conventions' `modality`.  Pure."""

from collections.abc import Iterator, Mapping

from exporters.record import Record
from pricing.usage import INPUT_METERS, OUTPUT_METERS

# Suffix of a meter → modality; the conventions have none for video and documents.  The remaining
# tokens are text if audio or images are separate meters, else unknown.
MODALITIES = {"audio": "audio", "image": "image", "video": "unknown", "document": "unknown"}
UNKNOWN = "unknown"
CACHES = ("cache_read", "cache_write")


def parts(record: Record) -> Iterator[tuple[str, str, int]]:
    """(usage, modality, tokens): inclusive totals, and the subsets that are not empty.

    The modalities of `input` add up to all input tokens, those of `output` to all output tokens.
    """
    for kind, meters, total in (
        ("input", INPUT_METERS, record.input_tokens_total),
        ("output", OUTPUT_METERS, record.output_tokens_total),
    ):
        found = {name: int(n) for name, n in record.usage.items() if name in meters}
        split = _split(found)
        yield from ((kind, modality, n) for modality, n in split.items())
        rest = (total or 0) - sum(split.values())
        if rest > 0 or not split:
            yield kind, UNKNOWN, rest
        for subset in CACHES:
            of = _split({name: n for name, n in found.items() if name.startswith(subset)}, split)
            yield from ((f"{subset}.input", modality, n) for modality, n in of.items() if n)
    if record.reasoning_tokens:
        yield "reasoning.output", UNKNOWN, record.reasoning_tokens


def _split(tokens: Mapping[str, int], whole: Mapping[str, int] | None = None) -> dict[str, int]:
    """Tokens by modality; `whole` is the split that these are a part of."""
    found: dict[str, int] = {}
    for name, count in tokens.items():
        modality = MODALITIES.get(name.partition(".")[2], "")
        found[modality] = found.get(modality, 0) + count
    if "" in found:
        rest = (
            "text" if (found if whole is None else whole).keys() & {"audio", "image"} else UNKNOWN
        )
        found[rest] = found.get(rest, 0) + found.pop("")
    return found
