"""Gemini's `usageMetadata` as a partition, and the grounding that was billed.

The prompt and its split by modality include cached tokens; neither prompt nor candidates include
thoughts and tool results.  A modality without `tokenCount` has none, and what the splits do not
cover is text.  https://ai.google.dev/api/generate-content#UsageMetadata
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pricing.cause import about
from pricing.reason import Reason
from pricing.usage import Meter
from proxy.dialects.fields import HARMLESS, READ, Fields, named
from proxy.dialects.tally import Tally
from proxy.dialects.values import integer, mappings, text

Block = Mapping[str, object]

QUERIES_MAX = 1_000  # distinct searches of one answer

# Enums may come as numbers (`$alt=json;enum-encoding=int`).
# https://github.com/googleapis/googleapis/blob/master/google/cloud/aiplatform/v1/content.proto
_MODALITIES = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
_TRAFFIC = {1: "ON_DEMAND", 2: "PROVISIONED_THROUGHPUT"}
_INPUT = {
    "TEXT": Meter.INPUT,
    "DOCUMENT": Meter.INPUT_DOCUMENT,
    "IMAGE": Meter.INPUT_IMAGE,
    "VIDEO": Meter.INPUT_VIDEO,
    "AUDIO": Meter.INPUT_AUDIO,
}
_CACHE_READ = {
    "TEXT": Meter.CACHE_READ,
    "DOCUMENT": Meter.CACHE_READ_DOCUMENT,
    "IMAGE": Meter.CACHE_READ_IMAGE,
    "VIDEO": Meter.CACHE_READ_VIDEO,
    "AUDIO": Meter.CACHE_READ_AUDIO,
}
_OUTPUT = {
    "TEXT": Meter.OUTPUT,
    "IMAGE": Meter.OUTPUT_IMAGE,
    "AUDIO": Meter.OUTPUT_AUDIO,
    "VIDEO": Meter.OUTPUT_VIDEO,
}
_SPLIT = {**named(READ, "tokenCount"), **named(HARMLESS, "modality")}  # enums may be numbers
_KNOWN: Fields = {
    **named(READ, "promptTokenCount", "candidatesTokenCount", "responseTokenCount"),
    **named(READ, "thoughtsTokenCount", "toolUsePromptTokenCount", "cachedContentTokenCount"),
    **named(READ, "totalTokenCount"),
    **named(HARMLESS, "trafficType"),
    "promptTokensDetails": _SPLIT,
    "promptTokenDetails": _SPLIT,
    "cacheTokensDetails": _SPLIT,
    "candidatesTokensDetails": _SPLIT,
    "responseTokensDetails": _SPLIT,
    "toolUsePromptTokensDetails": _SPLIT,
}


def has_counts(usage: Block) -> bool:
    """Whether the block counts tokens; Vertex may send one with only a traffic type."""
    names = ("promptTokenCount", "candidatesTokenCount", "responseTokenCount", "totalTokenCount")
    return any(integer(usage.get(name)) is not None for name in names)


def tally_usage(usage: Block) -> Tally:
    """The leaves of a `usageMetadata` block of generateContent, Live or embeddings."""
    tally = Tally(usage, _KNOWN)
    prompt = integer(usage.get("promptTokenCount")) or 0
    thoughts = integer(usage.get("thoughtsTokenCount"))
    tally_input(
        tally,
        prompt,
        by_modality(usage.get("promptTokensDetails") or usage.get("promptTokenDetails")),
        integer(usage.get("cachedContentTokenCount")) or 0,
        by_modality(usage.get("cacheTokensDetails")),
    )
    made = integer(usage.get("candidatesTokenCount")), integer(usage.get("responseTokenCount"))
    details = usage.get("candidatesTokensDetails") or usage.get("responseTokensDetails")
    tally_output(tally, next((n for n in made if n is not None), None), by_modality(details))
    tally.add(Meter.OUTPUT_REASONING, thoughts)
    tool_use = by_modality(usage.get("toolUsePromptTokensDetails"))
    tally_tool_use(tally, integer(usage.get("toolUsePromptTokenCount")), tool_use)
    total = integer(usage.get("totalTokenCount"))
    if total is not None and "responseTokenCount" in usage:
        # Live's total excludes thoughts (recorded frames of gemini-2.5 native audio).
        made_total = prompt + (made[1] or 0) + (integer(usage.get("toolUsePromptTokenCount")) or 0)
        total += (thoughts or 0) if total == made_total else 0
    tally.expect_total(total)
    return tally


def tally_input(
    tally: Tally, prompt: int, read: Mapping[str, int], cached: int, hits: Mapping[str, int]
) -> None:
    """Count the prompt: `read` and `hits` are the splits of `prompt` and `cached` by modality."""
    rest = {**read, "TEXT": prompt - sum(n for kind, n in read.items() if kind != "TEXT")}
    if hits:
        hits = {**hits, "TEXT": cached - sum(n for kind, n in hits.items() if kind != "TEXT")}
    else:
        hits = _hits_unsplit(tally, cached, rest)
    for kind in {**rest, **hits}:
        if kind not in _INPUT:  # cached or not, its price is not known
            tally.leave_out(kind, max(rest.get(kind, 0), hits.get(kind, 0)))
            continue
        tally.add(_INPUT[kind], rest.get(kind, 0) - hits.get(kind, 0))
        tally.add(_CACHE_READ[kind], hits.get(kind))


def tally_tool_use(tally: Tally, total: int | None, split: Mapping[str, int]) -> None:
    """Count what tools brought in; only a modality that we do not know matters to its price."""
    other = {kind: n for kind, n in split.items() if kind not in _INPUT}
    for kind, quantity in other.items():
        tally.leave_out(kind, quantity)
    tally.add(Meter.INPUT_TOOL_USE, total - sum(other.values()) if total is not None else None)


def _hits_unsplit(tally: Tally, cached: int, read: Mapping[str, int]) -> dict[str, int]:
    """Cached tokens without a split count as text first; beyond it, their price is a guess."""
    hits: dict[str, int] = {}
    for kind in _INPUT:
        hits[kind] = max(0, min(cached, read.get(kind, 0)))
        cached -= hits[kind]
    if any(hits[kind] for kind in hits if kind != "TEXT"):
        tally.flag(Reason.CACHE_MODALITY_UNKNOWN)
    hits["TEXT"] += cached  # more cached than read: a negative leaf, which is flagged
    return hits


def tally_output(tally: Tally, made: int | None, split: Mapping[str, int]) -> None:
    """Count what was made; without a total, the split is the total."""
    other = {kind: n for kind, n in split.items() if kind != "TEXT"}
    total = sum(split.values()) if made is None else made
    tally.add(Meter.OUTPUT, total - sum(other.values()))
    for kind, quantity in other.items():
        if kind in _OUTPUT:
            tally.add(_OUTPUT[kind], quantity)
        else:
            tally.leave_out(kind, quantity)


def by_modality(details: object, count: str = "tokenCount") -> dict[str, int]:
    """Tokens by modality, in capitals; one that is not specified is text."""
    found: dict[str, int] = {}
    for entry in mappings(details):
        name = entry.get("modality")
        kind = _modality(name)
        found[kind] = found.get(kind, 0) + (integer(entry.get(count)) or 0)
    return found


def _modality(name: object) -> str:
    if isinstance(name, int):
        return _MODALITIES.get(name, f"MODALITY_{name}") if name else "TEXT"
    kind = text(name).upper()
    return "TEXT" if kind in ("", "MODALITY_UNSPECIFIED", "UNSPECIFIED") else kind


def served_tier(usage: Block) -> str:
    """The tier that served: Vertex's `trafficType`, or `serviceTier`; "" if unstated."""
    traffic = usage.get("trafficType")
    if isinstance(traffic, int) and not isinstance(traffic, bool):
        traffic = _TRAFFIC.get(traffic, f"TRAFFIC_TYPE_{traffic}")
    tier = text(traffic) or text(usage.get("serviceTier"))
    return "" if tier.upper().endswith("_UNSPECIFIED") else tier[:64]


