"""Routes for tests of what the gateway decides."""

from collections.abc import Mapping

from proxy.gateway.filters import Candidate, Route
from proxy.gateway.options import CandidateOptions, ModelFacts, RouteOptions, Share
from proxy.gateway.when import parse


def candidate(
    model: str = "m", when: str = "", facts: Mapping[str, object] | None = None, **more: object
) -> Candidate:
    """A candidate of provider p that speaks OpenAI's dialect."""
    options = CandidateOptions(provider="p", model=model, when=when, **more)  # type: ignore[arg-type]
    return Candidate(
        options=options,
        dialect="openai",
        when=parse(when) if when else None,
        model=ModelFacts(name=options.label, **(facts or {})),  # type: ignore[arg-type]
    )


def route(
    *candidates: Candidate, shares: Mapping[int, float] | None = None, **more: object
) -> Route:
    """A route of these; `shares` by their places."""
    split = tuple(Share(candidate=n, share=share) for n, share in (shares or {}).items())
    options = RouteOptions(
        name="r",
        candidates=tuple(one.options for one in candidates),
        split=split,
        **more,  # type: ignore[arg-type]
    )
    return Route(options=options, candidates=candidates)
