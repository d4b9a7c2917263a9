"""Which candidates cannot serve a request, and why: before anything is preferred."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from proxy.gateway.facts import Facts
from proxy.gateway.options import CandidateOptions, GatewayOptions, ModelFacts, RouteOptions
from proxy.gateway.when import When, parse

UNKNOWN = ModelFacts(name="")
UNSPOKEN = "dialect: it speaks {}"
# Quirks of providers that speak OpenAI's dialect: without Responses, and with nothing else.
CHAT_ONLY = "chat_only"
RESPONSES_ONLY = "responses_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A candidate with what is known of it.  `blocked` is why it cannot be called at all."""

    options: CandidateOptions
    dialect: str
    quirks: frozenset[str] = frozenset()  # of its provider
    when: When | None = None
    model: ModelFacts = UNKNOWN
    region: str = ""
    blocked: str = ""

    def api(self, operation: str) -> str:
        """In which API it is asked for this, where it is not asked as its caller asked: its
        dialect, or "responses" where it has no other of OpenAI's for a conversation."""
        alone = self.model.responses_only or RESPONSES_ONLY in self.quirks
        talks = self.dialect == "openai" and operation != "embeddings"
        return "responses" if alone and talks else self.dialect


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route, ready to decide; one for many calls, so what follows from it is found once."""

    options: RouteOptions
    candidates: tuple[Candidate, ...]

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that its conditions use."""
        found = (one.when.names for one in self.candidates if one.when)
        return frozenset().union(*found)

    @cached_property
    def counts(self) -> bool:
        """Whether a decision needs the number of input tokens."""
        limited = any(one.model.context_tokens for one in self.candidates)
        measured = self.options.order in ("price", "latency", "score")
        return "input_tokens" in self.names or limited or measured


class Reached(Protocol):
    """A provider, as the settings have it."""

    @property
    def base_url(self) -> str: ...
    @property
    def dialect(self) -> str: ...
    @property
    def quirks(self) -> frozenset[str]: ...
    @property
    def region(self) -> str: ...


def keys_of(one: CandidateOptions, gateway: GatewayOptions) -> tuple[str, ...]:
    """The names of the keys with which a candidate may be called, in their order."""
    if one.key:
        return (one.key,)
    return tuple(key.name for key in gateway.keys.values() if key.provider == one.provider)


def route(
    options: RouteOptions,
    gateway: GatewayOptions,
    providers: Mapping[str, Reached],
    missing: Collection[str] = (),
) -> Route:
    """`options` with what the settings say of its models and providers.

    `missing` are the names of keys that could not be read.  Raises `when.Invalid` for what the
    checks of the settings refuse.
    """

    def candidate(one: CandidateOptions) -> Candidate:
        provider = providers[one.provider]
        blocked = "" if set(keys_of(one, gateway)) - set(missing) else "no key"
        return Candidate(
            options=one,
            dialect=provider.dialect,
            quirks=provider.quirks,
            when=parse(one.when) if one.when else None,
            model=gateway.models.get(one.label, UNKNOWN),
            region=provider.region,
            blocked=blocked if provider.base_url else "unreachable: no base_url",
        )

    return Route(options=options, candidates=tuple(map(candidate, options.candidates)))


def excluded(candidate: Candidate, route: RouteOptions, facts: Facts) -> str:
    """Why a candidate cannot serve this request; "" if it can, as far as is known."""
    model = candidate.model
    region = model.region or candidate.region
    needed = facts.input_tokens + facts.max_tokens
    tests = (
        (bool(candidate.blocked), candidate.blocked),
        (bool(dialect := _dialect(candidate, facts)), dialect),
        (candidate.when is not None and not candidate.when.holds(facts), "when"),
        (bool(model.context_tokens) and needed > (model.context_tokens or 0), "context"),
        (facts.tools and model.tools is False, "tools"),
        (facts.schema and model.schema is False, "schema"),
        (
            bool(model.modalities) and not facts.modalities <= {"text", *model.modalities},
            "modality",
        ),
        (bool(route.regions) and region not in route.regions, "region"),
        (not set(route.data_policy) <= set(model.data_policy), "data_policy"),
    )
    return next((why for fails, why in tests if fails), "")


def speaks(candidate: Candidate, facts: Facts) -> bool:
    """Whether it takes a request as it came."""
    if facts.operation == "responses" and CHAT_ONLY in candidate.quirks:
        return False
    lacks_chat = facts.operation == "chat" and candidate.api("chat") == "responses"
    return candidate.dialect == facts.dialect and not lacks_chat


def _dialect(candidate: Candidate, facts: Facts) -> str:
    """Why it cannot have the request for its dialect's sake; "" if it can."""
    speaks_it = speaks(candidate, facts)
    usual = "" if speaks_it else UNSPOKEN.format(candidate.dialect or "none")
    return facts.foreign.get(candidate.options.label, usual)


def fits(candidate: Candidate, facts: Facts) -> bool:
    """Whether a candidate is known to have room for the request, after another had not."""
    room = candidate.model.context_tokens
    return room is not None and facts.input_tokens + facts.max_tokens <= room