@dataclass(slots=True)
class Grounding:
    """Searches and lookups of one answer, from `groundingMetadata` of any number of chunks.

    Gemini 2.x is billed per grounded prompt, 3.x per query:
    https://ai.google.dev/gemini-api/docs/pricing.  A tool that is declared and not used is free.
    """

    queries: dict[str, None] = field(default_factory=dict)
    beyond: int = 0  # further queries
    web: bool = False
    maps: bool = False
    own_data: bool = False  # the caller's own, by Vertex AI Search or the like
    other_tools: bool = False  # file search, URL context or code, whose results are billed as input

    def take(self, metadata: Block) -> None:
        """Take one `groundingMetadata`."""
        for name in ("webSearchQueries", "imageSearchQueries"):
            said = metadata.get(name)
            for query in said if isinstance(said, list) else []:
                if isinstance(query, str) and query and query not in self.queries:
                    if len(self.queries) < QUERIES_MAX:
                        self.queries[query] = None
                    else:
                        self.beyond += 1
        self.own_data = self.own_data or bool(metadata.get("retrievalQueries"))
        chunks = mappings(metadata.get("groundingChunks"))
        self.web = self.web or any("web" in chunk or "image" in chunk for chunk in chunks)
        self.maps = self.maps or any("maps" in chunk for chunk in chunks)
        self.maps = self.maps or bool(metadata.get("googleMapsWidgetContextToken"))
        self.other_tools = self.other_tools or any("retrievedContext" in chunk for chunk in chunks)

    def take_own_data(self, metadata: Block) -> None:
        """Note, of an answer of Vertex, whether it draws on the caller's own data.

        The Gemini API's file search returns the same chunks and has no fee for a query:
        https://ai.google.dev/gemini-api/docs/file-search#pricing
        """
        chunks = mappings(metadata.get("groundingChunks"))
        self.own_data = self.own_data or any("retrievedContext" in chunk for chunk in chunks)

    @property
    def searched(self) -> bool:
        """Whether the web was searched; the queries of a map lookup are not searches."""
        return self.web or (bool(self.queries) and not self.maps)

    def count(self, tally: Tally, model: str) -> None:
        """Count it as the model's generation is billed."""
        tally.add(Meter.GROUNDING_OWN_DATA, int(self.own_data))
        if not self.searched and not self.maps:
            return
        if not self.other_tools and tally.quantity(Meter.INPUT_TOOL_USE):
            # The price page says that search results are free; their tokens are reported together
            # with those of tools that are billed.
            tally.flag(Reason.SEARCH_RESULTS_MAYBE_FREE)
        generation = re.search(r"gemini-(\d+)", model)
        if generation is None:
            tally.flag(Reason.GROUNDING_UNIT_UNKNOWN)
        by_query = generation is not None and int(generation[1]) >= 3
        amount = max(1, len(self.queries)) if by_query else 1
        if self.beyond and by_query:
            tally.flag(about(Reason.LIMIT_REACHED, f"searches: {self.beyond} more"))
        if self.maps:
            tally.add(Meter.GROUNDING_MAPS, amount if not self.searched else 1)
        if self.searched:
            tally.add(Meter.GROUNDING_QUERIES if by_query else Meter.GROUNDING_PROMPTS, amount)
