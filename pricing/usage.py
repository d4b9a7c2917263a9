"""What one call consumed.

A `Usage` is a partition: every token, call and second is counted under exactly one `Meter`, so
sums never double-count.  Providers' counts overlap (OpenAI's `prompt_tokens` include cached ones,
Anthropic's `input_tokens` do not): `proxy.dialects` removes the overlap, and `exporters` restores
it where OpenTelemetry and the API expect inclusive totals.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

import msgspec

Quantity = int | Decimal  # whole tokens and calls are int; seconds and hours may be Decimal
TermValue = str | int | Decimal | bool | datetime
Terms = Mapping[str, TermValue]
NO_TERMS: Terms = MappingProxyType({})


class Meter(StrEnum):
    """A separately billed quantity.  Closed: a tariff that names any other does not load."""

    # Tokens that the model read, not from a cache; by modality where the provider states it.
    INPUT = "input"
    INPUT_AUDIO = "input.audio"
    INPUT_IMAGE = "input.image"
    INPUT_VIDEO = "input.video"
    INPUT_DOCUMENT = "input.document"
    INPUT_TOOL_USE = "input.tool_use"
    CACHE_READ = "cache_read"
    CACHE_READ_AUDIO = "cache_read.audio"
    CACHE_READ_IMAGE = "cache_read.image"
    CACHE_READ_VIDEO = "cache_read.video"
    CACHE_READ_DOCUMENT = "cache_read.document"
    CACHE_READ_EXPLICIT = "cache_read.explicit"  # DashScope's price differs from implicit hits
    CACHE_WRITE = "cache_write"  # of unstated lifetime
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_30M = "cache_write_30m"
    CACHE_WRITE_1H = "cache_write_1h"
    CACHE_WRITE_12H = "cache_write_12h"
    # Tokens that the model made.
    OUTPUT = "output"
    OUTPUT_REASONING = "output.reasoning"
    OUTPUT_AUDIO = "output.audio"
    OUTPUT_IMAGE = "output.image"
    OUTPUT_VIDEO = "output.video"
    CITATION_TOKENS = "citation_tokens"
    TRAINING_TOKENS = "training_tokens"  # read while a model was fine-tuned
    # Counted things: one each.
    REQUESTS = "requests"
    IMAGES = "images"
    PAGES = "pages"
    PAGES_ANNOTATED = "pages.annotated"
    SEARCH_UNITS = "search_units"
    CHARACTERS = "characters"
    PIXELS = "pixels"  # Voyage bills images and videos by the pixel
    CALLS_WEB_SEARCH = "calls.web_search"
    CALLS_WEB_SEARCH_PREVIEW = "calls.web_search_preview"
    CALLS_WEB_FETCH = "calls.web_fetch"
    CALLS_FILE_SEARCH = "calls.file_search"
    CALLS_CODE_EXECUTION = "calls.code_execution"
    CALLS_X_SEARCH = "calls.x_search"
    CALLS_COLLECTIONS_SEARCH = "calls.collections_search"
    CALLS_BROWSER_SEARCH = "calls.browser_search"
    CALLS_BROWSER_OPEN = "calls.browser_open"
    CALLS_FUNCTION = "calls.function"
    CALLS_STRUCTURED_OUTPUT = "calls.structured_output"
    CALLS_PLUGIN = "calls.plugin"
    GROUNDING_PROMPTS = "grounding.prompts"
    GROUNDING_QUERIES = "grounding.queries"
    GROUNDING_MAPS = "grounding.maps"
    GROUNDING_OWN_DATA = "grounding.own_data"  # prompts grounded with the caller's own data
    GUARDRAIL_CONTENT_UNITS = "guardrail.content_units"
    GUARDRAIL_PII_UNITS = "guardrail.pii_units"
    SESSIONS_CODE_INTERPRETER = "sessions.code_interpreter"
    # Time and storage.
    AUDIO_SECONDS = "audio_seconds"
    VIDEO_SECONDS = "video_seconds"
    SESSION_SECONDS = "session_seconds"
    MACHINE_SECONDS = "machine_seconds"  # that the call took, on a machine of the user's own
    CONTAINER_MINUTES = "minutes.container"
    COMPUTE_HOURS = "hours.compute"
    RESERVED_HOURS = "hours.reserved"  # e.g. Azure's provisioned throughput units, by the hour
    STORAGE_TOKEN_HOURS = "storage.token_hours"
    STORAGE_GB_DAYS = "storage.gb_days"
    RESERVED_TOKENS = "reserved.tokens"
    # Only in charges: the reported cost less what the other lines explain, in USD.
    REPORTED_USD = "reported_usd"


class Unit(StrEnum):
    """What a quantity counts.  A rate states its unit, so that it cannot be mistaken."""

    TOKEN = "token"
    THING = "thing"
    CHARACTER = "character"
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    TOKEN_HOUR = "token-hour"
    GB_DAY = "GB-day"
    USD = "USD"


_OTHER_UNITS: Mapping[Meter, Unit] = {
    Meter.CHARACTERS: Unit.CHARACTER,
    Meter.AUDIO_SECONDS: Unit.SECOND,
    Meter.VIDEO_SECONDS: Unit.SECOND,
    Meter.SESSION_SECONDS: Unit.SECOND,
    Meter.MACHINE_SECONDS: Unit.SECOND,
    Meter.CONTAINER_MINUTES: Unit.MINUTE,
    Meter.COMPUTE_HOURS: Unit.HOUR,
    Meter.RESERVED_HOURS: Unit.HOUR,
    Meter.STORAGE_TOKEN_HOURS: Unit.TOKEN_HOUR,
    Meter.STORAGE_GB_DAYS: Unit.GB_DAY,
    Meter.REPORTED_USD: Unit.USD,
}
TOKEN_METERS = frozenset(
    m
    for m in Meter
    if m.value.startswith(("input", "cache_", "output", "citation_tok", "training_", "reserved.t"))
)
UNITS: Mapping[Meter, Unit] = MappingProxyType(
    {m: _OTHER_UNITS.get(m, Unit.TOKEN if m in TOKEN_METERS else Unit.THING) for m in Meter}
)
METER_ORDER: Mapping[Meter, int] = MappingProxyType({m: i for i, m in enumerate(Meter)})

INPUT_METERS = frozenset(
    m for m in Meter if m.value.partition(".")[0] == "input" or m.value.startswith("cache_")
)
# What cached tokens would be billed as without a cache.
UNCACHED: Mapping[Meter, Meter] = MappingProxyType(
    {
        meter: {
            Meter.CACHE_READ_AUDIO: Meter.INPUT_AUDIO,
            Meter.CACHE_READ_IMAGE: Meter.INPUT_IMAGE,
            Meter.CACHE_READ_VIDEO: Meter.INPUT_VIDEO,
            Meter.CACHE_READ_DOCUMENT: Meter.INPUT_DOCUMENT,
        }.get(meter, Meter.INPUT)
        for meter in Meter
        if meter.value.startswith("cache_")
    }
)
OUTPUT_METERS = frozenset(m for m in Meter if m.value.partition(".")[0] == "output")


class Origin(StrEnum):
    """Where the quantities come from, from best to worst."""

    REPORTED = "reported"  # the provider's own usage block
    COUNTED = "counted"  # our tokenizer, by the provider's own method
    ESTIMATED = "estimated"  # our tokenizer with another vocabulary, or a stream that was cut
    NONE = "none"  # nothing was reported, and nothing could be counted


class Usage(msgspec.Struct, frozen=True):
    """Quantities by meter, in the meter's own unit; zero quantities are dropped.

    Raises ValueError for a quantity that is negative or not finite: a dialect then subtracted an
    overlap that did not exist, and a wrong bill must not look like a small one.
    """

    quantities: Mapping[Meter, Quantity] = msgspec.field(default_factory=dict)
    origin: Origin = Origin.REPORTED

    def __post_init__(self) -> None:
        for meter, quantity in self.quantities.items():
            if (isinstance(quantity, Decimal) and not quantity.is_finite()) or quantity < 0:
                raise ValueError(f"{meter.value}: quantity is {quantity}, expected 0 or more")
        kept = {meter: quantity for meter, quantity in self.quantities.items() if quantity}
        msgspec.structs.force_setattr(self, "quantities", MappingProxyType(kept))

    @property
    def input_tokens(self) -> int:
        """Everything the model read, cached or not: the length that selects a prompt tier."""
        return sum(int(n) for meter, n in self.quantities.items() if meter in INPUT_METERS)

    @property
    def output_tokens(self) -> int:
        """Everything the model made, including reasoning."""
        return sum(int(n) for meter, n in self.quantities.items() if meter in OUTPUT_METERS)


class Subcall(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a call that is billed by its own model and terms; most calls have exactly one.

    Anthropic's `iterations`, an image tool inside a response and realtime turns make several.
    `terms` are the facts besides quantity that a price depends on, see `pricing.terms.Term`.  `at`
    selects the tariff period: it is the start of the request.  For a tariff by completion,
    `terms["completed_at"]` does.
    """

    provider: str
    model: str
    at: datetime
    usage: Usage
    terms: Terms = msgspec.field(default_factory=lambda: NO_TERMS)
