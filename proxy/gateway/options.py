"""The settings `[gateway]` as values; `defaults.toml` explains, `gateway_checks` checks them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

ORDERS = ("rules", "weights", "price", "latency", "score")
MODALITIES = ("text", "image", "audio", "video", "document")
HASH_PREFIX = "sha256:"  # begins a caller's `token_hash`


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOptions:
    """Where a provider's credential comes from: `env:NAME`, `file:PATH` or `command:PROGRAM …`."""

    name: str
    provider: str
    value: str = field(repr=False)  # the source, never the key; hidden in case somebody errs


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCaller:
    """A caller by its token's hash; several while it changes from one token to the next."""

    name: str
    token_hash: tuple[str, ...] | str
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    routes: tuple[str, ...] = ()  # what it may ask for, with `*`; (): everything

    @property
    def hashes(self) -> tuple[str, ...]:
        """All that are valid now."""
        return (self.token_hash,) if isinstance(self.token_hash, str) else self.token_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateOptions:
    """One provider's model that may serve a route."""

    provider: str
    model: str
    key: str = ""  # a name in [gateway.keys]; "": each of its provider's keys, one after another
    when: str = ""  # see `when`; "": always
    weight: float = 1.0  # for order "weights"
    quality: float | None = None  # 0 to 1, for order "score"; None: as the others' median
    safety: float | None = None

    @property
    def label(self) -> str:
        """As rows and messages name it."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The share of the sessions that one candidate gets."""

    candidate: int  # its place in `candidates`, from 0
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWeights:
    """How much each counts for order "score"; only their ratios matter."""

    quality: float = 1.0
    latency: float = 1.0
    cost: float = 1.0
    safety: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryOptions:
    """The arm of a split that is watched, and what becomes of it if it is worse than the others."""

    candidate: int  # its place in `candidates`; `split` has its share
    rollback: bool = False  # give it no more sessions
    confidence: float = 0.95  # that one that is no worse is never called worse
    first_token_s: float | None = None  # a stream that begins later is slow
    total_s: float | None = None  # an answer that takes longer is slow
    dearer: float = 0.0  # how much more a success may cost; 0.2: 20 %
    notify: tuple[str, ...] = ()  # names in [notify]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteOptions:
    """A name that callers use as a model, and what may serve it."""

    name: str
    candidates: tuple[CandidateOptions, ...]
    version: str = ""  # salts the split; a new one draws anew
    order: str = "rules"
    score: ScoreWeights = ScoreWeights()
    split: tuple[Share, ...] = ()  # of sessions; chooses the first candidate
    canary: CanaryOptions | None = None
    explore: float = 0.0  # share of units that go to a candidate drawn at random
    retry_ambiguous: bool = False  # also after a failure that may have been billed
    deadline_s: float = 600.0  # for the whole call, up to the first byte of the answer
    regions: tuple[str, ...] = ()  # only candidates known to be in one of these; (): anywhere
    data_policy: tuple[str, ...] = ()  # only candidates known to keep all of these
    drop: tuple[str, ...] = ()  # fields that may be left out for candidates of other dialects


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What `provider/model` can do.  None: not known, which only `regions`, `data_policy` and
    the failover after a prompt that was too long take for no."""

    name: str
    context_tokens: int | None = None  # prompt and answer together
    tools: bool | None = None
    schema: bool | None = None  # strict structured output
    modalities: tuple[str, ...] = ()  # (): not known
    region: str = ""  # "": its provider's
    data_policy: tuple[str, ...] = ()  # your own words, such as "no-training"
    responses_only: bool = False  # of OpenAI's APIs it has Responses alone


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """The gateway; without keys it has nothing to call."""

    keys: Mapping[str, KeyOptions] = field(default_factory=lambda: MappingProxyType({}))
    callers: Mapping[str, GatewayCaller] = field(default_factory=lambda: MappingProxyType({}))
    routes: Mapping[str, RouteOptions] = field(default_factory=lambda: MappingProxyType({}))
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    models: Mapping[str, ModelFacts] = field(default_factory=lambda: MappingProxyType({}))
    insecure: bool = False  # admits callers without a token
    body_bytes_max: int = 16 * 1024 * 1024  # of a request, which is kept to be sent again
    retry_share_max: float = 0.1  # of the calls to a pool in the last minute, as retries
    retries_min: int = 3  # a minute that are always allowed
