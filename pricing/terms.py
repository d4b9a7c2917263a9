"""The facts besides quantity that a price may depend on: a closed list.

Dialects and the configuration state them, tariffs use them in `when`.  A name or a value that the
list and the tariff do not know makes a charge `partial`; it never gets the standard price.  A term
that nobody stated is left out, or "".
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from pricing.usage import TermValue

NOTHING: frozenset[str] = frozenset()


class Term(StrEnum):
    """A name in `Subcall.terms`, with the type of its value, and the values that change no price.

    The provider states `strict` terms about the service it gave: their values are never ignored,
    not even by a tariff that does not use the term.  Other terms only matter to tariffs that use
    them.
    """

    kind: type
    meaning: str
    plain: frozenset[str]
    strict: bool

    def __new__(
        cls,
        name: str,
        kind: type,
        meaning: str,
        plain: frozenset[str] = NOTHING,
        strict: bool = False,
    ) -> "Term":
        member = str.__new__(cls, name)
        member._value_ = name
        member.kind = kind
        member.meaning = meaning
        member.plain = plain
        member.strict = strict
        return member

    SERVICE_TIER = (
        "service_tier",
        str,
        "The tier SERVED, in the provider's own spelling (`SERVICE_TIERS` reads the known ones: "
        "OpenAI's `default`, Vertex's trafficType `ON_DEMAND_FLEX`).  The tier asked for is no "
        "evidence: leave the term out if the response does not state it.",
        frozenset({"standard"}),
        True,
    )
    PROCESSING = (
        "processing",
        str,
        "`batch` for an item of a batch job, known from the route or the batch id.  A served tier "
        "named `batch` says the same.",
        frozenset({"online"}),
        True,
    )
    SPEED = (
        "speed",
        str,
        "The speed served, as Anthropic's `usage.speed`: `standard` or `fast`.",
        frozenset({"standard"}),
        True,
    )
    INFERENCE_GEO = (
        "inference_geo",
        str,
        "Where the provider says it ran the model, as Anthropic's `usage.inference_geo`: `us`.",
        frozenset({"global", "not_available"}),
        True,
    )
    MODE = (
        "mode",
        str,
        "`thinking` or `non_thinking`, where the mode sets the price of the whole output "
        "(DashScope's `enable_thinking`).",
        frozenset({"non_thinking"}),
    )
    REGION = (
        "region",
        str,
        "Where the endpoint is: `eu` or `us` for OpenAI's regional hosts, a cloud's region name "
        "such as `us-east5` or `global`, or what the provider's configuration says.",
        frozenset({"global"}),
    )
    DEPLOYMENT = (
        "deployment",
        str,
        "The kind of deployment, from the configuration, as the provider spells it: Azure's "
        "`GlobalStandard`, `DataZoneStandard`, `ProvisionedManaged`.  A call that spilled over to "
        "the standard deployment is `GlobalStandard`.",
        frozenset({"GlobalStandard", "standard"}),
    )
    ENDPOINT = ("endpoint", str, "The reader's name of the endpoint, e.g. `openai.chat`.")
    BETA = ("beta", str, "Beta flags sent, comma-separated, as in the `anthropic-beta` header.")
    SEARCH_CONTEXT_SIZE = (
        "search_context_size",
        str,
        "`low`, `medium` or `high`: the one the response states, else the one asked for.",
    )
    SIZE = ("size", str, "Pixels of an image or a video, e.g. `1024x1792`.")
    QUALITY = ("quality", str, "Quality of an image, e.g. `hd`.")
    RESOLUTION = ("resolution", str, "Resolution of an image or a video, e.g. `1080p`.")
    WITH_AUDIO = ("with_audio", bool, "A video was made with sound.")
    CONTAINER_MEMORY_GB = ("container_memory_gb", int, "Memory of a code container.")
    PROMPT_TOKENS = (
        "prompt_tokens",
        int,
        "All tokens the model read in this one request, cached ones included.  Left out: the sum "
        "of the input and cache meters.",
    )
    OUTPUT_TOKENS = (
        "output_tokens",
        int,
        "All tokens the model made in this request, reasoning included.  Left out: the sum of the "
        "output meters.",
    )
    MAX_REQUEST_PROMPT_TOKENS = (
        "max_request_prompt_tokens",
        int,
        "The longest single prompt, where the usage is a sum over a server-side tool loop.  Tiers "
        "look at it in place of `prompt_tokens`.",
    )
    SUMMED_REQUESTS = (
        "summed_requests",
        bool,
        "The usage is a sum over a server-side tool loop whose longest prompt is not known.  No "
        "tier by prompt length applies, and the charge is `estimated` where one might have.",
    )
    COMPLETED_AT = ("completed_at", datetime, "When the response ended, an aware instant.")


TERMS: Mapping[str, Term] = MappingProxyType({term.value: term for term in Term})

# Providers' spellings (lower case) of the served tier → ours.  Any other spelling is kept as it is:
# a tariff may name it, and for one that does not it is an unknown term.
SERVICE_TIERS: Mapping[str, str] = MappingProxyType(
    {
        "default": "standard",  # OpenAI, Azure, Bedrock
        "auto": "standard",  # echoed by relays: no statement
        "on_demand": "standard",  # Groq; Vertex trafficType
        "traffic_type_unspecified": "standard",
        "service_tier_unspecified": "standard",
        "on_demand_flex": "flex",  # Vertex trafficType
        "on_demand_priority": "priority",
        "provisioned_throughput": "provisioned",
        "standard": "standard",
        "batch": "batch",
        "flex": "flex",
        "priority": "priority",
        "fast": "fast",
        "ultrafast": "ultrafast",
        "scale": "scale",  # OpenAI: prepaid
        "reserved": "reserved",  # Bedrock
        "provisioned": "provisioned",
    }
)


def service_tier(spelling: str) -> str:
    """The name that tariffs use for a served tier; `spelling` itself if it is unknown."""
    return SERVICE_TIERS.get(spelling.lower(), spelling)


def valid(term: Term, value: TermValue) -> bool:
    """Whether `value` has the term's type; bools are not ints, and instants need a zone."""
    if isinstance(value, datetime):
        return term.kind is datetime and value.tzinfo is not None
    return type(value) is term.kind
